//! A disk in memory for simulations: it knows what was synced, loses the rest at a power loss, and
//! fails when told to.

use std::{collections::BTreeMap, io, sync::Arc};

use parking_lot::Mutex;

use super::disk::{Disk, DiskFile};

/// Contents without trailing zeros, and the size the file has with them.
#[derive(Clone, Default)]
struct Image {
    bytes: Vec<u8>,
    size: u64,
}

impl Image {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        self.size = self.size.max(end as u64);
    }
}

enum Change {
    Write(usize, Vec<u8>),
    Reset { keep: u64, size: u64 },
}

impl Change {
    fn apply(&self, image: &mut Image) {
        match self {
            Change::Write(offset, bytes) => image.write(*offset, bytes),
            Change::Reset { keep, size } => {
                image.bytes.truncate(*keep as usize);
                image.size = *size;
            }
        }
    }
}

/// A file: what reads see, what survives, and the changes between the two.
#[derive(Default)]
struct Contents {
    seen: Image,
    durable: Image,
    pending: Vec<Change>,
}

#[derive(Default)]
struct Faults {
    fail_writes: Option<io::ErrorKind>,
    fail_syncs: Option<io::ErrorKind>,
    capacity: Option<u64>,
    lie_about_sync: bool,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Arc<Mutex<Contents>>>,
    durable_files: BTreeMap<String, Arc<Mutex<Contents>>>,
    faults: Faults,
    syncs: u64,
}

/// See the module's description. Clones are the same disk; it outlives the stores opened on it.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// The power goes: everything not synced is lost. The store on this disk must be gone.
    pub fn power_loss(&self) {
        self.power_loss_keeping(0);
    }

    /// The same, but the first `bytes` of each file's unsynced writes reached the disk.
    pub fn power_loss_keeping(&self, bytes: usize) {
        let mut state = self.0.lock();
        state.files = state.durable_files.clone();
        for file in state.files.values() {
            let file = &mut *file.lock();
            let mut left = bytes;
            for change in file.pending.drain(..) {
                match change {
                    Change::Write(offset, bytes) => {
                        let kept = left.min(bytes.len());
                        file.durable.write(offset, &bytes[..kept]);
                        left -= kept;
                    }
                    reset if left > 0 => reset.apply(&mut file.durable),
                    _ => {}
                }
                if left == 0 {
                    break;
                }
            }
            file.pending.clear();
            file.seen = file.durable.clone();
        }
    }

    /// The next write fails.
    pub fn fail_next_write(&self, kind: io::ErrorKind) {
        self.0.lock().faults.fail_writes = Some(kind);
    }

    /// The next sync fails, and what it should have made durable never will be.
    pub fn fail_next_sync(&self, kind: io::ErrorKind) {
        self.0.lock().faults.fail_syncs = Some(kind);
    }

    /// Space for all files together; `None` is unlimited.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().faults.capacity = bytes;
    }

    /// The planted bug "fsync lie": syncs report success and do nothing.
    pub fn lie_about_sync(&self, lie: bool) {
        self.0.lock().faults.lie_about_sync = lie;
    }

    /// Syncs of files so far.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// What the file holds, without trailing zeros.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        Some(self.0.lock().files.get(name)?.lock().seen.bytes.clone())
    }

    /// Replaces what the file holds, durably; its size stays.
    pub fn set_contents(&self, name: &str, bytes: &[u8]) {
        let state = self.0.lock();
        if let Some(file) = state.files.get(name) {
            let file = &mut *file.lock();
            file.seen.bytes = bytes.to_vec();
            file.durable = file.seen.clone();
            file.pending.clear();
        }
    }

    /// Another disk with the same contents, all of it durable.
    pub fn copy(&self) -> Self {
        let copy = |contents: &Arc<Mutex<Contents>>| {
            let seen = contents.lock().seen.clone();
            Arc::new(Mutex::new(Contents { durable: seen.clone(), seen, pending: Vec::new() }))
        };
        let files: BTreeMap<_, _> =
            self.0.lock().files.iter().map(|(name, file)| (name.clone(), copy(file))).collect();
        Self(Arc::new(Mutex::new(State { durable_files: files.clone(), files, ..State::default() })))
    }
}

impl State {
    fn reserve(&self, more: u64) -> io::Result<()> {
        let used: u64 = self.files.values().map(|file| file.lock().seen.size).sum();
        match self.faults.capacity {
            Some(capacity) if used + more > capacity => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().files.keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.reserve(bytes)?;
        let empty = Image { bytes: Vec::new(), size: bytes };
        let contents = Contents { seen: empty.clone(), durable: empty, pending: Vec::new() };
        let contents = Arc::new(Mutex::new(contents));
        state.files.insert(name.to_owned(), contents.clone());
        Ok(Arc::new(SimFile { contents, disk: self.0.clone() }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let contents = self.0.lock().files.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { contents, disk: self.0.clone() }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.lock().files.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.0.lock();
        state.durable_files = state.files.clone();
        Ok(())
    }
}

struct SimFile {
    contents: Arc<Mutex<Contents>>,
    disk: Arc<Mutex<State>>,
}

impl SimFile {
    fn change(&self, change: Change) {
        let mut contents = self.contents.lock();
        change.apply(&mut contents.seen);
        contents.pending.push(change);
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.contents.lock().seen.size)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Some(kind) = self.disk.lock().faults.fail_writes.take() {
            return Err(kind.into());
        }
        self.change(Change::Write(offset as usize, bytes.to_vec()));
        Ok(())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let contents = self.contents.lock();
        if offset + buf.len() as u64 > contents.seen.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = contents.seen.bytes.get(offset as usize..).unwrap_or_default();
        let known = bytes.len().min(buf.len());
        buf[..known].copy_from_slice(&bytes[..known]);
        buf[known..].fill(0);
        Ok(())
    }

    fn reset_tail(&self, keep: u64, bytes: u64) -> io::Result<()> {
        let size = self.size()?;
        self.disk.lock().reserve(bytes.saturating_sub(size))?;
        self.change(Change::Reset { keep, size: bytes });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.syncs += 1;
        let failure = disk.faults.fail_syncs.take();
        if disk.faults.lie_about_sync {
            return Ok(());
        }
        let contents = &mut *self.contents.lock();
        let pending = std::mem::take(&mut contents.pending);
        match failure {
            Some(kind) => Err(kind.into()),
            None => {
                pending.iter().for_each(|change| change.apply(&mut contents.durable));
                Ok(())
            }
        }
    }
}
