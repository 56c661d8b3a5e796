//! Payloads of Raft items. Integers are little-endian; an option is a byte (0 or 1) and the value.
//!
//! ```text
//!  log id   term u64, node u64, index u64
//!  vote     term u64, node u64, committed u8
//!  append   vote, option prev, option commit, count u32, entries
//!  entry    kind u8 (0 blank, 1 normal, 2 membership as JSON), term, node, index, len u32, bytes
//! ```
//!
//! Payloads of decoded entries are slices of the frame they came in.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::types::{
    Entry, EntryPayload, LogId, Payload, SnapshotMeta, TypeConfig, Vote, committed_leader_id,
};

/// The bytes are not what a peer of this version sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed Raft message")]
pub(crate) struct Malformed;

type Decoded<T> = Result<T, Malformed>;

pub(crate) type Append = AppendEntriesRequest<TypeConfig>;
pub(crate) type AppendResult = StreamAppendResult<TypeConfig>;

const ENTRY_HEAD_BYTES: usize = 29;

struct Reader(Bytes);

impl Reader {
    fn u8(&mut self) -> Decoded<u8> {
        self.0.try_get_u8().map_err(|_| Malformed)
    }

    fn u32(&mut self) -> Decoded<u32> {
        self.0.try_get_u32_le().map_err(|_| Malformed)
    }

    fn u64(&mut self) -> Decoded<u64> {
        self.0.try_get_u64_le().map_err(|_| Malformed)
    }

    fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn bytes(&mut self) -> Decoded<Bytes> {
        let len = self.u32()? as usize;
        if len > self.0.len() {
            return Err(Malformed);
        }
        Ok(self.0.split_to(len))
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Decoded<T>) -> Decoded<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    fn log_id(&mut self) -> Decoded<LogId> {
        let (term, node) = (self.u64()?, self.u64()?);
        Ok(LogId::new(committed_leader_id(term, node), self.u64()?))
    }

    fn vote(&mut self) -> Decoded<Vote> {
        let (term, node) = (self.u64()?, self.u64()?);
        Ok(if self.bool()? { Vote::new_committed(term, node) } else { Vote::new(term, node) })
    }

    fn entry(&mut self) -> Decoded<Entry> {
        let kind = self.u8()?;
        let log_id = self.log_id()?;
        let bytes = self.bytes()?;
        let payload = match kind {
            0 if bytes.is_empty() => EntryPayload::Blank,
            1 => EntryPayload::Normal(Payload(bytes)),
            2 => EntryPayload::Membership(serde_json::from_slice(&bytes).map_err(|_| Malformed)?),
            _ => return Err(Malformed),
        };
        Ok(Entry { log_id, payload })
    }

    fn end<T>(self, value: T) -> Decoded<T> {
        if self.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

fn put_log_id(buf: &mut BytesMut, id: &LogId) {
    buf.put_u64_le(id.leader_id.term);
    buf.put_u64_le(id.leader_id.node_id);
    buf.put_u64_le(id.index);
}

fn put_option(buf: &mut BytesMut, id: Option<&LogId>) {
    buf.put_u8(id.is_some().into());
    if let Some(id) = id {
        put_log_id(buf, id);
    }
}

fn put_vote(buf: &mut BytesMut, vote: &Vote) {
    buf.put_u64_le(vote.leader_id.term);
    buf.put_u64_le(vote.leader_id.node_id);
    buf.put_u8(vote.committed.into());
}

fn put_entry(buf: &mut BytesMut, entry: &Entry) {
    let json;
    let (kind, bytes): (u8, &[u8]) = match &entry.payload {
        EntryPayload::Blank => (0, &[]),
        EntryPayload::Normal(payload) => (1, &payload.0),
        EntryPayload::Membership(membership) => {
            // Maps with integer keys and plain structs: nothing here can fail to serialize.
            json = serde_json::to_vec(membership).unwrap_or_default();
            (2, &json)
        }
    };
    buf.put_u8(kind);
    put_log_id(buf, &entry.log_id);
    buf.put_u32_le(bytes.len() as u32);
    buf.put_slice(bytes);
}

pub(crate) fn put_append(request: &Append) -> Bytes {
    let payloads: usize = request.entries.iter().map(entry_bytes).sum();
    let mut buf = BytesMut::with_capacity(80 + payloads);
    put_vote(&mut buf, &request.vote);
    put_option(&mut buf, request.prev_log_id.as_ref());
    put_option(&mut buf, request.leader_commit.as_ref());
    buf.put_u32_le(request.entries.len() as u32);
    for entry in &request.entries {
        put_entry(&mut buf, entry);
    }
    buf.freeze()
}

fn entry_bytes(entry: &Entry) -> usize {
    ENTRY_HEAD_BYTES
        + match &entry.payload {
            EntryPayload::Normal(payload) => payload.0.len(),
            EntryPayload::Blank => 0,
            EntryPayload::Membership(_) => 256,
        }
}

pub(crate) fn get_append(bytes: Bytes) -> Decoded<Append> {
    let mut reader = Reader(bytes);
    let vote = reader.vote()?;
    let prev_log_id = reader.option(Reader::log_id)?;
    let leader_commit = reader.option(Reader::log_id)?;
    let count = reader.u32()? as usize;
    // Never more than the bytes can hold: the count is only a claim.
    if count > reader.0.len() / ENTRY_HEAD_BYTES {
        return Err(Malformed);
    }
    let mut next = prev_log_id.map_or(0, |id: LogId| id.index.wrapping_add(1));
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = reader.entry()?;
        if entry.log_id.index != next {
            return Err(Malformed);
        }
        next = next.checked_add(1).ok_or(Malformed)?;
        entries.push(entry);
    }
    reader.end(Append { vote, prev_log_id, entries, leader_commit })
}

pub(crate) fn put_append_result(result: &AppendResult) -> Bytes {
    let mut buf = BytesMut::with_capacity(32);
    match result {
        Ok(matching) => {
            buf.put_u8(0);
            put_option(&mut buf, matching.as_ref());
        }
        Err(StreamAppendError::Conflict(id)) => {
            buf.put_u8(1);
            put_log_id(&mut buf, id);
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            buf.put_u8(2);
            put_vote(&mut buf, vote);
        }
    }
    buf.freeze()
}

pub(crate) fn get_append_result(bytes: Bytes) -> Decoded<AppendResult> {
    let mut reader = Reader(bytes);
    let result = match reader.u8()? {
        0 => Ok(reader.option(Reader::log_id)?),
        1 => Err(StreamAppendError::Conflict(reader.log_id()?)),
        2 => Err(StreamAppendError::HigherVote(reader.vote()?)),
        _ => return Err(Malformed),
    };
    reader.end(result)
}

pub(crate) fn put_vote_request(request: &VoteRequest<TypeConfig>) -> Bytes {
    let mut buf = BytesMut::with_capacity(48);
    put_vote(&mut buf, &request.vote);
    put_option(&mut buf, request.last_log_id.as_ref());
    buf.put_u8(request.leadership_transfer.into());
    buf.freeze()
}

pub(crate) fn get_vote_request(bytes: Bytes) -> Decoded<VoteRequest<TypeConfig>> {
    let mut reader = Reader(bytes);
    let mut request = VoteRequest::new(reader.vote()?, reader.option(Reader::log_id)?);
    request.leadership_transfer = reader.bool()?;
    reader.end(request)
}

pub(crate) fn put_vote_response(response: &VoteResponse<TypeConfig>) -> Bytes {
    let mut buf = BytesMut::with_capacity(48);
    put_vote(&mut buf, &response.vote);
    put_option(&mut buf, response.last_log_id.as_ref());
    buf.put_u8(response.vote_granted.into());
    buf.freeze()
}

pub(crate) fn get_vote_response(bytes: Bytes) -> Decoded<VoteResponse<TypeConfig>> {
    let mut reader = Reader(bytes);
    let (vote, last_log_id) = (reader.vote()?, reader.option(Reader::log_id)?);
    let granted = reader.bool()?;
    reader.end(VoteResponse::new(vote, last_log_id, granted))
}

pub(crate) fn put_transfer(request: &TransferLeaderRequest<TypeConfig>) -> Bytes {
    let mut buf = BytesMut::with_capacity(56);
    put_vote(&mut buf, request.from_leader());
    buf.put_u64_le(*request.to_node_id());
    put_option(&mut buf, request.last_log_id());
    buf.freeze()
}

pub(crate) fn get_transfer(bytes: Bytes) -> Decoded<TransferLeaderRequest<TypeConfig>> {
    let mut reader = Reader(bytes);
    let (from, to) = (reader.vote()?, reader.u64()?);
    let request = TransferLeaderRequest::new(from, to, reader.option(Reader::log_id)?);
    reader.end(request)
}

pub(crate) fn put_transfer_response(response: &TransferLeaderResponse<TypeConfig>) -> Bytes {
    let mut buf = BytesMut::with_capacity(56);
    match response {
        Ok(()) => buf.put_u8(0),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            buf.put_u8(1);
            put_vote(&mut buf, expected);
            put_vote(&mut buf, actual);
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            buf.put_u8(2);
            put_option(&mut buf, expected.as_ref());
            put_option(&mut buf, actual.as_ref());
        }
    }
    buf.freeze()
}

pub(crate) fn get_transfer_response(bytes: Bytes) -> Decoded<TransferLeaderResponse<TypeConfig>> {
    let mut reader = Reader(bytes);
    let response = match reader.u8()? {
        0 => Ok(()),
        1 => Err(TransferLeaderError::VoteChanged { expected: reader.vote()?, actual: reader.vote()? }),
        2 => Err(TransferLeaderError::LogNotFlushed {
            expected: reader.option(Reader::log_id)?,
            actual: reader.option(Reader::log_id)?,
        }),
        _ => return Err(Malformed),
    };
    reader.end(response)
}

/// Vote, then the snapshot's meta as JSON.
pub(crate) fn put_snapshot_header(vote: &Vote, meta: &SnapshotMeta) -> serde_json::Result<Bytes> {
    let mut buf = BytesMut::new();
    put_vote(&mut buf, vote);
    let json = serde_json::to_vec(&(&meta.last_log_id, &meta.last_membership))?;
    buf.put_slice(&json);
    Ok(buf.freeze())
}

pub(crate) fn get_snapshot_header(bytes: Bytes) -> Decoded<(Vote, SnapshotMeta)> {
    let mut reader = Reader(bytes);
    let vote = reader.vote()?;
    let (last_log_id, last_membership) = serde_json::from_slice(&reader.0).map_err(|_| Malformed)?;
    let meta = SnapshotMeta { last_log_id, last_membership };
    // openraft panics on a snapshot from beyond the leader that sends it.
    match &meta.last_log_id {
        Some(id) if id.leader_id > vote.leader_id => Err(Malformed),
        _ => Ok((vote, meta)),
    }
}

pub(crate) fn put_snapshot_vote(vote: &Vote) -> Bytes {
    let mut buf = BytesMut::new();
    put_vote(&mut buf, vote);
    buf.freeze()
}

pub(crate) fn get_snapshot_vote(bytes: Bytes) -> Decoded<Vote> {
    let mut reader = Reader(bytes);
    let vote = reader.vote()?;
    reader.end(vote)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::types::{Member, Membership, StoredMembership};

    fn log_id() -> impl Strategy<Value = LogId> {
        (any::<u64>(), any::<u64>(), any::<u64>())
            .prop_map(|(term, node, index)| LogId::new(committed_leader_id(term, node), index))
    }

    fn vote() -> impl Strategy<Value = Vote> {
        (any::<u64>(), any::<u64>(), any::<bool>()).prop_map(|(term, node, committed)| {
            if committed { Vote::new_committed(term, node) } else { Vote::new(term, node) }
        })
    }

    fn membership() -> Membership {
        let member = |id: u64| (id, Member { store: id * 7, addr: format!("host{id}:1") });
        let nodes: BTreeMap<u64, Member> = (1..=4).map(member).collect();
        Membership::new(vec![BTreeSet::from([1, 2, 3])], nodes).expect("valid")
    }

    fn payload() -> impl Strategy<Value = EntryPayload> {
        prop_oneof![
            Just(EntryPayload::Blank),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(|b| EntryPayload::Normal(Payload(b.into()))),
            Just(EntryPayload::Membership(membership())),
        ]
    }

    fn append() -> impl Strategy<Value = Append> {
        let payloads = prop::collection::vec(payload(), 0..5);
        (vote(), prop::option::of(log_id()), prop::option::of(log_id()), payloads).prop_map(
            |(vote, prev, leader_commit, payloads)| {
                let prev_log_id = prev.map(|id| LogId::new(id.leader_id, id.index >> 1));
                let next = prev_log_id.map_or(0, |id| id.index + 1);
                let entry = |(payload, index)| Entry {
                    log_id: LogId::new(committed_leader_id(index, 3), index),
                    payload,
                };
                let entries = payloads.into_iter().zip(next..).map(entry).collect();
                Append { vote, prev_log_id, entries, leader_commit }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn appends_round_trip(request in append()) {
            let bytes = put_append(&request);
            let back = get_append(bytes.clone()).expect("decoded");
            prop_assert_eq!(&back.entries, &request.entries);
            prop_assert_eq!((back.vote, back.prev_log_id, back.leader_commit),
                (request.vote, request.prev_log_id, request.leader_commit));
            for cut in 0..bytes.len() {
                prop_assert!(get_append(bytes.slice(..cut)).is_err());
            }
        }

        #[test]
        fn results_and_votes_round_trip(id in prop::option::of(log_id()), vote in vote(), flag in any::<bool>()) {
            for result in [Ok(id), Err(StreamAppendError::HigherVote(vote))] {
                prop_assert_eq!(get_append_result(put_append_result(&result)), Ok(result));
            }
            let mut request = VoteRequest::new(vote, id);
            request.leadership_transfer = flag;
            prop_assert_eq!(get_vote_request(put_vote_request(&request)), Ok(request));
            let response = VoteResponse::new(vote, id, flag);
            prop_assert_eq!(get_vote_response(put_vote_response(&response)), Ok(response));
            let transfer = TransferLeaderRequest::new(vote, 9, id);
            prop_assert_eq!(get_transfer(put_transfer(&transfer)), Ok(transfer));
            let refused = Err(TransferLeaderError::LogNotFlushed { expected: id, actual: None });
            prop_assert_eq!(get_transfer_response(put_transfer_response(&refused)), Ok(refused));
        }

        #[test]
        fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = Bytes::from(bytes);
            let _ = get_append(bytes.clone());
            let _ = get_append_result(bytes.clone());
            let _ = get_vote_request(bytes.clone());
            let _ = get_vote_response(bytes.clone());
            let _ = get_transfer(bytes.clone());
            let _ = get_transfer_response(bytes.clone());
            let _ = get_snapshot_header(bytes);
        }
    }

    #[test]
    fn a_snapshot_from_beyond_its_leader_is_malformed() {
        let meta = |term| SnapshotMeta {
            last_log_id: Some(LogId::new(committed_leader_id(term, 1), 7)),
            last_membership: StoredMembership::new(None, membership()),
        };
        let vote = Vote::new_committed(3, 1);
        let header = |term| put_snapshot_header(&vote, &meta(term)).expect("encoded");
        assert_eq!(get_snapshot_header(header(3)), Ok((vote, meta(3))));
        assert_eq!(get_snapshot_header(header(4)), Err(Malformed));
    }
}
