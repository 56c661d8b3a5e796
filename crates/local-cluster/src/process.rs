//! A member as a child process.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
};

use anyhow::Context as _;

use crate::os::{self, Signal};

/// A running member.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts `binary`, its output appended to `log`.
    pub fn start(binary: &Path, arguments: &[String], log: &Path) -> anyhow::Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(binary);
        command.args(arguments).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        // Not in our process group: Ctrl-C is for us, and we tell the members.
        command.process_group(0);
        os::die_with_spawner(&mut command);
        spawn(command).map(Self).with_context(|| format!("cannot start {}", binary.display()))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        os::send(self.pid(), signal)
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already: then there is nothing left to do.
        let _ = self.kill();
    }
}

type Order = (Command, mpsc::SyncSender<io::Result<Child>>);

/// Spawns on a thread that lives as long as the process: children die with the thread that spawned
/// them, and that must not be a test's or a runtime's.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::SyncSender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::sync_channel::<Order>(1);
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The asker waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let gone = |_| io::Error::other("the spawning thread is gone");
    let (answer, outcome) = mpsc::sync_channel(1);
    spawner.send((command, answer)).map_err(|_| gone(()))?;
    outcome.recv().map_err(|_| gone(()))?
}
