//! Records of the log.
//!
//! All integers little-endian; a record starts at a multiple of 8:
//!
//! ```text
//!  0  crc      u32   of everything behind it: bytes 4 .. 48 + len
//!  4  len      u32   of the payload
//!  8  durable  u32   bytes of this segment that were durable before this record's batch was written
//! 12  magic    u8    0xA7
//! 13  kind     u8
//! 14  zero     u16
//! 16  group    u64
//! 24  term     u64
//! 32  node     u64
//! 40  index    u64
//! 48  payload, zeros up to a multiple of 8
//! ```
//!
//! `durable` tells a torn tail from corruption: a valid record behind a broken one whose `durable`
//! reaches past the break proves that the broken one had been synced.

use std::io;

use bytes::Bytes;

use crate::types::{EntryPayload, LogId, Payload, Vote, committed_leader_id};

pub(super) const HEADER_BYTES: usize = 48;
const MAGIC: u8 = 0xA7;
const ALIGN: usize = 8;
/// Largest payload of a record.
pub(super) const PAYLOAD_BYTES_MAX: usize = (1 << 31) - 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// First record of a segment; index = its number, term = format version.
    Segment = 1,
    /// Last record of a segment that has a successor.
    Seal = 2,
    Blank = 3,
    Normal = 4,
    Membership = 5,
    /// A vote not yet granted by a quorum; `term` and `node` of the candidate.
    Vote = 6,
    /// A vote granted by a quorum.
    LeaderVote = 7,
    Committed = 8,
    /// Entries behind this log id do not exist any more.
    Truncate = 9,
    /// No entry exists any more.
    TruncateAll = 10,
    /// Entries up to this log id are not needed any more.
    Purge = 11,
    /// The group does not exist any more.
    Removed = 12,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Segment,
            2 => Self::Seal,
            3 => Self::Blank,
            4 => Self::Normal,
            5 => Self::Membership,
            6 => Self::Vote,
            7 => Self::LeaderVote,
            8 => Self::Committed,
            9 => Self::Truncate,
            10 => Self::TruncateAll,
            11 => Self::Purge,
            12 => Self::Removed,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    pub len: u32,
    pub durable: u32,
    pub group: u64,
    pub term: u64,
    pub node: u64,
    pub index: u64,
}

impl Header {
    pub fn new(kind: Kind, group: u64) -> Self {
        Self { kind, len: 0, durable: 0, group, term: 0, node: 0, index: 0 }
    }

    pub fn with_log_id(kind: Kind, group: u64, id: &LogId) -> Self {
        let mut header = Self::new(kind, group);
        (header.term, header.node, header.index) = (id.leader_id.term, id.leader_id.node_id, id.index);
        header
    }

    pub fn of_vote(group: u64, vote: &Vote) -> Self {
        let kind = if vote.committed { Kind::LeaderVote } else { Kind::Vote };
        let mut header = Self::new(kind, group);
        (header.term, header.node) = (vote.leader_id.term, vote.leader_id.node_id);
        header
    }

    pub fn log_id(&self) -> LogId {
        LogId::new(committed_leader_id(self.term, self.node), self.index)
    }

    pub fn vote(&self) -> Vote {
        match self.kind {
            Kind::LeaderVote => Vote::new_committed(self.term, self.node),
            _ => Vote::new(self.term, self.node),
        }
    }

    /// Bytes of header and payload, without padding.
    pub fn record_bytes(&self) -> usize {
        HEADER_BYTES + self.len as usize
    }

    pub fn padded_bytes(&self) -> usize {
        self.record_bytes().next_multiple_of(ALIGN)
    }
}

pub(super) fn padded(payload: usize) -> usize {
    (HEADER_BYTES + payload).next_multiple_of(ALIGN)
}

/// Appends a record to `buf`.
pub(super) fn encode(buf: &mut Vec<u8>, header: &Header, payload: &[u8]) {
    let start = buf.len();
    buf.reserve(padded(payload.len()));
    let mut head = [0u8; HEADER_BYTES];
    head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[8..12].copy_from_slice(&header.durable.to_le_bytes());
    head[12] = MAGIC;
    head[13] = header.kind as u8;
    head[16..24].copy_from_slice(&header.group.to_le_bytes());
    head[24..32].copy_from_slice(&header.term.to_le_bytes());
    head[32..40].copy_from_slice(&header.node.to_le_bytes());
    head[40..48].copy_from_slice(&header.index.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[4..]);
    crc.update(payload);
    head[..4].copy_from_slice(&crc.finalize().to_le_bytes());
    buf.extend_from_slice(&head);
    buf.extend_from_slice(payload);
    buf.resize(start + padded(payload.len()), 0);
}

/// The header at the start of `bytes`; its checksum is not looked at.
pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
    if bytes[12] != MAGIC || bytes[14..16] != [0, 0] {
        return None;
    }
    let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
    let header = Header {
        kind: Kind::of(bytes[13])?,
        len: u32_at(4),
        durable: u32_at(8),
        group: u64_at(16),
        term: u64_at(24),
        node: u64_at(32),
        index: u64_at(40),
    };
    (header.len as usize <= PAYLOAD_BYTES_MAX).then_some(header)
}

/// Whether header and payload are what was written.
pub(super) fn is_intact(record: &[u8]) -> bool {
    let Some((crc, rest)) = record.split_first_chunk::<4>() else { return false };
    crc32fast::hash(rest) == u32::from_le_bytes(*crc)
}

/// The payload of an entry as it is written; membership is the only one that needs a buffer.
pub(super) fn payload_of<'a>(
    payload: &'a EntryPayload,
    scratch: &'a mut Vec<u8>,
) -> io::Result<(Kind, &'a [u8])> {
    Ok(match payload {
        EntryPayload::Blank => (Kind::Blank, &[]),
        EntryPayload::Normal(payload) => (Kind::Normal, &payload.0),
        EntryPayload::Membership(membership) => {
            scratch.clear();
            serde_json::to_writer(&mut *scratch, membership)?;
            (Kind::Membership, scratch)
        }
    })
}

/// Reverse of [`payload_of`]; `None` if the record is no entry.
pub(super) fn entry_payload(kind: Kind, payload: Bytes) -> io::Result<Option<EntryPayload>> {
    Ok(Some(match kind {
        Kind::Blank => EntryPayload::Blank,
        Kind::Normal => EntryPayload::Normal(Payload(payload)),
        Kind::Membership => EntryPayload::Membership(serde_json::from_slice(&payload)?),
        _ => return Ok(None),
    }))
}
