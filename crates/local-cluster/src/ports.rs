//! Ports that stay ours.
//!
//! Free ports are drawn from below the range the kernel gives to outgoing connections, so that a
//! member finds its port free again after a restart, and held by a lock file, so that clusters
//! started at the same time do not draw the same one.

use std::{
    fs::File,
    io,
    net::{TcpListener, ToSocketAddrs},
    sync::Arc,
};

use anyhow::Context as _;
use daemon::env::{Entropy, Env};

const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;
const ATTEMPTS: usize = 1_000;

pub(crate) struct Ports {
    entropy: Arc<dyn Entropy>,
    /// Lock files of the ports that were claimed.
    held: Vec<File>,
}

impl Ports {
    pub fn new() -> Self {
        Self { entropy: Env::real().entropy, held: Vec::new() }
    }

    /// A port nobody uses.
    pub fn free(&mut self, host: &str) -> anyhow::Result<u16> {
        for _ in 0..ATTEMPTS {
            let port = FIRST + (self.entropy.next_u64() % u64::from(LAST - FIRST)) as u16;
            if self.claim(host, port).is_ok() {
                return Ok(port);
            }
        }
        anyhow::bail!("{ATTEMPTS} ports between {FIRST} and {LAST} are all taken")
    }

    /// Makes sure that nobody uses this port, and that no other local cluster takes it.
    pub fn claim(&mut self, host: &str, port: u16) -> anyhow::Result<()> {
        let lock = lock(port).context("another local cluster has it")?;
        can_bind(host, port).context("it cannot be bound")?;
        self.held.push(lock);
        Ok(())
    }
}

fn lock(port: u16) -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("miraft-port-{port}.lock"));
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    file.try_lock()?;
    Ok(file)
}

fn can_bind(host: &str, port: u16) -> io::Result<()> {
    let addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    TcpListener::bind(addresses.as_slice()).map(drop)
}
