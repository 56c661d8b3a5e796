//! A connection from the client's side, over a backend in memory.

mod fake;
mod limits;
mod pubsub;
mod refusals;
mod replies;
mod tracking;

use std::{rc::Rc, sync::Arc, time::Duration};

use daemon::env::{BoxIo, Env};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::watch,
    task::{LocalSet, spawn_local},
    time::timeout,
};

use self::fake::Fake;
use crate::{
    accounts::initial_users,
    backend::{Topologies, Topology},
    clients::{ClientInfo, Side},
    cluster::Cluster,
    options::Options,
    shared::Shared,
    worker::Worker,
};

const PATIENCE: Duration = Duration::from_secs(10);
/// Of the pipe between client and proxy.
const PIPE_BYTES: usize = 256 * 1024;

fn identity(port: u16) -> crate::backend::LinkOptions {
    crate::backend::LinkOptions {
        announce_host: "127.0.0.1".to_owned(),
        announce_port: port,
        announce_hostname: String::new(),
    }
}

/// A worker, and what it needs to be one.
struct Stage {
    worker: Rc<Worker>,
    backend: Rc<Fake>,
    _topology: watch::Sender<Topology>,
}

impl Stage {
    fn new(options: Options) -> Self {
        let (writer, reader) = watch::channel(Topology::unknown());
        let meta = daemon::meta_client::MetaClient::new(Env::real(), Vec::new());
        let cluster = Cluster::new(Env::real(), Topologies::new(reader), &identity(7000), meta);
        let backend = Rc::new(Fake::default());
        let shared = Arc::new(Shared::new(&options, Env::real()));
        shared.accounts.begin_with(initial_users(None, options.requirepass.as_bytes()).unwrap());
        let worker = Worker::new(shared, backend.clone(), cluster, 0);
        Self { worker, backend, _topology: writer }
    }

    fn connect(&self, side: Side) -> Client {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let shared = &self.worker.shared;
        let id = shared.clients.admit(1000).unwrap();
        let addr = format!("127.0.0.1:{}", 40_000 + id).parse().unwrap();
        let info = Arc::new(ClientInfo::new(id, addr, addr, side, shared.now_ms()));
        shared.clients.insert(info.clone());
        let worker = self.worker.clone();
        spawn_local(async move {
            super::serve(worker.clone(), info, Box::new(far) as BoxIo).await;
            worker.shared.clients.remove(id);
        });
        Client { io: near, id }
    }
}

/// The far end of a connection.
struct Client {
    io: DuplexStream,
    id: u64,
}

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads exactly what is expected.
    async fn expect(&mut self, expected: &str) {
        let mut got = vec![0; expected.len()];
        let read = timeout(PATIENCE, self.io.read_exact(&mut got)).await;
        let read = read.unwrap_or_else(|_| panic!("no answer: {expected:?} was expected"));
        assert!(read.is_ok(), "closed early: {expected:?} was expected");
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }

    async fn ask(&mut self, command: &str, expected: &str) {
        self.send(format!("{command}\r\n")).await;
        self.expect(expected).await;
    }

    /// Reads until something ends like this.
    async fn until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        while !seen.ends_with(end.as_bytes()) {
            seen.push(timeout(PATIENCE, self.io.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(seen).unwrap()
    }

    /// Reads a bulk or verbatim string.
    async fn text(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n") {
            head.push(timeout(PATIENCE, self.io.read_u8()).await.unwrap().unwrap());
        }
        let len: usize = std::str::from_utf8(&head[1..head.len() - 2]).unwrap().parse().unwrap();
        let mut body = vec![0; len + 2];
        timeout(PATIENCE, self.io.read_exact(&mut body)).await.unwrap().unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Reads what is left; the proxy must close.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset counts as the end, too.
        let _ = timeout(PATIENCE, self.io.read_to_end(&mut rest)).await.expect("not closed");
        String::from_utf8(rest).unwrap()
    }
}

/// Runs a test on a worker thread of its own.
fn on_stage<F: Future<Output = ()>>(options: Options, test: impl FnOnce(Rc<Stage>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        test(Rc::new(Stage::new(options))).await;
    });
}

/// Lets other tasks run until `done`.
async fn until(mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the condition never came true");
}

/// Lets the connections' tasks do all they can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
