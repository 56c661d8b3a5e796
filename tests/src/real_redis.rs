//! A real redis-server beside the cluster.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{resp::Connection, wait};

/// Without persistence. Dropping it ends it.
pub struct RealRedis {
    child: Child,
    /// host:port
    pub address: String,
    _dir: TempDir,
}

impl RealRedis {
    /// On a free port, with further options.
    pub async fn start(options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port, "--save", "", "--dir"])
            .arg(dir.path())
            .args(options)
            .stdout(Stdio::null());
        let child = command.spawn().expect("redis-server is installed (./run test installs it)");
        let address = format!("127.0.0.1:{port}");
        let server = Self { child, address, _dir: dir };
        wait::until("redis-server answers", Duration::from_secs(10), || async {
            Connection::open(&server.address).await?.run("PING").await
        })
        .await;
        server
    }
}

impl Drop for RealRedis {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
