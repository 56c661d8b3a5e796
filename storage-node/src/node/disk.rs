//! How much room the data directory's file system has.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt, path::Path};

/// In bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// What the process may still write.
    pub free: u64,
    pub total: u64,
}

#[allow(unsafe_code)]
pub fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` is a C string and `stat` a statvfs of the right size, both alive for the call.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded and filled it; it was zeroed before.
    let stat = unsafe { stat.assume_init() };
    Ok(Space { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
}
