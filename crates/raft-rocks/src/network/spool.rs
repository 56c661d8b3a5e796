//! Keeps a snapshot until all of it has arrived. openraft takes a failed installation for a broken
//! disk and stops the replica, so a transfer that breaks off must never reach the state machine.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::types::SnapshotData;

/// Kept in memory up to here.
const MEMORY_BYTES: u64 = 16 << 20;
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Pieces in the order they came.
pub(super) struct Spool {
    memory: Vec<Bytes>,
    memory_bytes: u64,
    /// Pieces that did not fit, one behind the other; their sizes in order.
    file: Option<File>,
    sizes: Vec<u32>,
    file_bytes: u64,
}

impl Spool {
    pub fn new() -> Self {
        Self { memory: Vec::new(), memory_bytes: 0, file: None, sizes: Vec::new(), file_bytes: 0 }
    }

    /// File writes go to the page cache on the spot: a snapshot's pieces are small.
    pub fn push(&mut self, piece: Bytes, directory: &Path) -> io::Result<()> {
        if self.file.is_none() && self.memory_bytes + piece.len() as u64 <= MEMORY_BYTES {
            self.memory_bytes += piece.len() as u64;
            self.memory.push(piece);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(unnamed_file(directory)?),
        };
        file.write_all_at(&piece, self.file_bytes)?;
        self.file_bytes += piece.len() as u64;
        self.sizes.push(piece.len() as u32);
        Ok(())
    }

    /// The pieces as they came.
    pub fn into_data(self) -> SnapshotData {
        let memory = stream::iter(self.memory.into_iter().map(Ok));
        let Some(file) = self.file else { return memory.boxed() };
        let mut offset = 0;
        let stored = self.sizes.into_iter().map(move |size| {
            let mut piece = vec![0; size as usize];
            file.read_exact_at(&mut piece, offset)?;
            offset += u64::from(size);
            Ok(Bytes::from(piece))
        });
        memory.chain(stream::iter(stored)).boxed()
    }
}

/// A file that vanishes when it is closed.
fn unnamed_file(directory: &Path) -> io::Result<File> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("incoming-{}-{number}.snapshot", std::process::id()));
    let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn pieces_come_back_as_they_came() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let piece = |n: u8| Bytes::from(vec![n; (MEMORY_BYTES / 3) as usize + usize::from(n)]);
        let mut spool = Spool::new();
        for n in 0..7 {
            spool.push(piece(n), directory.path()).expect("written");
        }
        assert!(spool.file.is_some());
        let back: Vec<Bytes> = spool.into_data().try_collect().await.expect("read");
        assert_eq!(back, (0..7).map(piece).collect::<Vec<_>>());
        assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 0);
    }
}
