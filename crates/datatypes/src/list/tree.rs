//! The leaves of a large list, and the nodes above them that find the leaf of an index.
//!
//! A counted B+ tree over stored pairs: each node tells for each of its children how many elements
//! and bytes are below it. Nodes are read when they are needed, kept, and written once, when the
//! tree is saved; leaves are written at once. A node splits when it has too many children and goes
//! with its last one. The root is always stored, under the same number: as long as the list is
//! large there is something under its id.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use super::End;
use super::node::{Child, FORM_LEAF, FORM_NODE, Node, Weight, decode, encode, overflow, sum};
use super::pack::Pack;
use crate::key::{self, KeyBuf, PART_PREFIX, Range};
use crate::kv::{Kv, KvMut, StoreError};
use crate::record::corrupt;

const ROOT: u64 = 0;
/// Of a tree of 2^64 leaves, however it came about; more is damage.
const HEIGHT_MAX: u8 = 64;
/// Entries of a leaf that is made.
pub(super) const LEAF_BYTES: usize = if cfg!(test) { 32 } else { 1024 };
/// Entries from which on a leaf is split.
const LEAF_BYTES_MAX: usize = 2 * LEAF_BYTES;
/// Entries up to which a leaf that shrinks is merged with its neighbour.
const LEAF_BYTES_FEW: usize = LEAF_BYTES / 4;

/// Numbers of nodes from the root down, and which of their children is meant.
type Path = SmallVec<[(u64, usize); 4]>;

/// A leaf and where it is. Valid until the tree is changed.
#[derive(Debug, Clone)]
pub struct Leaf {
    path: Path,
    child: Child,
    /// Index of its first element among those of the tree.
    pub start: u64,
}

impl Leaf {
    pub fn len(&self) -> u64 {
        self.child.weight.elements
    }
}

#[derive(Debug, Clone)]
pub struct Tree {
    range: Range<PART_PREFIX>,
    /// Levels of nodes above the leaves.
    height: u8,
    /// The next number for a node or leaf.
    next: u64,
    weight: Weight,
    nodes: BTreeMap<u64, Node>,
    /// Nodes that are not as stored.
    changed: BTreeSet<u64>,
}

impl Tree {
    /// A new one without leaves: the parts of collection `id` in the place of `head`.
    pub fn new(head: &[u8], id: u64) -> Self {
        Self {
            range: key::parts(head, id),
            height: 1,
            next: ROOT + 1,
            weight: Weight::default(),
            nodes: BTreeMap::from([(ROOT, Node::new())]),
            changed: BTreeSet::from([ROOT]),
        }
    }

    /// The one that a head record tells of.
    pub fn open(head: &[u8], id: u64, height: u8, next: u64, weight: Weight) -> Result<Self, StoreError> {
        if !(1..=HEIGHT_MAX).contains(&height) {
            return Err(corrupt());
        }
        let range = key::parts(head, id);
        Ok(Self { range, height, next, weight, nodes: BTreeMap::new(), changed: BTreeSet::new() })
    }

    pub fn height(&self) -> u8 {
        self.height
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// The leaf with the element at `index` of the tree.
    pub fn leaf(&mut self, kv: &mut dyn Kv, index: u64) -> Result<Leaf, StoreError> {
        let (mut path, mut start) = (Path::new(), 0u64);
        let mut child = Child { number: ROOT, weight: self.weight };
        for _ in 0..self.height {
            let node = self.node(kv, child.number)?;
            let number = child.number;
            let mut found = None;
            for (slot, child) in node.iter().enumerate() {
                let end = start.saturating_add(child.weight.elements);
                if index < end {
                    found = Some((slot, *child));
                    break;
                }
                start = end;
            }
            let (slot, below) = found.ok_or_else(corrupt)?;
            path.push((number, slot));
            child = below;
        }
        Ok(Leaf { path, child, start })
    }

    /// The leaf at an end; `None` if there are none.
    pub fn edge(&mut self, kv: &mut dyn Kv, end: End) -> Result<Option<Leaf>, StoreError> {
        let Some(last) = self.weight.elements.checked_sub(1) else { return Ok(None) };
        self.leaf(kv, if end == End::Front { 0 } else { last }).map(Some)
    }

    pub fn read(&self, kv: &mut dyn Kv, leaf: &Leaf) -> Result<Pack, StoreError> {
        self.read_leaf(kv, leaf.child.number)
    }

    /// Adds a leaf at an end.
    pub fn push(&mut self, kv: &mut dyn KvMut, end: End, pack: &Pack) -> Result<(), StoreError> {
        let mut path = match self.edge(kv.as_kv(), end)? {
            Some(leaf) => leaf.path,
            None => smallvec![(ROOT, 0)],
        };
        if let (End::Back, Some((_, slot))) = (end, path.last_mut())
            && self.weight.elements > 0
        {
            *slot += 1;
        }
        let child = self.new_leaf(kv, pack);
        self.splice(kv, &path, 0, &[child])
    }

    /// Removes a leaf.
    pub fn remove(&mut self, kv: &mut dyn KvMut, leaf: &Leaf) -> Result<(), StoreError> {
        kv.delete(self.key(leaf.child.number));
        self.weight = self.weight.minus(leaf.child.weight);
        self.splice(kv, &leaf.path, 1, &[])
    }

    /// Writes a leaf that was changed: it goes with its last element, splits if it has grown too
    /// large, and is merged with a neighbour if it has shrunk.
    pub fn write(&mut self, kv: &mut dyn KvMut, leaf: &Leaf, pack: Pack) -> Result<(), StoreError> {
        if pack.is_empty() {
            return self.remove(kv, leaf);
        }
        let shrunk = (pack.entries_bytes() as u64) < leaf.child.weight.bytes;
        if shrunk
            && pack.entries_bytes() <= LEAF_BYTES_FEW
            && let Some((other, follows)) = self.neighbour(kv.as_kv(), leaf)?
            && other.child.weight.bytes <= (LEAF_BYTES - pack.entries_bytes()) as u64
        {
            let others = self.read(kv.as_kv(), &other)?;
            return match follows {
                true => self.replace(kv, &[leaf, &other], &joined(&pack, &others)),
                false => self.replace(kv, &[&other, leaf], &joined(&others, &pack)),
            };
        }
        self.replace(kv, &[leaf], &pack)
    }

    /// Writes the nodes that were changed.
    pub fn save(&mut self, kv: &mut dyn KvMut) {
        for number in std::mem::take(&mut self.changed) {
            if let Some(node) = self.nodes.get(&number) {
                kv.put(self.key(number), encode(node));
            }
        }
    }

    /// Puts `pack` in the place of neighbours under one node.
    fn replace(&mut self, kv: &mut dyn KvMut, leaves: &[&Leaf], pack: &Pack) -> Result<(), StoreError> {
        let Some((first, others)) = leaves.split_first() else { return Ok(()) };
        self.weight = self.weight.minus(first.child.weight);
        for other in others {
            self.weight = self.weight.minus(other.child.weight);
            kv.delete(self.key(other.child.number));
        }
        let whole = pack.entries_bytes() <= LEAF_BYTES_MAX || pack.len() == 1;
        let mut pieces = if whole { vec![pack.clone()] } else { pack.split(LEAF_BYTES)? }.into_iter();
        let mut children: SmallVec<[Child; 4]> = SmallVec::new();
        children.extend(pieces.next().map(|piece| self.put_leaf(kv, first.child.number, &piece)));
        children.extend(pieces.map(|piece| self.new_leaf(kv, &piece)));
        self.splice(kv, &first.path, leaves.len(), &children)
    }

    /// A leaf under the same node, and whether it follows.
    fn neighbour(&mut self, kv: &mut dyn Kv, leaf: &Leaf) -> Result<Option<(Leaf, bool)>, StoreError> {
        let Some(&(number, slot)) = leaf.path.last() else { return Ok(None) };
        let node = self.node(kv, number)?;
        let (at, follows) =
            if slot + 1 < node.len() { (slot + 1, true) } else { (slot.wrapping_sub(1), false) };
        let Some(&child) = node.get(at) else { return Ok(None) };
        let mut other = Leaf { child, ..leaf.clone() };
        if let Some((_, slot)) = other.path.last_mut() {
            *slot = at;
        }
        Ok(Some((other, follows)))
    }

    fn new_leaf(&mut self, kv: &mut dyn KvMut, pack: &Pack) -> Child {
        let number = self.fresh();
        self.put_leaf(kv, number, pack)
    }

    fn put_leaf(&mut self, kv: &mut dyn KvMut, number: u64, pack: &Pack) -> Child {
        let mut value = BytesMut::with_capacity(1 + pack.as_slice().len());
        value.put_u8(FORM_LEAF);
        value.put_slice(pack.as_slice());
        kv.put(self.key(number), value.freeze());
        let weight = Weight::of(pack);
        self.weight = self.weight.plus(weight);
        Child { number, weight }
    }

    /// Puts leaves in the place of `removed` ones at the end of `path`, and tells it upwards.
    fn splice(
        &mut self,
        kv: &mut dyn KvMut,
        path: &Path,
        mut removed: usize,
        leaves: &[Child],
    ) -> Result<(), StoreError> {
        let mut new: SmallVec<[Child; 4]> = SmallVec::from_slice(leaves);
        for &(number, slot) in path.iter().rev() {
            let node = self.node(kv.as_kv(), number)?;
            if slot + removed > node.len() {
                return Err(corrupt());
            }
            let at_end = slot + removed == node.len();
            let grows = if at_end { Some(End::Back) } else { (slot == 0).then_some(End::Front) };
            node.splice(slot..slot + removed, new.drain(..));
            removed = 1;
            let right = overflow(node, grows);
            let (left, is_empty) = (Child { number, weight: sum(node) }, node.is_empty());
            self.changed.insert(number);
            if number == ROOT {
                return self.settle_root(kv, right);
            }
            if is_empty {
                self.forget(kv, number);
                continue;
            }
            new.push(left);
            new.extend(right.map(|right| self.new_node(right)));
        }
        Ok(())
    }

    /// Lets the tree grow by a level if the root has split, and shrink while it has one child.
    fn settle_root(&mut self, kv: &mut dyn KvMut, right: Option<Node>) -> Result<(), StoreError> {
        if let Some(right) = right {
            let left = std::mem::take(self.node(kv.as_kv(), ROOT)?);
            let children = vec![self.new_node(left), self.new_node(right)];
            self.nodes.insert(ROOT, children);
            self.height += 1;
            return Ok(());
        }
        while self.height > 1 {
            let only = match self.node(kv.as_kv(), ROOT)?.as_slice() {
                [] => None,
                [only] => Some(only.number),
                _ => return Ok(()),
            };
            let Some(only) = only else {
                self.height = 1;
                return Ok(());
            };
            let children = self.node(kv.as_kv(), only)?.clone();
            self.forget(kv, only);
            self.nodes.insert(ROOT, children);
            self.height -= 1;
        }
        Ok(())
    }

    fn new_node(&mut self, children: Node) -> Child {
        let number = self.fresh();
        let weight = sum(&children);
        self.nodes.insert(number, children);
        self.changed.insert(number);
        Child { number, weight }
    }

    fn forget(&mut self, kv: &mut dyn KvMut, number: u64) {
        self.nodes.remove(&number);
        self.changed.remove(&number);
        kv.delete(self.key(number));
    }

    fn fresh(&mut self) -> u64 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }

    fn key(&self, number: u64) -> Bytes {
        Bytes::from([&self.range.from[..], &number.to_be_bytes()].concat())
    }

    /// What is stored under a number, and its form.
    fn stored(&self, kv: &mut dyn Kv, number: u64) -> Result<(u8, Bytes), StoreError> {
        let mut key = KeyBuf::from_slice(&self.range.from);
        key.extend_from_slice(&number.to_be_bytes());
        let mut stored = kv.get(&key)?.filter(|stored| !stored.is_empty()).ok_or_else(corrupt)?;
        Ok((stored.get_u8(), stored))
    }

    pub(super) fn read_leaf(&self, kv: &mut dyn Kv, number: u64) -> Result<Pack, StoreError> {
        match self.stored(kv, number)? {
            (FORM_LEAF, listpack) => Pack::decode(listpack),
            _ => Err(corrupt()),
        }
    }

    pub(super) fn root(&mut self, kv: &mut dyn Kv) -> Result<&Node, StoreError> {
        self.node(kv, ROOT).map(|node| &*node)
    }

    pub(super) fn node(&mut self, kv: &mut dyn Kv, number: u64) -> Result<&mut Node, StoreError> {
        if !self.nodes.contains_key(&number) {
            let (FORM_NODE, children) = self.stored(kv, number)? else { return Err(corrupt()) };
            self.nodes.insert(number, decode(children)?);
        }
        self.nodes.get_mut(&number).ok_or_else(corrupt)
    }
}

fn joined(first: &Pack, second: &Pack) -> Pack {
    let mut joined = first.clone();
    joined.append(second);
    joined
}
