//! What is done to the elements of a list: at its ends, and in between.

use super::pack::{ENTRY_BYTES_MAX, Pack};
use super::tree::{LEAF_BYTES, Tree};
use super::whole::{Place, Rest};
use super::{End, List};
use crate::kv::{Kv, KvMut, StoreError};

/// Entries that an end of a large list holds.
const END_BYTES_MAX: usize = LEAF_BYTES + LEAF_BYTES / 2;

impl List {
    pub(super) fn push(&mut self, kv: &mut dyn KvMut, end: End, element: &[u8]) -> Result<(), StoreError> {
        if self.rest.is_some() {
            let room = element.len() + ENTRY_BYTES_MAX;
            self.make_room(kv, end, room)?;
            if room > END_BYTES_MAX
                && let Some(rest) = &mut self.rest
            {
                return rest.tree.push(kv, end, &Pack::of(std::iter::once(element)));
            }
        }
        let block = self.end(end);
        match end {
            End::Front => block.push_front(element),
            End::Back => block.push_back(element),
        }
        Ok(())
    }

    /// Removes up to `count` elements from an end, without reading more than the last block of them.
    pub(super) fn drop(&mut self, kv: &mut dyn KvMut, end: End, count: u64) -> Result<(), StoreError> {
        let mut left = count;
        while left > 0 && !self.is_empty() {
            let block = self.end(end);
            let here = block.len();
            if here > left {
                let kept = if end == End::Front { 0..left } else { here - left..here };
                return block.splice(kept, None);
            }
            left -= here;
            *block = Pack::new();
            left -= self.refill(kv, end, left)?;
        }
        Ok(())
    }

    pub(super) fn set(&mut self, kv: &mut dyn KvMut, index: u64, element: &[u8]) -> Result<(), StoreError> {
        self.splice(kv, index, 1, element)
    }

    /// Inserts an element before the one at `index`.
    pub(super) fn insert(
        &mut self,
        kv: &mut dyn KvMut,
        index: u64,
        element: &[u8],
    ) -> Result<(), StoreError> {
        match index {
            0 => self.push(kv, End::Front, element),
            _ if index >= self.len() => self.push(kv, End::Back, element),
            _ => self.splice(kv, index, 0, element),
        }
    }

    /// Removes the elements at `indices`, which ascend.
    pub(super) fn remove(&mut self, kv: &mut dyn KvMut, indices: &[u64]) -> Result<(), StoreError> {
        let mut left = indices;
        while let Some(&last) = left.last() {
            let (place, start) = self.locate(kv.as_kv(), last)?;
            let mut block = self.block(kv.as_kv(), &place)?;
            let (others, here) = left.split_at(left.partition_point(|&index| index < start));
            block.remove(here.iter().map(|index| index - start))?;
            self.put_block(kv, &place, block)?;
            left = others;
        }
        Ok(())
    }

    /// Makes the list large, if it is not: its elements move to blocks, under the id.
    pub(super) fn grow(&mut self, kv: &mut dyn KvMut, head: &[u8], id: u64) -> Result<(), StoreError> {
        let mut blocks = std::mem::take(&mut self.front).split(LEAF_BYTES)?;
        let back = blocks.pop().unwrap_or_default();
        let mut tree = Tree::new(head, id);
        for block in &blocks {
            tree.push(kv, End::Back, block)?;
        }
        self.rest = Some(Rest { id, tree, back });
        self.make_room(kv, End::Back, 0)
    }

    /// Makes the list small; its parts are left to the caller.
    pub(super) fn shrink(&mut self, kv: &mut dyn Kv) -> Result<(), StoreError> {
        let mut all = Pack::new();
        self.blocks(kv)?.iter().for_each(|block| all.append(block));
        *self = Self { front: all, rest: None };
        Ok(())
    }

    /// Writes what is not in the head record.
    pub(super) fn save(&mut self, kv: &mut dyn KvMut) {
        if let Some(rest) = &mut self.rest {
            rest.tree.save(kv);
        }
    }

    fn end(&mut self, end: End) -> &mut Pack {
        match (end, &mut self.rest) {
            (End::Back, Some(rest)) => &mut rest.back,
            _ => &mut self.front,
        }
    }

    /// Moves elements from an end to the tree until `bytes` more fit there, or none are left.
    fn make_room(&mut self, kv: &mut dyn KvMut, end: End, bytes: usize) -> Result<(), StoreError> {
        while self.end(end).entries_bytes() + bytes > END_BYTES_MAX && !self.end(end).is_empty() {
            let block = self.end(end);
            let (leaf, kept) = match end {
                End::Front => {
                    let count = block.count_within_back(LEAF_BYTES)?;
                    let (kept, leaf) = block.cut(block.len().saturating_sub(count))?;
                    (leaf, kept)
                }
                End::Back => block.cut(block.count_within(LEAF_BYTES)?)?,
            };
            *block = kept;
            let Some(rest) = &mut self.rest else { return Ok(()) };
            rest.tree.push(kv, end, &leaf)?;
        }
        Ok(())
    }

    /// Fills an end that is empty from the tree, or from the other end. Removes leaves of up to
    /// `unwanted` elements instead, and tells how many elements that were.
    fn refill(&mut self, kv: &mut dyn KvMut, end: End, unwanted: u64) -> Result<u64, StoreError> {
        let Some(rest) = &mut self.rest else { return Ok(0) };
        let Some(leaf) = rest.tree.edge(kv.as_kv(), end)? else {
            std::mem::swap(&mut self.front, &mut rest.back);
            return Ok(0);
        };
        let removed = if leaf.len() <= unwanted { leaf.len() } else { 0 };
        if removed == 0 {
            let block = rest.tree.read(kv.as_kv(), &leaf)?;
            rest.tree.remove(kv, &leaf)?;
            *self.end(end) = block;
        } else {
            rest.tree.remove(kv, &leaf)?;
        }
        Ok(removed)
    }

    fn splice(
        &mut self,
        kv: &mut dyn KvMut,
        index: u64,
        removed: u64,
        element: &[u8],
    ) -> Result<(), StoreError> {
        let (place, start) = self.locate(kv.as_kv(), index)?;
        let mut block = self.block(kv.as_kv(), &place)?;
        let at = index - start;
        block.splice(at..at + removed, Some(element))?;
        self.put_block(kv, &place, block)
    }

    fn put_block(&mut self, kv: &mut dyn KvMut, place: &Place, block: Pack) -> Result<(), StoreError> {
        let end = match (place, &mut self.rest) {
            (Place::Leaf(leaf), Some(rest)) => return rest.tree.write(kv, leaf, block),
            (Place::Back, Some(_)) => End::Back,
            _ => End::Front,
        };
        *self.end(end) = block;
        if self.rest.is_some() { self.make_room(kv, end, 0) } else { Ok(()) }
    }
}
