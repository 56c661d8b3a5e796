//! ACL LOG: what was refused lately, and how often.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use acl::Denial;
use bytes::Bytes;
use resp::Reply;

/// The newest entries are looked through for one that is like a new one.
const ALIKE_AMONG: usize = 10;
/// Those farther apart are not taken as one.
const ALIKE_WITHIN_MS: u64 = 60_000;
/// A name is cut off there.
const OBJECT_BYTES_MAX: usize = 4096;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Command,
    Key,
    Channel,
    Auth,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Key => "key",
            Self::Channel => "channel",
            Self::Auth => "auth",
        }
    }

    /// `None`: Redis keeps no account of it.
    pub fn of(denial: Denial) -> Option<Self> {
        match denial {
            Denial::Command => Some(Self::Command),
            Denial::Key(_) => Some(Self::Key),
            Denial::Channel(_) => Some(Self::Channel),
            Denial::SortOption(_) => None,
        }
    }
}

/// Where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    Toplevel,
    Multi,
    Script,
}

impl Context {
    fn name(self) -> &'static str {
        match self {
            Self::Toplevel => "toplevel",
            Self::Multi => "multi",
            Self::Script => "lua",
        }
    }
}

/// How often something was refused, by reason; since the start.
#[derive(Debug, Default)]
pub struct Denied([AtomicU64; 4]);

impl Denied {
    pub fn count(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Relaxed);
    }

    pub fn get(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Relaxed)
    }
}

/// One or several refusals that are alike.
#[derive(Debug)]
pub struct Entry {
    pub reason: Reason,
    pub context: Context,
    /// Of a command, key or channel.
    pub object: Bytes,
    pub username: Bytes,
    /// The line of CLIENT LIST.
    pub client: String,
}

#[derive(Debug)]
struct Kept {
    id: u64,
    count: u64,
    created_ms: u64,
    updated_ms: u64,
    entry: Entry,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct AclLog {
    next_id: u64,
    /// The newest first.
    kept: VecDeque<Kept>,
}

impl AclLog {
    /// Keeps at most `max` entries.
    pub fn push(&mut self, mut entry: Entry, now_ms: u64, max: usize) {
        entry.object.truncate(OBJECT_BYTES_MAX);
        let is_alike = |known: &Kept| {
            known.entry.reason == entry.reason
                && known.entry.context == entry.context
                && known.entry.object == entry.object
                && known.entry.username == entry.username
                && known.updated_ms.abs_diff(now_ms) <= ALIKE_WITHIN_MS
        };
        let known = self.kept.iter().take(ALIKE_AMONG).position(is_alike);
        let kept = match known.and_then(|at| self.kept.remove(at)) {
            Some(known) => Kept { count: known.count + 1, updated_ms: now_ms, entry, ..known },
            None => {
                self.next_id += 1;
                Kept { id: self.next_id - 1, count: 1, created_ms: now_ms, updated_ms: now_ms, entry }
            }
        };
        self.kept.push_front(kept);
        self.kept.truncate(max);
    }

    pub fn clear(&mut self) {
        self.kept.clear();
    }

    /// The newest `count` entries.
    pub fn show(&self, count: usize, now_ms: u64) -> Reply {
        Reply::Array(self.kept.iter().take(count).map(|kept| kept.show(now_ms)).collect())
    }
}

impl Kept {
    fn show(&self, now_ms: u64) -> Reply {
        let age_s = now_ms.saturating_sub(self.updated_ms) as f64 / 1000.0;
        let int = |number: u64| Reply::Int(number as i64);
        let fields = [
            ("count", int(self.count)),
            ("reason", Reply::bulk(self.entry.reason.name())),
            ("context", Reply::bulk(self.entry.context.name())),
            ("object", Reply::Bulk(self.entry.object.clone())),
            ("username", Reply::Bulk(self.entry.username.clone())),
            ("age-seconds", Reply::Double(age_s)),
            ("client-info", Reply::bulk(&self.entry.client)),
            ("entry-id", int(self.id)),
            ("timestamp-created", int(self.created_ms)),
            ("timestamp-last-updated", int(self.updated_ms)),
        ];
        Reply::Map(fields.into_iter().map(|(name, value)| (Reply::bulk(name), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(object: &'static str) -> Entry {
        let (object, username) = (Bytes::from_static(object.as_bytes()), Bytes::from_static(b"u"));
        Entry { reason: Reason::Key, context: Context::Toplevel, object, username, client: String::new() }
    }

    #[test]
    fn what_is_alike_is_counted_and_comes_first() {
        let mut log = AclLog::default();
        for (object, now_ms) in [("a", 1), ("b", 2), ("a", 3), ("a", 60_004)] {
            log.push(entry(object), now_ms, 5);
        }
        let ids: Vec<_> = log.kept.iter().map(|kept| (kept.id, kept.count, kept.created_ms)).collect();
        assert_eq!(ids, [(2, 1, 60_004), (0, 2, 1), (1, 1, 2)]);
        for number in 0..20 {
            log.push(entry("c"), number * 100_000, 5);
        }
        assert_eq!(log.kept.len(), 5);
        log.clear();
        assert_eq!(log.show(10, 0), Reply::Array(Vec::new()));
    }
}
