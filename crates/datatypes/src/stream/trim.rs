//! Trimming: deleting the first entries.

use std::ops::ControlFlow;

use super::Stream;
use super::id::StreamId;
use super::leaf::Leaf;
use super::parts::{owned, scan_ids};
use crate::kv::{KvMut, StoreError};

/// Up to so many entries are deleted one by one: a deleted range costs those who read near it.
const SINGLY_MAX: u64 = 16;

/// Down to what a stream is trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// MAXLEN: entries that stay.
    Len(u64),
    /// MINID: the least id that stays.
    Id(StreamId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    pub bound: Bound,
    /// Only whole leaves are deleted.
    pub approximate: bool,
    /// Entries that are deleted at most; 0: any number.
    pub limit: u64,
}

impl Stream {
    /// Deletes the first entries; answers how many.
    pub fn trim(&mut self, kv: &mut dyn KvMut, trim: Trim) -> Result<u64, StoreError> {
        let before = self.state;
        let mut gone_until = None;
        while !self.is_within(trim.bound)
            && let Some(leaf) = self.first_leaf(kv.as_kv())?
        {
            let deleted = before.len - self.state.len;
            if trim.limit > 0 && deleted + leaf.live > trim.limit {
                break;
            }
            if !self.is_beyond(leaf, trim.bound) {
                if !trim.approximate {
                    gone_until = self.trim_within(kv, leaf, trim.bound)?.or(gone_until);
                }
                break;
            }
            self.drop_leaf(kv, leaf)?;
            self.state.len = self.state.len.saturating_sub(leaf.live);
            gone_until = Some(leaf.last);
            self.find_first(kv.as_kv(), leaf.last)?;
        }
        let deleted = before.len - self.state.len;
        if let Some(last) = gone_until {
            self.delete_until(kv, before.first, last, deleted)?;
        }
        Ok(deleted)
    }

    fn is_within(&self, bound: Bound) -> bool {
        match bound {
            Bound::Len(most) => self.state.len <= most,
            Bound::Id(least) => self.state.first >= least,
        }
    }

    /// Whether nothing of the first leaf stays.
    fn is_beyond(&self, leaf: Leaf, bound: Bound) -> bool {
        match bound {
            Bound::Len(most) => self.state.len - leaf.live >= most,
            Bound::Id(least) => leaf.last < least,
        }
    }

    /// Counts off entries of the first leaf; the last one of them.
    fn trim_within(
        &mut self,
        kv: &mut dyn KvMut,
        leaf: Leaf,
        bound: Bound,
    ) -> Result<Option<StreamId>, StoreError> {
        let (mut last, mut count) = (None, 0);
        let (from, to) = (self.parts.entry(self.state.first), self.parts.entries_after(leaf.last));
        scan_ids(kv.as_kv(), &from, &to, &mut |id, _| {
            let stays = match bound {
                Bound::Len(most) => self.state.len - count <= most,
                Bound::Id(least) => id >= least,
            };
            if stays {
                return Ok(ControlFlow::Break(()));
            }
            (last, count) = (Some(id), count + 1);
            Ok(ControlFlow::Continue(()))
        })?;
        self.state.len -= count;
        self.keep_leaf(kv, Leaf { live: leaf.live - count, ..leaf })?;
        if let Some(last) = last {
            self.find_first(kv.as_kv(), last)?;
        }
        Ok(last)
    }

    /// Deletes the `count` entries there are from `first` to `last`.
    fn delete_until(
        &self,
        kv: &mut dyn KvMut,
        first: StreamId,
        last: StreamId,
        count: u64,
    ) -> Result<(), StoreError> {
        let (from, to) = (self.parts.entry(first), self.parts.entries_after(last));
        if count > SINGLY_MAX {
            kv.delete_range(owned(&from), owned(&to));
            return Ok(());
        }
        let mut ids = Vec::new();
        scan_ids(kv.as_kv(), &from, &to, &mut |id, _| {
            ids.push(id);
            Ok(ControlFlow::Continue(()))
        })?;
        ids.into_iter().for_each(|id| kv.delete(owned(&self.parts.entry(id))));
        Ok(())
    }
}
