//! What cluster to start.

use std::{path::PathBuf, time::Duration};

use crate::layout::Role;

/// How members run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// A thread of this process each.
    Threads,
    /// A child process each, of the server binaries in this directory.
    Processes { binaries: PathBuf },
}

impl Mode {
    /// Child processes of the binaries that were built with the running executable: beside it, or
    /// (for tests, which cargo puts into `deps`) one directory up.
    pub fn processes() -> std::io::Result<Self> {
        let executable = std::env::current_exe()?;
        let beside = executable.parent().map(PathBuf::from).unwrap_or_default();
        let above = beside.parent().map(PathBuf::from).unwrap_or_default();
        let holds_them = |dir: &PathBuf| dir.join(Role::Storage.binary()).is_file();
        match [beside.clone(), above].into_iter().find(holds_them) {
            Some(binaries) => Ok(Self::Processes { binaries }),
            None => Err(std::io::Error::new(
                std::io::ErrorKind::NotFound,
                format!(
                    "{} is not beside {}; build everything with `cargo build --release --workspace`",
                    Role::Storage.binary(),
                    executable.display()
                ),
            )),
        }
    }
}

/// Who creates groups and assigns slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bootstrap {
    /// Meta, once all storage nodes are there.
    Auto,
    /// The operator (`redis-cli --cluster create`).
    Manual,
}

impl Bootstrap {
    pub fn as_str(self) -> &'static str {
        match self {
            Bootstrap::Auto => "auto",
            Bootstrap::Manual => "manual",
        }
    }
}

/// A cluster to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Everything the cluster keeps lives here.
    pub dir: PathBuf,
    pub meta: u32,
    pub nodes: u32,
    pub proxies: u32,
    /// First port of the cluster listeners. `Some(0)`: free ports, remembered. `None`: what the
    /// directory remembers, else the default.
    pub port: Option<u16>,
    /// First port of the plain listeners; as `port`.
    pub plain_port: Option<u16>,
    /// Address that client listeners bind. All others bind the loopback address.
    pub bind: String,
    /// Address that cluster clients are told.
    pub announce: String,
    pub mode: Mode,
    pub bootstrap: Bootstrap,
    /// Further options of all members of a role, by key, as given on their command line.
    pub options: Vec<(Role, String, String)>,
    /// Give up when the cluster is not ready by then.
    pub start_timeout: Duration,
}

impl Config {
    pub const DEFAULT_PORT: u16 = 7000;
    pub const DEFAULT_PLAIN_PORT: u16 = 7100;

    /// Three of each as threads, bootstrapped automatically, on the default ports.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            meta: 3,
            nodes: 3,
            proxies: 3,
            port: None,
            plain_port: None,
            bind: "127.0.0.1".to_owned(),
            announce: "127.0.0.1".to_owned(),
            mode: Mode::Threads,
            bootstrap: Bootstrap::Auto,
            options: Vec::new(),
            start_timeout: Duration::from_secs(120),
        }
    }

    /// As [`Config::new`], on free ports.
    pub fn on_free_ports(dir: impl Into<PathBuf>) -> Self {
        Self { port: Some(0), plain_port: Some(0), ..Self::new(dir) }
    }

    /// Adds an option for all members of `role`.
    pub fn option(mut self, role: Role, key: &str, value: impl ToString) -> Self {
        self.options.push((role, key.to_owned(), value.to_string()));
        self
    }
}
