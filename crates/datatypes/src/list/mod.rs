//! Lists.
//!
//! A list is **small** up to Redis's limit (`list-max-listpack-size`), then **large**. Elements lie in
//! blocks, which are listpacks as Redis has them ([`pack`]), so that its limits are counted as it
//! counts them and DUMP writes blocks as they are.
//!
//! ```text
//! small   payload of the head record := form:u8 (00)  listpack
//! large   payload of the head record := id:u64be  len:u64be  height:u8  next:u64be  bytes:u64be
//!                                       front_bytes:u32be  front:listpack  back:listpack
//!         leaf    … id:u64be  number:u64be  →  form:u8 (00)  listpack
//!         node    … id:u64be  number:u64be  →  form:u8 (01)  (child  elements  bytes)*     LEB128
//! ```
//!
//! The elements of a large list are those of its front, of the leaves of a tree ([`tree`]) from left
//! to right, and of its back. What is pushed and popped stays in the head record: one read and one
//! write. Only when an end is full does most of it become a leaf, and only when it is empty does it
//! take the next leaf in. Everything else finds its leaf through the tree, in logarithmic time, and
//! changes that leaf and the nodes above it.
//!
//! As in Redis, a large list becomes small again when half the limit would hold it.

mod change;
pub(crate) mod check;
mod edit;
mod limit;
mod node;
mod pack;
#[cfg(test)]
mod tests;
mod tree;
mod whole;

pub use edit::ListEdit;
pub use limit::ListLimit;
pub use pack::{Item, Needle};
pub use whole::{List, VisitItem};

/// An end of a list, or the direction in which one begins there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Front,
    Back,
}

impl End {
    pub fn other(self) -> Self {
        match self {
            Self::Front => Self::Back,
            Self::Back => Self::Front,
        }
    }
}
