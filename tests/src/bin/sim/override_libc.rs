//! The C library's doors to randomness, time and disk, replaced for this binary. Rust's standard
//! library, the `getrandom` crates and RocksDB all go through these symbols; a definition in the
//! executable takes precedence over the shared library's.
//!
//! Threads that do not simulate get the kernel's answers. Syncing is a no-op for all: the process
//! never outlives the machine, and what a simulated power loss keeps is `SimDisk`'s decision.

use libc::{c_char, c_int, c_uint, c_void, clockid_t, size_t, ssize_t, statvfs as StatVfs, timespec};
use miraft_tests::sim::determinism;

/// Fills `len` bytes at `buf`; false if this thread does not simulate.
///
/// # Safety
/// `buf` must be valid for writes of `len` bytes.
unsafe fn fill(buf: *mut c_void, len: size_t) -> bool {
    let mut done = 0;
    while done < len {
        let Some(word) = determinism::random() else { return false };
        let bytes = word.to_ne_bytes();
        let count = bytes.len().min(len - done);
        // SAFETY: `done + count <= len`, and the caller vouches for the buffer.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buf.cast::<u8>().add(done), count) };
        done += count;
    }
    determinism::now_ns().is_some()
}

/// # Safety
/// As getrandom(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buf: *mut c_void, len: size_t, flags: c_uint) -> ssize_t {
    // SAFETY: the caller's buffer, as the interface demands.
    if unsafe { fill(buf, len) } {
        return len as ssize_t;
    }
    // SAFETY: the same arguments to the same system call.
    unsafe { libc::syscall(libc::SYS_getrandom, buf, len, flags) as ssize_t }
}

/// # Safety
/// As getentropy(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getentropy(buf: *mut c_void, len: size_t) -> c_int {
    // SAFETY: as above.
    let got = unsafe { getrandom(buf, len, 0) };
    if got == len as ssize_t { 0 } else { -1 }
}

/// # Safety
/// As clock_gettime(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let of_this_process = matches!(clock, libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID);
    if !of_this_process && let Some(now) = determinism::now_ns() {
        let tv_sec = (now / 1_000_000_000) as libc::time_t;
        let tv_nsec = (now % 1_000_000_000) as libc::c_long;
        // SAFETY: the caller's pointer, as the interface demands.
        unsafe { time.write(timespec { tv_sec, tv_nsec }) };
        return 0;
    }
    // SAFETY: the same arguments to the same system call.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int }
}

#[unsafe(no_mangle)]
pub extern "C" fn fsync(_fd: c_int) -> c_int {
    0
}

#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(_fd: c_int) -> c_int {
    0
}

/// Every disk has the same room.
///
/// # Safety
/// As statvfs(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statvfs(_path: *const c_char, stat: *mut StatVfs) -> c_int {
    // SAFETY: all zeros is a valid statvfs: it holds integers only.
    let mut room: StatVfs = unsafe { std::mem::zeroed() };
    (room.f_bsize, room.f_frsize) = (4096, 4096);
    (room.f_blocks, room.f_bfree, room.f_bavail) = (1 << 28, 1 << 28, 1 << 28);
    // SAFETY: the caller's pointer, as the interface demands.
    unsafe { stat.write(room) };
    0
}
