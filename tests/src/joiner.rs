//! A meta node beside the cluster that waits to be added to its meta group.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use local_cluster::Mode;
use tempfile::TempDir;

/// Dropping it kills it.
pub struct Joiner {
    child: Child,
    /// host:port of its gRPC listener.
    pub address: String,
    _dir: TempDir,
}

impl Joiner {
    pub fn start(id: u64) -> Self {
        let Ok(Mode::Processes { binaries }) = Mode::processes() else { panic!("the servers are built") };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(binaries.join("miraft-meta"));
        command.args(["--id", &id.to_string(), "--join", "true", "--listen", &address]);
        command.args(["--bootstrap", "manual", "--data-dir"]).arg(dir.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, address, _dir: dir }
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
