//! The table that makes retries harmless: for each proxy session, the last batch that took effect
//! and the replies that its proxy has not acknowledged yet.
//!
//! Part of the replicated state: equal on every replica at equal applied index.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use commands::wire::put_bytes;

use super::effects::{Malformed, SessionRecord, take_string, take_u64};

/// One session of one group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// Highest sequence number that took effect.
    pub last_seq: u64,
    /// Group time of the last change, ms.
    pub active_ms: u64,
    /// Unacknowledged replies, ascending by sequence number.
    replies: VecDeque<(u64, Bytes)>,
    dirty: bool,
}

impl Session {
    /// The replies of a batch that took effect, unless they were acknowledged before.
    pub fn replies_of(&self, seq: u64) -> Option<Bytes> {
        self.replies.iter().find(|(s, _)| *s == seq).map(|(_, r)| r.clone())
    }

    fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        out.extend_from_slice(&self.last_seq.to_le_bytes());
        out.extend_from_slice(&self.active_ms.to_le_bytes());
        for (seq, replies) in &self.replies {
            out.extend_from_slice(&seq.to_le_bytes());
            put_bytes(&mut out, replies);
        }
        Bytes::from(out)
    }

    fn decode(mut rest: Bytes) -> Result<Self, Malformed> {
        let (last_seq, active_ms) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
        let mut replies = VecDeque::new();
        while !rest.is_empty() {
            replies.push_back((take_u64(&mut rest)?, take_string(&mut rest)?));
        }
        Ok(Self { last_seq, active_ms, replies, dirty: false })
    }
}

/// All sessions of a group.
#[derive(Debug, Default)]
pub struct Sessions {
    table: BTreeMap<u64, Session>,
    dropped: Vec<u64>,
}

impl Sessions {
    pub fn get(&self, id: u64) -> Option<&Session> {
        self.table.get(&id)
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Applies the outcome of one batch. Sequence numbers that are not the next one change nothing:
    /// the evaluator admits a batch once, so this is damage control, not a protocol.
    pub fn apply(&mut self, record: SessionRecord, time_ms: u64) {
        if record.seq == 0 {
            if self.table.remove(&record.id).is_some() {
                self.dropped.push(record.id);
            }
            return;
        }
        let session = self.table.entry(record.id).or_default();
        if record.seq <= session.last_seq {
            return;
        }
        session.last_seq = record.seq;
        session.active_ms = time_ms;
        session.dirty = true;
        while session.replies.front().is_some_and(|(seq, _)| *seq <= record.acked) {
            session.replies.pop_front();
        }
        // The entry's buffer would live as long as this slice of it.
        session.replies.push_back((record.seq, Bytes::copy_from_slice(&record.replies)));
    }

    /// Sessions silent since before `horizon_ms` of group time.
    pub fn idle_since(&self, horizon_ms: u64) -> impl Iterator<Item = u64> + '_ {
        self.table.iter().filter(move |(_, s)| s.active_ms < horizon_ms).map(|(&id, _)| id)
    }

    /// What changed since the last call, to be stored: None removes.
    pub fn take_changes(&mut self) -> Vec<(u64, Option<Bytes>)> {
        let mut changes: Vec<_> = self.dropped.drain(..).map(|id| (id, None)).collect();
        for (&id, session) in self.table.iter_mut().filter(|(_, s)| s.dirty) {
            session.dirty = false;
            changes.push((id, Some(session.encode())));
        }
        changes
    }

    /// Puts a stored session back.
    pub fn load(&mut self, id: u64, stored: Bytes) -> Result<(), Malformed> {
        self.table.insert(id, Session::decode(stored)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64, acked: u64) -> SessionRecord {
        SessionRecord { id: 1, seq, acked, replies: Bytes::from(format!("+{seq}\r\n")) }
    }

    #[test]
    fn replies_stay_until_acknowledged() {
        let mut sessions = Sessions::default();
        for seq in 1..=4 {
            sessions.apply(record(seq, seq.saturating_sub(3)), 10);
        }
        let session = sessions.get(1).unwrap();
        assert_eq!(session.replies_of(1), None);
        assert_eq!(session.replies_of(2).unwrap(), "+2\r\n");
        sessions.apply(record(3, 3), 11);
        assert_eq!(sessions.get(1).unwrap().last_seq, 4, "an old number changes nothing");
    }

    #[test]
    fn stored_sessions_come_back_equal() {
        let mut sessions = Sessions::default();
        sessions.apply(record(1, 0), 10);
        sessions.apply(record(2, 0), 11);
        let changes = sessions.take_changes();
        assert!(sessions.take_changes().is_empty());
        let mut again = Sessions::default();
        again.load(changes[0].0, changes[0].1.clone().unwrap()).unwrap();
        assert_eq!(again.get(1), sessions.get(1));
    }

    #[test]
    fn idle_sessions_are_found_and_dropped() {
        let mut sessions = Sessions::default();
        sessions.apply(record(1, 0), 10);
        assert_eq!(sessions.idle_since(11).collect::<Vec<_>>(), [1]);
        sessions.apply(SessionRecord { id: 1, seq: 0, acked: 0, replies: Bytes::new() }, 20);
        assert!(sessions.get(1).is_none());
        assert_eq!(sessions.take_changes(), [(1, None)]);
    }
}
