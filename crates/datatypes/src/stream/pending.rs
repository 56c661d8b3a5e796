//! Pending entries: delivered to a consumer and not acknowledged yet.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::Stream;
use super::codec::{Source, put_bytes, put_i64, put_u64};
use super::group::Group;
use super::id::StreamId;
use super::parts::scan_ids;
use crate::kv::{Kv, StoreError};

/// Pending entries that are read to see whether one is the last.
const PROBE: usize = 64;

/// The delivery of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// When, in Unix milliseconds.
    pub delivered_ms: i64,
    /// How often.
    pub deliveries: u64,
    /// To whom.
    pub consumer: Bytes,
}

/// Called for each pending entry, in the order of ids.
pub type VisitPending<'a> = dyn FnMut(StreamId, Pending) -> ControlFlow<()> + 'a;

impl Pending {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(16 + self.consumer.len());
        put_i64(&mut out, self.delivered_ms);
        put_u64(&mut out, self.deliveries);
        put_bytes(&mut out, &self.consumer);
        Bytes::from(out)
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, StoreError> {
        let mut source = Source::new(value);
        let (delivered_ms, deliveries) = (source.i64()?, source.u64()?);
        let consumer = Bytes::copy_from_slice(source.bytes()?);
        source.end()?;
        Ok(Self { delivered_ms, deliveries, consumer })
    }

    /// For how long it has been with its consumer.
    pub fn idle_ms(&self, now_ms: u64) -> i64 {
        now_ms.cast_signed().saturating_sub(self.delivered_ms)
    }
}

impl Stream {
    pub fn pending(
        &self,
        kv: &mut dyn Kv,
        group: &Group,
        id: StreamId,
    ) -> Result<Option<Pending>, StoreError> {
        kv.get(&self.parts.pending(group.number, id))?.map(|value| Pending::decode(&value)).transpose()
    }

    /// Visits what is pending in a group from `start` to `end`, both included.
    pub fn each_pending(
        &self,
        kv: &mut dyn Kv,
        group: &Group,
        start: StreamId,
        end: StreamId,
        visit: &mut VisitPending<'_>,
    ) -> Result<(), StoreError> {
        let (from, to) =
            (self.parts.pending(group.number, start), self.parts.pending_after(group.number, end));
        scan_ids(kv, &from, &to, &mut |id, value| Ok(visit(id, Pending::decode(value)?)))
    }

    /// The first `most` ids that are pending in a group from `start` on.
    pub fn pending_ids(
        &self,
        kv: &mut dyn Kv,
        group: &Group,
        start: StreamId,
        most: usize,
    ) -> Result<Vec<StreamId>, StoreError> {
        let from = self.parts.pending(group.number, start);
        first_ids(kv, &from, &self.parts.pending_after(group.number, StreamId::MAX), most)
    }

    /// The first `most` ids that are pending for a consumer from `start` to `end`.
    pub fn pending_ids_of(
        &self,
        kv: &mut dyn Kv,
        group: &Group,
        consumer: &[u8],
        (start, end): (StreamId, StreamId),
        most: usize,
    ) -> Result<Vec<StreamId>, StoreError> {
        let from = self.parts.pending_of(group.number, consumer, start);
        first_ids(kv, &from, &self.parts.pending_of_after(group.number, consumer, end), most)
    }

    /// Visits what is pending for a consumer from `start` to `end`, both included.
    pub fn each_pending_of(
        &self,
        kv: &mut dyn Kv,
        group: &Group,
        consumer: &[u8],
        (start, end): (StreamId, StreamId),
        visit: &mut VisitPending<'_>,
    ) -> Result<(), StoreError> {
        let mut from = Some(start);
        while let Some(start) = from {
            let ids = self.pending_ids_of(kv, group, consumer, (start, end), PROBE)?;
            for &id in &ids {
                if let Some(delivery) = self.pending(kv, group, id)?
                    && visit(id, delivery).is_break()
                {
                    return Ok(());
                }
            }
            from = ids.last().filter(|_| ids.len() == PROBE).and_then(|id| id.next());
        }
        Ok(())
    }

    /// The last id that is pending in a group. The store is walked forwards only: what may lie behind
    /// the last one known is halved, as in a sorted list.
    pub fn last_pending(&self, kv: &mut dyn Kv, group: &Group) -> Result<Option<StreamId>, StoreError> {
        let (mut last, mut from, mut limit) = (None, StreamId::MIN, StreamId::MAX);
        let mut likely = Some(self.state.last);
        loop {
            let found = self.pending_ids(kv, group, from, PROBE)?;
            match found.last() {
                Some(&id) => last = Some(id),
                // Nothing from there on.
                None => limit = from,
            }
            let whole = (1..PROBE).contains(&found.len());
            let behind = |&known: &StreamId| known.next().is_some_and(|next| next < limit);
            let Some(known) = last.filter(behind).filter(|_| !whole) else { return Ok(last) };
            let likely = likely.take().filter(|&id| id > known);
            from = likely.unwrap_or_else(|| known.halfway(limit));
        }
    }
}

fn first_ids(kv: &mut dyn Kv, from: &[u8], to: &[u8], most: usize) -> Result<Vec<StreamId>, StoreError> {
    let mut found = Vec::new();
    if most == 0 || from >= to {
        return Ok(found);
    }
    scan_ids(kv, from, to, &mut |id, _| {
        found.push(id);
        Ok(if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(found)
}
