//! Reading a frozen database page by page, for snapshots.

use std::{fs, io, ops::Bound, path::PathBuf};

use bytes::Bytes;
use commands::wire::put_bytes;
use rocksdb::{DB, checkpoint::Checkpoint};

/// A page ends at the first pair that reaches this size.
const PAGE_BYTES: usize = 1 << 20;

/// A read-only database of hard links; removed when dropped.
pub struct Pages {
    db: Option<DB>,
    path: PathBuf,
    next: Bound<Vec<u8>>,
    done: bool,
}

impl Pages {
    pub(super) fn of_checkpoint(db: &DB, path: PathBuf) -> io::Result<Self> {
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        let checkpoint = Checkpoint::new(db).map_err(io::Error::other)?;
        checkpoint.create_checkpoint(&path).map_err(io::Error::other)?;
        let frozen =
            DB::open_for_read_only(&rocksdb::Options::default(), &path, false).map_err(io::Error::other)?;
        Ok(Self { db: Some(frozen), path, next: Bound::Included(Vec::new()), done: false })
    }

    /// The value of one key in the frozen state.
    pub fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        let Some(db) = &self.db else { return Ok(None) };
        db.get(key).map(|v| v.map(Bytes::from)).map_err(io::Error::other)
    }

    /// The next pairs in key order (length-prefixed key, length-prefixed value, …); None at the end.
    pub fn next_page(&mut self) -> io::Result<Option<Bytes>> {
        let Some(db) = self.db.as_ref().filter(|_| !self.done) else { return Ok(None) };
        let mut iterator = db.raw_iterator();
        match &self.next {
            Bound::Included(key) => iterator.seek(key),
            Bound::Excluded(key) => {
                iterator.seek(key);
                if iterator.key() == Some(key) {
                    iterator.next();
                }
            }
            Bound::Unbounded => iterator.seek_to_first(),
        }
        let mut page = Vec::with_capacity(PAGE_BYTES + 4096);
        while page.len() < PAGE_BYTES {
            let Some((key, value)) = iterator.item() else {
                iterator.status().map_err(io::Error::other)?;
                self.done = true;
                break;
            };
            put_bytes(&mut page, key);
            put_bytes(&mut page, value);
            self.next = Bound::Excluded(key.to_vec());
            iterator.next();
        }
        Ok((!page.is_empty()).then(|| Bytes::from(page)))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.db = None;
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not remove a snapshot");
        }
    }
}
