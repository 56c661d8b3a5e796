//! The seams of a server, answered by the simulation.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use daemon::env::{BoxFuture, BoxIo, Clock, Entropy, Env, Listener, Net};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use super::{determinism::EPOCH_MS, rng::Rng, trace::Trace};

/// Simulated milliseconds since the beginning, as the current host knows them.
pub fn elapsed_ms() -> u64 {
    turmoil::sim_elapsed().map_or(0, |elapsed| elapsed.as_millis() as u64)
}

/// How far a host's wall clock is off, ms; the nemesis turns it.
#[derive(Clone, Default)]
pub struct Skew(Arc<AtomicI64>);

impl Skew {
    pub fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

/// The environment of one run of the process on host `name`.
pub fn env(seed: u64, name: &str, start: u64, skew: Skew, trace: Trace) -> Env {
    Env {
        clock: Arc::new(SimClock { skew, last: AtomicU64::new(0) }),
        entropy: Arc::new(SimEntropy(Mutex::new(Rng::new(seed, &format!("{name}/{start}"))))),
        net: Arc::new(SimNet { host: name.into(), trace }),
    }
}

struct SimClock {
    skew: Skew,
    /// Answered while a host is being torn down and its time is not known any more.
    last: AtomicU64,
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        let Some(elapsed) = turmoil::sim_elapsed() else { return self.last.load(Ordering::Relaxed) };
        let true_ms = EPOCH_MS + elapsed.as_millis() as u64;
        let now = true_ms.saturating_add_signed(self.skew.0.load(Ordering::Relaxed));
        self.last.store(now, Ordering::Relaxed);
        now
    }
}

struct SimEntropy(Mutex<Rng>);

impl Entropy for SimEntropy {
    fn next_u64(&self) -> u64 {
        self.0.lock().u64()
    }
}

struct SimNet {
    host: Arc<str>,
    trace: Trace,
}

impl Net for SimNet {
    fn dial<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let io = TcpStream::connect(addr).await?;
            Ok(Box::new(Traced { io, host: self.host.clone(), trace: self.trace.clone() }) as BoxIo)
        })
    }

    fn bind<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(addr).await?;
            let listener = SimListener { listener, host: self.host.clone(), trace: self.trace.clone() };
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }
}

struct SimListener {
    listener: TcpListener,
    host: Arc<str>,
    trace: Trace,
}

impl Listener for SimListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, SocketAddr)>> {
        Box::pin(async move {
            let (io, peer) = self.listener.accept().await?;
            let io = Traced { io, host: self.host.clone(), trace: self.trace.clone() };
            Ok((Box::new(io) as BoxIo, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose written bytes go into the trace.
pub struct Traced {
    pub io: TcpStream,
    pub host: Arc<str>,
    pub trace: Trace,
}

impl AsyncRead for Traced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Traced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = result {
            self.trace.note(elapsed_ms(), &self.host, &bytes[..written]);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
