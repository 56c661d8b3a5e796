//! The few calls that the standard library does not have.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
};

/// A signal to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Stop gracefully.
    Terminate,
    /// Freeze.
    Pause,
    /// Go on.
    Resume,
}

/// Sends `signal` to a child that was not reaped yet.
pub(crate) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Pause => libc::SIGSTOP,
        Signal::Resume => libc::SIGCONT,
    };
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: kill(2) takes plain numbers and touches no memory of ours.
    match unsafe { libc::kill(pid, number) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the kernel kill the child when the *thread* that spawns it ends.
pub(crate) fn die_with_spawner(command: &mut Command) {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: prctl(2) with PR_SET_PDEATHSIG and getppid(2) are async-signal-safe and touch no
        // memory, so they may be called between fork and exec.
        let (status, parent_now) =
            unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
        if status != 0 {
            return Err(io::Error::last_os_error());
        }
        // Died before the call above: nobody would kill us any more.
        if parent_now as u32 != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: `prepare` only makes the calls above and allocates nothing.
    unsafe { command.pre_exec(prepare) };
}

/// Replaces the file at `path`: a reader sees the old content or the new one, never a part.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
