//! A group that is being changed: deliveries and acknowledgements.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Stream;
use super::group::{Consumer, Group};
use super::id::StreamId;
use super::parts::owned;
use super::pending::Pending;
use crate::kv::{KvMut, StoreError};

/// What is pending is written at once; the group and its consumers by [`Self::save`], each once.
#[must_use = "what was changed must be saved"]
pub struct GroupEdit {
    stream: Stream,
    name: Bytes,
    group: Group,
    stored: Group,
    consumers: BTreeMap<Bytes, Loaded>,
    /// A consumer came or went, or a delivery changed.
    touched: bool,
}

/// A consumer that was looked at.
struct Loaded {
    consumer: Consumer,
    /// As stored, if it is.
    stored: Option<Consumer>,
}

impl GroupEdit {
    /// The group of `stream` called `name`, if there is one.
    pub fn open(stream: &Stream, kv: &mut dyn KvMut, name: &[u8]) -> Result<Option<Self>, StoreError> {
        let Some(group) = stream.group(kv.as_kv(), name)? else { return Ok(None) };
        let name = Bytes::copy_from_slice(name);
        let consumers = BTreeMap::new();
        Ok(Some(Self { stream: *stream, name, group, stored: group, consumers, touched: false }))
    }

    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Sets up to where the group has read.
    pub fn set_last(&mut self, last: StreamId, entries_read: Option<u64>) {
        (self.group.last, self.group.entries_read) = (last, entries_read);
    }

    /// Raises the last id that was delivered, and nothing else.
    pub fn raise_last(&mut self, last: StreamId) {
        self.group.last = self.group.last.max(last);
    }

    /// Notes that the entry `id` is delivered: the next one, or an earlier one again.
    pub fn advance(&mut self, id: StreamId) {
        self.group.advance(&self.stream.state, id);
    }

    /// The consumer called `name`, if there is one.
    pub fn consumer(&mut self, kv: &mut dyn KvMut, name: &[u8]) -> Result<Option<&mut Consumer>, StoreError> {
        if !self.consumers.contains_key(name) {
            let Some(consumer) = self.stream.consumer(kv.as_kv(), &self.group, name)? else {
                return Ok(None);
            };
            let loaded = Loaded { consumer, stored: Some(consumer) };
            self.consumers.insert(Bytes::copy_from_slice(name), loaded);
        }
        Ok(self.consumers.get_mut(name).map(|loaded| &mut loaded.consumer))
    }

    /// Whether the consumer is new.
    pub fn create_consumer(
        &mut self,
        kv: &mut dyn KvMut,
        name: &[u8],
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        if self.consumer(kv, name)?.is_some() {
            return Ok(false);
        }
        let consumer = Consumer::new(now_ms.cast_signed());
        self.consumers.insert(Bytes::copy_from_slice(name), Loaded { consumer, stored: None });
        self.group.consumers += 1;
        self.touched = true;
        Ok(true)
    }

    /// Notes that a consumer asks for something. Whether it is new.
    pub fn see_consumer(&mut self, kv: &mut dyn KvMut, name: &[u8], now_ms: u64) -> Result<bool, StoreError> {
        let is_new = self.create_consumer(kv, name, now_ms)?;
        if let Some(consumer) = self.consumer(kv, name)? {
            consumer.seen_ms = now_ms.cast_signed();
        }
        Ok(is_new)
    }

    /// Notes that a consumer gets something.
    pub fn activate(&mut self, kv: &mut dyn KvMut, name: &[u8], now_ms: u64) -> Result<(), StoreError> {
        if let Some(consumer) = self.consumer(kv, name)? {
            consumer.active_ms = Some(now_ms.cast_signed());
        }
        Ok(())
    }

    /// The entry `id` is with a consumer from now on, whoever had it.
    pub fn deliver(
        &mut self,
        kv: &mut dyn KvMut,
        id: StreamId,
        delivery: &Pending,
    ) -> Result<(), StoreError> {
        let former = self.stream.pending(kv.as_kv(), &self.group, id)?;
        if former.as_ref().is_none_or(|former| former.consumer != delivery.consumer) {
            match &former {
                Some(former) => self.take_from(kv, &former.consumer, id)?,
                None => self.group.pending += 1,
            }
            let index = self.stream.parts.pending_of(self.group.number, &delivery.consumer, id);
            kv.put(owned(&index), Bytes::new());
            if let Some(consumer) = self.consumer(kv, &delivery.consumer)? {
                consumer.pending += 1;
            }
        }
        self.update(kv, id, delivery);
        Ok(())
    }

    /// Changes a delivery that stays with its consumer.
    pub fn update(&mut self, kv: &mut dyn KvMut, id: StreamId, delivery: &Pending) {
        self.touched = true;
        kv.put(owned(&self.stream.parts.pending(self.group.number, id)), delivery.encode());
    }

    /// Whether the entry `id` was pending; it no longer is.
    pub fn release(&mut self, kv: &mut dyn KvMut, id: StreamId) -> Result<bool, StoreError> {
        let Some(former) = self.stream.pending(kv.as_kv(), &self.group, id)? else { return Ok(false) };
        kv.delete(owned(&self.stream.parts.pending(self.group.number, id)));
        self.group.pending = self.group.pending.saturating_sub(1);
        self.touched = true;
        self.take_from(kv, &former.consumer, id)?;
        Ok(true)
    }

    fn take_from(&mut self, kv: &mut dyn KvMut, consumer: &[u8], id: StreamId) -> Result<(), StoreError> {
        kv.delete(owned(&self.stream.parts.pending_of(self.group.number, consumer, id)));
        if let Some(consumer) = self.consumer(kv, consumer)? {
            consumer.pending = consumer.pending.saturating_sub(1);
        }
        Ok(())
    }

    /// Deletes a consumer and what is pending for it; answers how much that was.
    pub fn delete_consumer(&mut self, kv: &mut dyn KvMut, name: &[u8]) -> Result<u64, StoreError> {
        let Some(pending) = self.consumer(kv, name)?.map(|consumer| consumer.pending) else { return Ok(0) };
        let all = (StreamId::MIN, StreamId::MAX);
        for id in self.stream.pending_ids_of(kv.as_kv(), &self.group, name, all, usize::MAX)? {
            self.release(kv, id)?;
        }
        self.consumers.remove(name);
        kv.delete(owned(&self.stream.parts.consumer(self.group.number, name)));
        self.group.consumers = self.group.consumers.saturating_sub(1);
        self.touched = true;
        Ok(pending)
    }

    /// Whether the group is another one now; times at which consumers came do not count.
    pub fn save(self, kv: &mut dyn KvMut) -> bool {
        for (name, Loaded { consumer, stored }) in &self.consumers {
            if *stored != Some(*consumer) {
                kv.put(owned(&self.stream.parts.consumer(self.group.number, name)), consumer.encode());
            }
        }
        if self.group != self.stored {
            self.stream.put_group(kv, &self.name, &self.group);
        }
        self.touched || self.group != self.stored
    }
}
