//! The server that keys are sent to.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use daemon::env::{BoxIo, Net};
use resp::{
    Protocol, Reply,
    encode::{put_bulk, put_head},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::Wish;
use crate::cluster::address_of;

/// A reply to what is sent here is a line; who answers with more is no Redis.
const REPLY_BYTES_MAX: usize = 64 << 10;
const WRITE_BYTES_MAX: usize = 64 << 10;

/// One key, as it is created there.
pub struct Restore {
    pub key: Bytes,
    pub ttl_ms: i64,
    pub payload: Bytes,
    pub replaces: bool,
}

/// What became of some keys.
pub struct Moved {
    /// Those that the server has taken.
    pub keys: Vec<Bytes>,
    /// Why it has not taken the others.
    pub refusal: Option<Reply>,
}

/// A server, and the connection to it once there is one.
pub struct Destination<'a> {
    net: &'a dyn Net,
    wish: &'a Wish,
    /// As a node of a cluster does it.
    asking: bool,
    open: Option<Conversation>,
}

impl<'a> Destination<'a> {
    pub fn new(net: &'a dyn Net, wish: &'a Wish, asking: bool) -> Self {
        Self { net, wish, asking, open: None }
    }

    pub async fn restore(&mut self, restores: &[Restore]) -> Moved {
        let mut keys = Vec::new();
        let refusal = self.restore_all(restores, &mut keys).await.err();
        Moved { keys, refusal }
    }

    async fn restore_all(&mut self, restores: &[Restore], moved: &mut Vec<Bytes>) -> Result<(), Reply> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.log_in().await?,
        };
        let mut out = Vec::new();
        for restore in restores {
            self.put(&mut out, restore);
        }
        open.send(&out).await?;
        // Each key has its answer, also behind one that is refused.
        let mut refused = Ok(());
        for restore in restores {
            match open.answer().await? {
                None => moved.push(restore.key.clone()),
                Some(refusal) => refused = refused.and(Err(refusal)),
            }
        }
        self.open = Some(open);
        refused
    }

    async fn log_in(&self) -> Result<Conversation, Reply> {
        let Wish { host, port, db, timeout, login, .. } = self.wish;
        let failed = || Reply::error("IOERR error or timeout connecting to the client");
        let address = port.parse().map(|port| address_of(host, port)).map_err(|_| failed())?;
        let io = tokio::time::timeout(*timeout, self.net.dial(&address)).await;
        let Ok(Ok(io)) = io else { return Err(failed()) };
        let mut open = Conversation { io, received: BytesMut::new(), timeout: *timeout };
        let mut out = Vec::new();
        if !login.is_empty() {
            put(&mut out, &b"AUTH"[..], login.iter().map(|word| &word[..]));
        }
        put(&mut out, &b"SELECT"[..], [db.to_string().as_bytes()].into_iter());
        open.send(&out).await?;
        for _ in 0..=usize::from(!login.is_empty()) {
            if let Some(refusal) = open.answer().await? {
                return Err(refusal);
            }
        }
        Ok(open)
    }

    fn put(&self, out: &mut Vec<u8>, restore: &Restore) {
        let name: &[u8] = if self.asking { b"RESTORE-ASKING" } else { b"RESTORE" };
        let ttl = restore.ttl_ms.to_string();
        let args = [&restore.key[..], ttl.as_bytes(), &restore.payload];
        put(out, name, args.into_iter().chain(restore.replaces.then_some(&b"REPLACE"[..])));
    }
}

fn put<'a>(out: &mut Vec<u8>, name: &[u8], args: impl Iterator<Item = &'a [u8]> + Clone) {
    put_head(out, b'*', 1 + args.clone().count());
    put_bulk(out, name);
    args.for_each(|arg| put_bulk(out, arg));
}

struct Conversation {
    io: BoxIo,
    received: BytesMut,
    /// Of one step.
    timeout: Duration,
}

impl Conversation {
    async fn send(&mut self, bytes: &[u8]) -> Result<(), Reply> {
        for piece in bytes.chunks(WRITE_BYTES_MAX) {
            let sent = timeout(self.timeout, async {
                self.io.write_all(piece).await?;
                self.io.flush().await
            });
            if !matches!(sent.await, Ok(Ok(()))) {
                return Err(Reply::error("IOERR error or timeout writing to target instance"));
            }
        }
        Ok(())
    }

    /// `None`: it was done; else what the client is told.
    async fn answer(&mut self) -> Result<Option<Reply>, Reply> {
        let Ok(Ok(reply)) = timeout(self.timeout, self.read()).await else {
            return Err(Reply::error("IOERR error or timeout reading to target instance"));
        };
        let Reply::Error(text) = reply else { return Ok(None) };
        let text = [b"ERR Target instance replied with error: ", &text[..]].concat();
        Ok(Some(Reply::Error(text.into())))
    }

    async fn read(&mut self) -> io::Result<Reply> {
        loop {
            let end = self.received.windows(2).position(|pair| pair == b"\r\n");
            if let Some(end) = end {
                let line = self.received.split_to(end + 2).freeze();
                return match resp::parse(&line, Protocol::Resp2) {
                    Ok(Some((reply @ (Reply::Simple(_) | Reply::Status(_) | Reply::Error(_)), _))) => {
                        Ok(reply)
                    }
                    _ => Err(io::ErrorKind::InvalidData.into()),
                };
            }
            if self.received.len() > REPLY_BYTES_MAX || self.io.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
