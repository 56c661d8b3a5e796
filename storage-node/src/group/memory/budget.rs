//! Memory for changes that are not in RocksDB yet, shared by the groups of a node.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// No group hands its changes to RocksDB before it has so many bytes of them.
const SHARE_MIN: usize = 1 << 20;

#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    groups: AtomicUsize,
}

impl Budget {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { bytes, groups: AtomicUsize::new(0) })
    }

    pub fn share(self: &Arc<Self>) -> Share {
        self.groups.fetch_add(1, Ordering::Relaxed);
        Share(self.clone())
    }
}

/// The part of one group, as long as it is held.
#[derive(Debug)]
pub struct Share(Arc<Budget>);

impl Share {
    pub fn bytes(&self) -> usize {
        (self.0.bytes / self.0.groups.load(Ordering::Relaxed).max(1)).max(SHARE_MIN)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.groups.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_share_alike_and_none_gets_too_little() {
        let budget = Budget::new(8 << 20);
        let first = budget.share();
        assert_eq!(first.bytes(), 8 << 20);
        let others: Vec<_> = (0..3).map(|_| budget.share()).collect();
        assert_eq!((first.bytes(), others[2].bytes()), (2 << 20, 2 << 20));
        drop(others);
        assert_eq!(first.bytes(), 8 << 20);
        let _many: Vec<_> = (0..100).map(|_| budget.share()).collect();
        assert_eq!(first.bytes(), SHARE_MIN);
    }
}
