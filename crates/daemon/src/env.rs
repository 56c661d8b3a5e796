//! The seams between a process and the world: clock, randomness, network. Production passes
//! [`Env::real`]; the deterministic simulation passes its own. Timers are tokio's (the simulation
//! controls them); only the wall clock needs a seam.

use std::{future::Future, io, pin::Pin, sync::Arc, time::SystemTime};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpSocket,
};

/// Bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection of either side.
pub type BoxIo = Box<dyn Io>;
/// A boxed future, for the object-safe traits below.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Wall clock. May jump; whoever needs monotone time takes the maximum with what it saw last.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
}

/// Randomness for ids and jitter, and some that nobody can guess.
pub trait Entropy: Send + Sync + 'static {
    fn next_u64(&self) -> u64;

    /// Randomness for secrets.
    fn fill_secret(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Accepts connections.
pub trait Listener: Send + 'static {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, std::net::SocketAddr)>>;
    fn local_addr(&self) -> io::Result<std::net::SocketAddr>;
}

/// Dials and binds.
pub trait Net: Send + Sync + 'static {
    /// `addr` is host:port.
    fn dial<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<BoxIo>>;
    /// `addr` is host:port; port 0 picks a free one.
    fn bind<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;
    /// Like `bind`, for an address that several threads of the process listen on: the system
    /// spreads the connections over them.
    fn bind_shared<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        self.bind(addr)
    }
}

/// What a process takes from outside.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub net: Arc<dyn Net>,
}

impl Env {
    /// The real world.
    pub fn real() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy), net: Arc::new(Tcp) }
    }
}

struct SystemClock;

impl Clock for SystemClock {
    // The one place that reads the wall clock.
    #[allow(clippy::disallowed_methods)]
    fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
    }
}

struct OsEntropy;

impl Entropy for OsEntropy {
    fn next_u64(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        // Seeded by the operating system, different at every call.
        std::collections::hash_map::RandomState::new().build_hasher().finish()
    }

    fn fill_secret(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has randomness");
    }
}

struct Tcp;

struct TcpListener(tokio::net::TcpListener);

impl Listener for TcpListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, std::net::SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as BoxIo, peer))
        })
    }

    fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.0.local_addr()
    }
}

impl Net for Tcp {
    fn dial<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }

    fn bind<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = tokio::net::TcpListener::bind(addr).await?;
            Ok(Box::new(TcpListener(listener)) as Box<dyn Listener>)
        })
    }

    fn bind_shared<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        const BACKLOG: u32 = 1024;
        Box::pin(async move {
            let resolved = tokio::net::lookup_host(addr).await?.next();
            let addr = resolved.ok_or_else(|| io::Error::other(format!("no address for {addr}")))?;
            let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.set_reuseport(true)?;
            socket.bind(addr)?;
            Ok(Box::new(TcpListener(socket.listen(BACKLOG)?)) as Box<dyn Listener>)
        })
    }
}
