//! A list as a whole: where its elements are, and what is done to them.

use std::ops::ControlFlow;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::End;
use super::pack::{ENTRY_BYTES_MAX, Item, Pack};
use super::tree::{LEAF_BYTES, Leaf, Tree, Weight};
use crate::key;
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::{Record, corrupt};

/// The only form of a small list so far.
const FORM_LISTPACK: u8 = 0;
/// Entries that an end of a large list holds.
const END_BYTES_MAX: usize = LEAF_BYTES + LEAF_BYTES / 2;

/// Called for each element: its index, and the element.
pub type VisitItem<'a> = dyn FnMut(u64, &Item<'_>) -> ControlFlow<()> + 'a;

/// The elements under a key at one moment.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// All elements, if it is small.
    front: Pack,
    rest: Option<Rest>,
}

/// What a large list has behind its front.
#[derive(Debug, Clone)]
struct Rest {
    id: u64,
    tree: Tree,
    back: Pack,
}

/// Where an element is.
enum Place {
    Front,
    Leaf(Leaf),
    Back,
}

impl List {
    /// That of `record`, stored under `key` in database `db`.
    pub fn of(record: &Record, db: u8, key: &[u8]) -> Result<Self, StoreError> {
        Self::decode(record, &key::head_buf(db, key))
    }

    /// That of `record`, stored under `head`.
    pub(crate) fn decode(record: &Record, head: &[u8]) -> Result<Self, StoreError> {
        let mut payload = record.payload.clone();
        if !record.large {
            return match payload.try_get_u8() {
                Ok(FORM_LISTPACK) => Ok(Self { front: Pack::decode(payload)?, rest: None }),
                _ => Err(corrupt()),
            };
        }
        let mut number = || payload.try_get_u64().map_err(|_| corrupt());
        let (id, len) = (number()?, number()?);
        let height = payload.try_get_u8().map_err(|_| corrupt())?;
        let mut number = || payload.try_get_u64().map_err(|_| corrupt());
        let (next, bytes) = (number()?, number()?);
        let front_bytes = payload.try_get_u32().map_err(|_| corrupt())? as usize;
        if payload.len() < front_bytes {
            return Err(corrupt());
        }
        let (front, back) = (Pack::decode(payload.split_to(front_bytes))?, Pack::decode(payload)?);
        let elements = len.checked_sub(front.len() + back.len()).ok_or_else(corrupt)?;
        let tree = Tree::open(head, id, height, next, Weight { elements, bytes })?;
        Ok(Self { front, rest: Some(Rest { id, tree, back }) })
    }

    /// Payload of the head record.
    pub(super) fn payload(&self) -> Bytes {
        let front = self.front.as_slice();
        let Some(Rest { id, tree, back }) = &self.rest else {
            return Bytes::from([&[FORM_LISTPACK], front].concat());
        };
        let mut payload = BytesMut::with_capacity(40 + front.len() + back.as_slice().len());
        payload.put_u64(*id);
        payload.put_u64(self.len());
        payload.put_u8(tree.height());
        payload.put_u64(tree.next());
        payload.put_u64(tree.weight().bytes);
        payload.put_u32(front.len() as u32);
        payload.put_slice(front);
        payload.put_slice(back.as_slice());
        payload.freeze()
    }

    /// What names the parts of a large list.
    pub(super) fn id(&self) -> Option<u64> {
        self.rest.as_ref().map(|rest| rest.id)
    }

    pub fn len(&self) -> u64 {
        let behind = |rest: &Rest| rest.tree.weight().elements.saturating_add(rest.back.len());
        self.front.len().saturating_add(self.rest.as_ref().map_or(0, behind))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size of the listpack that would hold all elements.
    pub fn bytes(&self) -> u64 {
        let behind = |rest: &Rest| rest.tree.weight().bytes.saturating_add(rest.back.entries_bytes() as u64);
        Pack::bytes_of(
            (self.front.entries_bytes() as u64).saturating_add(self.rest.as_ref().map_or(0, behind)),
        )
    }

    /// The element at an index; `None` if there are not as many.
    pub fn get(&mut self, kv: &mut dyn Kv, index: u64) -> Result<Option<Bytes>, StoreError> {
        if index >= self.len() {
            return Ok(None);
        }
        let (place, start) = self.locate(kv, index)?;
        self.block(kv, &place)?.get(index - start).map(Some)
    }

    /// Visits the elements from the one at `from` on: towards the back if `direction` begins at the
    /// front, and the other way round.
    pub fn each(
        &mut self,
        kv: &mut dyn Kv,
        from: u64,
        direction: End,
        visit: &mut VisitItem<'_>,
    ) -> Result<(), StoreError> {
        let mut next = (from < self.len()).then_some(from);
        while let Some(from) = next {
            let (place, start) = self.locate(kv, from)?;
            let block = self.block(kv, &place)?;
            next = match direction {
                End::Front => Some(start + block.len()).filter(|&next| next < self.len()),
                End::Back => start.checked_sub(1),
            };
            if visit_block(&block, start, from, direction, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Up to `count` elements from the one at `from` on, in that direction.
    pub fn range(
        &mut self,
        kv: &mut dyn Kv,
        from: u64,
        direction: End,
        count: u64,
    ) -> Result<Vec<Bytes>, StoreError> {
        let mut found = Vec::new();
        if count > 0 {
            self.each(kv, from, direction, &mut |_, item| {
                found.push(item.to_bytes());
                if (found.len() as u64) < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        Ok(found)
    }

    /// All blocks that are not empty, in order.
    pub fn listpacks(&mut self, kv: &mut dyn Kv) -> Result<Vec<Bytes>, StoreError> {
        let blocks = self.blocks(kv)?;
        Ok(blocks.iter().map(Pack::to_bytes).collect())
    }

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

    pub(super) fn tree(&mut self) -> Option<&mut Tree> {
        self.rest.as_mut().map(|rest| &mut rest.tree)
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

    /// Where the element at an index is, and the index of the first one there.
    fn locate(&mut self, kv: &mut dyn Kv, index: u64) -> Result<(Place, u64), StoreError> {
        let (front, len) = (self.front.len(), self.len());
        let Some(rest) = self.rest.as_mut().filter(|_| index >= front) else {
            return Ok((Place::Front, 0));
        };
        let back = len.saturating_sub(rest.back.len());
        if index >= back {
            return Ok((Place::Back, back));
        }
        let leaf = rest.tree.leaf(kv, index - front)?;
        let start = front.saturating_add(leaf.start);
        Ok((Place::Leaf(leaf), start))
    }

    fn block(&self, kv: &mut dyn Kv, place: &Place) -> Result<Pack, StoreError> {
        match (place, &self.rest) {
            (Place::Leaf(leaf), Some(rest)) => {
                let block = rest.tree.read(kv, leaf)?;
                if block.len() == leaf.len() { Ok(block) } else { Err(corrupt()) }
            }
            (Place::Back, Some(rest)) => Ok(rest.back.clone()),
            _ => Ok(self.front.clone()),
        }
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

    fn blocks(&mut self, kv: &mut dyn Kv) -> Result<Vec<Pack>, StoreError> {
        let (mut blocks, mut next) = (Vec::new(), 0);
        while next < self.len() {
            let (place, start) = self.locate(kv, next)?;
            let block = self.block(kv, &place)?;
            next = start.saturating_add(block.len());
            blocks.push(block);
        }
        Ok(blocks)
    }
}

fn visit_block(
    block: &Pack,
    start: u64,
    from: u64,
    direction: End,
    visit: &mut VisitItem<'_>,
) -> Result<ControlFlow<()>, StoreError> {
    let mut walk = block.walk();
    let (mut index, mut skipped) = match direction {
        End::Front => (start, from - start),
        End::Back => (start + block.len() - 1, start + block.len() - 1 - from),
    };
    let mut step = || match direction {
        End::Front => walk.next(),
        End::Back => walk.next_back(),
    };
    while let Some(item) = step()? {
        if skipped > 0 {
            skipped -= 1;
        } else if visit(index, &item).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        index = match direction {
            End::Front => index + 1,
            End::Back => index.wrapping_sub(1),
        };
    }
    Ok(ControlFlow::Continue(()))
}
