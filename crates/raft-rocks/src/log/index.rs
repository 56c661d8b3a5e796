//! What a group keeps in memory: vote, commit and purge state, and an index of its live entries.
//! Recent entries are cached whole; older ones are known by their place in the log.
//!
//! Invariants: indices are contiguous; an entry is cached or written, mostly both; entries before
//! `cache_from` are not cached.

use std::{collections::VecDeque, io};

use tokio::time::Instant;

use super::record::HEADER_BYTES;
use crate::types::{CommittedLeaderId, Entry, EntryPayload, LogId, Vote};

/// Where a record lies. Segment 0 does not exist: not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Location {
    pub segment: u32,
    pub offset: u32,
    /// Header and payload.
    pub bytes: u32,
}

impl Location {
    fn is_written(&self) -> bool {
        self.segment != 0
    }
}

#[derive(Debug)]
struct Slot {
    leader: CommittedLeaderId,
    payload: Option<EntryPayload>,
    location: Location,
}

/// An entry as a reader finds it.
#[derive(Debug)]
pub(super) enum Found {
    Cached(Entry),
    Written(LogId, Location),
}

/// Memory a cached entry takes.
fn weight(payload: &EntryPayload) -> usize {
    match payload {
        EntryPayload::Normal(payload) => payload.0.len() + HEADER_BYTES,
        EntryPayload::Blank => HEADER_BYTES,
        EntryPayload::Membership(_) => 1024,
    }
}

#[derive(Debug, Default)]
pub(super) struct GroupState {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    /// When `committed` came to be what it is, since the log was opened.
    pub committed_at: Option<Instant>,
    /// Set when `committed` changed since it was last queued.
    pub committed_dirty: bool,
    pub purged: Option<LogId>,
    /// Index of `slots[0]`.
    first: u64,
    slots: VecDeque<Slot>,
    cache_from: u64,
    cached_bytes: usize,
    /// Written bytes of the live entries.
    live_bytes: u64,
    /// Written bytes of all entries since the log was opened, and of those found then.
    written_bytes: u64,
}

impl GroupState {
    pub fn last(&self) -> Option<LogId> {
        match self.slots.back() {
            Some(slot) => Some(LogId::new(slot.leader, self.first + self.slots.len() as u64 - 1)),
            None => self.purged,
        }
    }

    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    fn add_bytes(&mut self, location: Location) {
        self.live_bytes += u64::from(location.bytes);
        self.written_bytes += u64::from(location.bytes);
    }

    pub fn first_index(&self) -> Option<u64> {
        (!self.slots.is_empty()).then_some(self.first)
    }

    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn push(&mut self, id: LogId, slot: Slot) -> io::Result<()> {
        if self.slots.is_empty() {
            self.first = id.index;
            self.cache_from = id.index;
            if self.purged.is_some_and(|purged| id.index <= purged.index) {
                return Err(io::Error::other(format!("entry {id} is purged already")));
            }
        } else if id.index != self.end() {
            return Err(io::Error::other(format!("entry {id} does not follow {}", self.end() - 1)));
        }
        self.slots.push_back(slot);
        Ok(())
    }

    /// Adds an entry that is about to be written.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        let payload = Some(entry.payload.clone());
        let slot = Slot { leader: entry.log_id.leader_id, payload, location: Location::default() };
        self.push(entry.log_id, slot)?;
        self.cached_bytes += weight(&entry.payload);
        Ok(())
    }

    /// Adds an entry found in the log at start.
    pub fn recover(&mut self, id: LogId, location: Location) -> io::Result<()> {
        self.push(id, Slot { leader: id.leader_id, payload: None, location })?;
        self.add_bytes(location);
        self.cache_from = self.end();
        Ok(())
    }

    /// Notes where the entry `id` was written, unless it was truncated or purged meanwhile.
    pub fn written(&mut self, id: LogId, location: Location) {
        let Some(at) = id.index.checked_sub(self.first) else { return };
        if let Some(slot) = self.slots.get_mut(at as usize)
            && slot.leader == id.leader_id
            && !slot.location.is_written()
        {
            slot.location = location;
            self.add_bytes(location);
        }
    }

    /// Forgets cached payloads, oldest first, until at most `bytes_max` remain.
    pub fn trim_cache(&mut self, bytes_max: usize) {
        while self.cached_bytes > bytes_max {
            let Some(slot) = self.slots.get_mut((self.cache_from - self.first) as usize) else { return };
            if !slot.location.is_written() {
                return;
            }
            if let Some(payload) = slot.payload.take() {
                self.cached_bytes -= weight(&payload);
            }
            self.cache_from += 1;
        }
    }

    fn forget(&mut self, slot: &Slot) {
        if let Some(payload) = &slot.payload {
            self.cached_bytes -= weight(payload);
        }
        self.live_bytes -= if slot.location.is_written() { u64::from(slot.location.bytes) } else { 0 };
    }

    /// Removes every entry behind `last`.
    pub fn truncate_after(&mut self, last: Option<LogId>) {
        let keep_to = last.map_or(0, |last| last.index + 1);
        while self.end() > keep_to {
            let Some(slot) = self.slots.pop_back() else { break };
            self.forget(&slot);
        }
        self.cache_from = self.cache_from.min(self.end());
    }

    /// Removes every entry up to `upto`, which may lie behind the last one.
    pub fn purge(&mut self, upto: LogId) {
        if self.purged.is_some_and(|purged| purged >= upto) {
            return;
        }
        while self.first <= upto.index {
            let Some(slot) = self.slots.pop_front() else { break };
            self.forget(&slot);
            self.first += 1;
        }
        self.cache_from = self.cache_from.max(self.first);
        self.purged = Some(upto);
    }

    /// Entries of `start..end` as far as they exist, at least one, then as many as fit `bytes_max`.
    pub fn read(&self, start: u64, end: u64, bytes_max: usize) -> Vec<Found> {
        let start = start.max(self.first);
        let end = end.min(self.end());
        let mut found = Vec::with_capacity(end.saturating_sub(start).min(1024) as usize);
        let mut bytes = 0;
        for index in start..end {
            let slot = &self.slots[(index - self.first) as usize];
            let id = LogId::new(slot.leader, index);
            let (item, size) = match &slot.payload {
                Some(payload) => {
                    let size = weight(payload);
                    (Found::Cached(Entry { log_id: id, payload: payload.clone() }), size)
                }
                None => (Found::Written(id, slot.location), slot.location.bytes as usize),
            };
            bytes += size;
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(item);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::types::{Payload, committed_leader_id};

    fn id(index: u64) -> LogId {
        LogId::new(committed_leader_id(1, 1), index)
    }

    fn entry(index: u64, bytes: usize) -> Entry {
        Entry { log_id: id(index), payload: EntryPayload::Normal(Payload(Bytes::from(vec![7; bytes]))) }
    }

    fn filled(count: u64) -> GroupState {
        let mut state = GroupState::default();
        for index in 1..=count {
            state.append(&entry(index, 100)).expect("contiguous");
        }
        state
    }

    #[test]
    fn unwritten_entries_stay_cached() {
        let mut state = filled(10);
        state.trim_cache(0);
        assert!(state.read(1, 11, usize::MAX).iter().all(|found| matches!(found, Found::Cached(_))));
        for index in 1..=10 {
            state.written(id(index), Location { segment: 1, offset: 0, bytes: 148 });
        }
        state.trim_cache(3 * 148);
        let cached = state.read(1, 11, usize::MAX).iter().filter(|f| matches!(f, Found::Cached(_))).count();
        assert_eq!(cached, 3);
        state.purge(id(9));
        state.truncate_after(Some(id(9)));
        assert_eq!((state.cached_bytes, state.live_bytes, state.last()), (0, 0, Some(id(9))));
    }

    #[test]
    fn reads_are_bounded_but_never_empty() {
        let state = filled(10);
        assert_eq!(state.read(1, 11, 1).len(), 1);
        assert_eq!(state.read(1, 11, 300).len(), 2);
        assert_eq!(state.read(5, 100, usize::MAX).len(), 6);
    }

    #[test]
    fn gaps_are_refused_and_purge_may_pass_the_end() {
        let mut state = filled(3);
        assert!(state.append(&entry(5, 1)).is_err());
        state.purge(id(20));
        assert_eq!(state.last(), Some(id(20)));
        assert!(state.append(&entry(20, 1)).is_err());
        state.append(&entry(21, 1)).expect("follows the purged id");
    }
}
