//! A list as a whole: where its elements are.

use std::ops::ControlFlow;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::End;
use super::node::Weight;
use super::pack::{Item, Pack};
use super::tree::{Leaf, Tree};
use crate::key;
use crate::kv::{Kv, StoreError};
use crate::record::{Record, corrupt};

/// The only form of a small list so far.
const FORM_LISTPACK: u8 = 0;
/// Called for each element: its index, and the element.
pub type VisitItem<'a> = dyn FnMut(u64, &Item<'_>) -> ControlFlow<()> + 'a;

/// The elements under a key at one moment.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// All elements, if it is small.
    pub(super) front: Pack,
    pub(super) rest: Option<Rest>,
}

/// What a large list has behind its front.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    pub id: u64,
    pub tree: Tree,
    pub back: Pack,
}

/// Where an element is.
pub(super) enum Place {
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

    pub(super) fn tree(&mut self) -> Option<&mut Tree> {
        self.rest.as_mut().map(|rest| &mut rest.tree)
    }

    /// Where the element at an index is, and the index of the first one there.
    pub(super) fn locate(&mut self, kv: &mut dyn Kv, index: u64) -> Result<(Place, u64), StoreError> {
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

    pub(super) fn block(&self, kv: &mut dyn Kv, place: &Place) -> Result<Pack, StoreError> {
        match (place, &self.rest) {
            (Place::Leaf(leaf), Some(rest)) => {
                let block = rest.tree.read(kv, leaf)?;
                if block.len() == leaf.len() { Ok(block) } else { Err(corrupt()) }
            }
            (Place::Back, Some(rest)) => Ok(rest.back.clone()),
            _ => Ok(self.front.clone()),
        }
    }

    pub(super) fn blocks(&mut self, kv: &mut dyn Kv) -> Result<Vec<Pack>, StoreError> {
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
