//! The seam between the log and the disk: files of a flat directory, written at offsets.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A directory of the log's own.
pub trait Disk: Send + Sync + 'static {
    /// Names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A new file of `bytes` zeros with its space reserved.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// A file of preallocated size. It is written from front to back; what lies behind is zero.
pub trait DiskFile: Send + Sync + 'static {
    fn size(&self) -> io::Result<u64>;
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `buf` or fails.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Drops everything from `keep` on and reserves zeros up to `bytes`.
    fn reset_tail(&self, keep: u64, bytes: u64) -> io::Result<()>;
    /// Makes the contents durable.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the operating system, locked against a second process.
pub struct RealDisk {
    dir: PathBuf,
    handle: File,
    _lock: File,
}

const LOCK: &str = "LOCK";

impl RealDisk {
    /// Creates the directory if need be.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(LOCK))?;
        lock.try_lock().map_err(|error| {
            io::Error::new(io::ErrorKind::ResourceBusy, format!("{} is in use: {error}", dir.display()))
        })?;
        Ok(Self { handle: File::open(dir)?, dir: dir.to_owned(), _lock: lock })
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            if let Ok(name) = entry?.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.dir.join(name);
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(&path)?;
        if let Err(error) = reserve(&file, bytes) {
            // Best effort: the next start removes what is left.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Arc::new(RealFile::new(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.dir.join(name))?;
        Ok(Arc::new(RealFile::new(file)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// Reserved space that was never written is "unwritten" to the file system, and the first write to
/// each block changes its metadata, which the next sync must bring into a journal. So zeros are
/// written ahead of the data: one such change for many syncs.
struct RealFile {
    file: File,
    /// Data or zeros were written up to here.
    filled: AtomicU64,
}

const FILL_BYTES: u64 = 512 << 10;
static ZEROS: [u8; FILL_BYTES as usize] = [0; FILL_BYTES as usize];

impl RealFile {
    fn new(file: File) -> Self {
        Self { file, filled: AtomicU64::new(0) }
    }

    /// Writes zeros behind `end`.
    fn fill_from(&self, end: u64) -> io::Result<()> {
        let until = (end + FILL_BYTES).min(self.size()?);
        if until > end {
            self.file.write_all_at(&ZEROS[..(until - end) as usize], end)?;
        }
        self.filled.store(until.max(end), Ordering::Relaxed);
        Ok(())
    }
}

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        let end = offset + bytes.len() as u64;
        if end > self.filled.load(Ordering::Relaxed) { self.fill_from(end) } else { Ok(()) }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn reset_tail(&self, keep: u64, bytes: u64) -> io::Result<()> {
        self.file.set_len(keep)?;
        self.filled.store(keep, Ordering::Relaxed);
        reserve(&self.file, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Reserves space, so that a write inside it needs no allocation and cannot run out of space.
#[allow(unsafe_code)]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    let len = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open for the duration of the call, which touches no memory of ours.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) } {
        0 => file.sync_all(),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
