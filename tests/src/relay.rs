//! A TCP relay that holds what it passes on back for a random while, in both directions: a slow
//! network between two processes of a test.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
    time::Duration,
};

use daemon::env::Env;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::sim::rng::Rng;

/// Chunks on their way through one direction of a connection.
const CHUNKS_QUEUED: usize = 1024;

/// Lives as long as the runtime it was started on.
pub struct Relay {
    address: SocketAddr,
    target: Arc<OnceLock<String>>,
}

impl Relay {
    /// Listens on a free port. Each chunk is held back for a random time in `delay_ms`; the order stays.
    pub async fn start(delay_ms: RangeInclusive<u64>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let relay = Self { address: listener.local_addr()?, target: Arc::default() };
        tokio::spawn(accept(listener, relay.target.clone(), delay_ms));
        Ok(relay)
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where connections lead; until this is set they are closed.
    pub fn lead_to(&self, target: String) {
        let _only_the_first_counts = self.target.set(target);
    }
}

async fn accept(listener: TcpListener, target: Arc<OnceLock<String>>, delay_ms: RangeInclusive<u64>) {
    while let Ok((near, _)) = listener.accept().await {
        let Some(target) = target.get().cloned() else { continue };
        let delay_ms = delay_ms.clone();
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(target).await else { return };
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(pass(near_read, far_write, delay_ms.clone()));
            pass(far_read, near_write, delay_ms).await;
        });
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin + Send + 'static,
    delay_ms: RangeInclusive<u64>,
) {
    let (queue, chunks) = mpsc::channel(CHUNKS_QUEUED);
    tokio::spawn(deliver(to, chunks));
    let mut random = Rng::new(Env::real().entropy.next_u64(), "relay");
    loop {
        let mut chunk = vec![0; 16 * 1024];
        let Ok(read @ 1..) = from.read(&mut chunk).await else { return };
        chunk.truncate(read);
        let hold = Duration::from_millis(random.range(*delay_ms.start(), delay_ms.end() + 1));
        if queue.send((Instant::now() + hold, chunk)).await.is_err() {
            return;
        }
    }
}

async fn deliver(mut to: impl AsyncWrite + Unpin, mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>) {
    while let Some((due, chunk)) = chunks.recv().await {
        sleep_until(due).await;
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}
