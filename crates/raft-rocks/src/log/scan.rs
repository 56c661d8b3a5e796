//! Reads a segment from its beginning, record by record, and judges how it ends.

use std::{io, sync::Arc};

use super::{
    disk::DiskFile,
    record::{self, HEADER_BYTES, Header, Kind},
};

const WINDOW_BYTES: usize = 1 << 20;
const ALIGN: u64 = 8;

/// Damage that is not a torn tail.
#[derive(Debug, thiserror::Error)]
#[error("log file {file} is corrupt at offset {offset}: {reason}")]
pub struct Corruption {
    pub file: String,
    pub offset: u64,
    pub reason: &'static str,
}

impl From<Corruption> for io::Error {
    fn from(corruption: Corruption) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, corruption)
    }
}

/// A sliding window over a file.
pub(super) struct Scanner {
    file: Arc<dyn DiskFile>,
    size: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl Scanner {
    pub fn new(file: Arc<dyn DiskFile>) -> io::Result<Self> {
        let size = file.size()?;
        Ok(Self { file, size, window: Vec::new(), window_at: 0 })
    }

    /// `len` bytes at `offset`, or `None` behind the end of the file.
    fn bytes(&mut self, offset: u64, len: usize) -> io::Result<Option<&[u8]>> {
        if offset + len as u64 > self.size {
            return Ok(None);
        }
        let window_end = self.window_at + self.window.len() as u64;
        if offset < self.window_at || offset + len as u64 > window_end {
            let wanted = WINDOW_BYTES.max(len).min((self.size - offset) as usize);
            self.window.resize(wanted, 0);
            self.window.shrink_to(2 * WINDOW_BYTES);
            self.file.read_at(offset, &mut self.window)?;
            self.window_at = offset;
        }
        let start = (offset - self.window_at) as usize;
        Ok(Some(&self.window[start..start + len]))
    }

    /// The intact record at `offset`.
    pub fn record(&mut self, offset: u64) -> io::Result<Option<Header>> {
        let Some(bytes) = self.bytes(offset, HEADER_BYTES)? else { return Ok(None) };
        let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let Some(header) = record::parse(head) else { return Ok(None) };
        let Some(bytes) = self.bytes(offset, header.record_bytes())? else { return Ok(None) };
        Ok(record::is_intact(bytes).then_some(header))
    }

    /// Whether the file proves that it was durable beyond `offset`, where no intact record is.
    pub fn was_durable_beyond(&mut self, offset: u64) -> io::Result<bool> {
        let mut at = offset + ALIGN;
        while let Some(bytes) = self.bytes(at, ALIGN as usize * 2)? {
            // Zeros are passed quickly; the magic byte is the fifth of the second word.
            let candidate = bytes[12] != 0;
            if candidate
                && let Some(header) = self.record(at)?
                && u64::from(header.durable) > offset
                && header.kind != Kind::Segment
            {
                return Ok(true);
            }
            at += ALIGN;
        }
        Ok(false)
    }
}
