//! Nodes of the tree of a large list, and how they are stored.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::End;
use super::pack::Pack;
use crate::kv::StoreError;
use crate::record::corrupt;

/// Few in tests of this crate, so that trees are high.
const CHILDREN_MAX: usize = if cfg!(test) { 4 } else { 128 };

/// The byte before a leaf.
pub const FORM_LEAF: u8 = 0;
/// The byte before a node.
pub const FORM_NODE: u8 = 1;

/// What is below a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight {
    pub elements: u64,
    /// Of the entries of their listpacks.
    pub bytes: u64,
}

impl Weight {
    pub fn of(pack: &Pack) -> Self {
        Self { elements: pack.len(), bytes: pack.entries_bytes() as u64 }
    }

    /// Sums that cannot be are damage, and found where it is read.
    pub fn plus(self, other: Self) -> Self {
        Self {
            elements: self.elements.saturating_add(other.elements),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    pub fn minus(self, other: Self) -> Self {
        Self {
            elements: self.elements.saturating_sub(other.elements),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    pub number: u64,
    pub weight: Weight,
}

pub type Node = Vec<Child>;

pub fn sum(node: &Node) -> Weight {
    node.iter().fold(Weight::default(), |sum, child| sum.plus(child.weight))
}

/// Takes from a node with too many children those of a new one to its right. Nodes that grow at an
/// end, as most do, stay full.
pub fn overflow(node: &mut Node, grows: Option<End>) -> Option<Node> {
    let at = match grows {
        Some(End::Back) => CHILDREN_MAX,
        Some(End::Front) => node.len().saturating_sub(CHILDREN_MAX),
        None => node.len() / 2,
    };
    (node.len() > CHILDREN_MAX).then(|| node.split_off(at))
}

/// `form:u8 (01)  (number  elements  bytes)*`, LEB128.
pub fn encode(node: &Node) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + 8 * node.len());
    out.put_u8(FORM_NODE);
    for child in node {
        for mut number in [child.number, child.weight.elements, child.weight.bytes] {
            while number >= 0x80 {
                out.put_u8(number as u8 | 0x80);
                number >>= 7;
            }
            out.put_u8(number as u8);
        }
    }
    out.freeze()
}

pub fn decode(mut stored: Bytes) -> Result<Node, StoreError> {
    let mut node = Node::new();
    while stored.has_remaining() {
        let number = decode_number(&mut stored)?;
        let weight = Weight { elements: decode_number(&mut stored)?, bytes: decode_number(&mut stored)? };
        node.push(Child { number, weight });
    }
    Ok(node)
}

fn decode_number(stored: &mut Bytes) -> Result<u64, StoreError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = stored.try_get_u8().map_err(|_| corrupt())?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(corrupt())
}
