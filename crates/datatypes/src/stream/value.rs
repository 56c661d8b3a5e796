//! A whole stream in memory: what DUMP writes and RESTORE reads.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::Stream;
use super::edit::StreamEdit;
use super::entries::StreamEntry;
use super::group::{Consumer, Group};
use super::id::StreamId;
use super::leaf::Leaf;
use super::parts::owned;
use super::pending::Pending;
use super::state::State;
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::corrupt;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamValue {
    /// In the order of their entries.
    pub leaves: Vec<LeafValue>,
    pub last: StreamId,
    pub max_deleted: StreamId,
    pub added: u64,
    pub groups: Vec<GroupValue>,
}

/// Entries that follow one another; see [`Leaf`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafValue {
    pub first: StreamId,
    pub last: StreamId,
    pub added: u64,
    pub entries: Vec<StreamEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupValue {
    pub name: Bytes,
    pub last: StreamId,
    pub entries_read: Option<u64>,
    pub consumers: Vec<ConsumerValue>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerValue {
    pub name: Bytes,
    pub seen_ms: i64,
    pub active_ms: Option<i64>,
    /// When and how often each entry was delivered, in the order of ids.
    pub pending: Vec<(StreamId, i64, u64)>,
}

impl StreamValue {
    /// What a head record would tell about it, but for groups and leaves.
    pub fn state(&self) -> State {
        let first = self.leaves.iter().find_map(|leaf| leaf.entries.first());
        State {
            len: self.leaves.iter().map(|leaf| leaf.entries.len() as u64).sum(),
            last: self.last,
            first: first.map_or(StreamId::MIN, |entry| entry.id),
            max_deleted: self.max_deleted,
            added: self.added,
            ..State::default()
        }
    }
}

impl Stream {
    /// All of it.
    pub fn value(&self, kv: &mut dyn Kv) -> Result<StreamValue, StoreError> {
        let state = &self.state;
        let mut groups = Vec::new();
        for (name, group) in self.groups(kv)? {
            groups.push(self.group_value(kv, name, &group)?);
        }
        let (last, max_deleted, added) = (state.last, state.max_deleted, state.added);
        Ok(StreamValue { leaves: self.leaf_values(kv)?, last, max_deleted, added, groups })
    }

    fn leaf_values(&self, kv: &mut dyn Kv) -> Result<Vec<LeafValue>, StoreError> {
        let mut leaves = Vec::new();
        let mut next = Some(self.state.first).filter(|_| self.state.len > 0);
        while let Some(id) = next {
            let Leaf { first, last, added, .. } = self.leaf_before(kv, id)?.ok_or_else(corrupt)?;
            let entries = self.range(kv, first, last, usize::MAX)?;
            leaves.push(LeafValue { first, last, added, entries });
            next = self.id_after(kv, last)?;
        }
        Ok(leaves)
    }

    fn group_value(&self, kv: &mut dyn Kv, name: Bytes, group: &Group) -> Result<GroupValue, StoreError> {
        let mut pending = BTreeMap::<Bytes, Vec<_>>::new();
        self.each_pending(kv, group, StreamId::MIN, StreamId::MAX, &mut |id, delivery| {
            let Pending { delivered_ms, deliveries, consumer } = delivery;
            pending.entry(consumer).or_default().push((id, delivered_ms, deliveries));
            ControlFlow::Continue(())
        })?;
        let consumers = self.consumers(kv, group)?.into_iter().map(|(name, consumer)| ConsumerValue {
            seen_ms: consumer.seen_ms,
            active_ms: consumer.active_ms,
            pending: pending.remove(&name).unwrap_or_default(),
            name,
        });
        let consumers = consumers.collect();
        Ok(GroupValue { name, last: group.last, entries_read: group.entries_read, consumers })
    }

    fn fill(&mut self, kv: &mut dyn KvMut, value: &StreamValue) {
        self.state = value.state();
        for leaf in value.leaves.iter().filter(|leaf| !leaf.entries.is_empty()) {
            self.fill_leaf(kv, leaf);
        }
        value.groups.iter().for_each(|group| self.fill_group(kv, group));
    }

    fn fill_leaf(&mut self, kv: &mut dyn KvMut, value: &LeafValue) {
        let mut leaf = Leaf::starting(value.first);
        for entry in &value.entries {
            self.put_entry(kv, entry.id, &entry.fields);
            leaf.add(entry.id, &entry.fields);
        }
        self.push_leaf(kv, Leaf { last: value.last, added: value.added.max(leaf.live), ..leaf });
    }

    fn fill_group(&mut self, kv: &mut dyn KvMut, value: &GroupValue) {
        let number = self.state.next_group;
        self.state.next_group += 1;
        self.state.groups += 1;
        let mut pending = 0;
        for consumer in &value.consumers {
            self.fill_consumer(kv, number, consumer);
            pending += consumer.pending.len() as u64;
        }
        let consumers = value.consumers.len() as u64;
        let (last, entries_read) = (value.last, value.entries_read);
        self.put_group(kv, &value.name, &Group { number, last, entries_read, consumers, pending });
    }

    fn fill_consumer(&self, kv: &mut dyn KvMut, group: u64, value: &ConsumerValue) {
        for &(id, delivered_ms, deliveries) in &value.pending {
            let delivery = Pending { delivered_ms, deliveries, consumer: value.name.clone() };
            kv.put(owned(&self.parts.pending(group, id)), delivery.encode());
            kv.put(owned(&self.parts.pending_of(group, &value.name, id)), Bytes::new());
        }
        let (seen_ms, active_ms) = (value.seen_ms, value.active_ms);
        let consumer = Consumer { seen_ms, active_ms, pending: value.pending.len() as u64 };
        kv.put(owned(&self.parts.consumer(group, &value.name)), consumer.encode());
    }
}

impl StreamEdit<'_, '_> {
    /// Puts a value into a stream that is new.
    pub fn fill(&mut self, value: &StreamValue) {
        let (stream, kv) = self.split();
        stream.fill(kv, value);
    }
}
