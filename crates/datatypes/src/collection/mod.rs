//! Collections of named elements: what hashes and sets are made of.
//!
//! An element has a name, unique in its collection (a field, a member), and a value (of a field; of
//! a member it is empty). A collection is **small** until it passes a limit of Redis's listpack
//! encoding, then **large**; it becomes small again only by being created anew.
//!
//! ```text
//! small   payload of the head record := form:u8  element*
//!         form 00: elements in order of insertion; 01: members that are integers, ascending
//!         element := length name  length value                            length := LEB128, u32
//! large   payload of the head record := id:u64be  len:u64be
//!         part    := … id:u64be  position:u32be  name  →  form:u8 (00)  value
//!                  | … id:u64be  FFFFFFFF  kind:u8  …     what else its type keeps
//! ```
//!
//! A small collection costs one read and one write, whatever is done to it. Of a large one, an
//! element is one part; the head record is written only when the number of elements changes.
//! Fields of hashes may expire, each by itself: [`due`].
//!
//! `position` is a hash of the name ([`position`]), so the parts of a collection lie in an order that
//! looks random and that nothing but the name decides. HSCAN's cursor is such a position: what comes
//! and goes meanwhile moves nothing else. And a random position is a random element, nearly.
//!
//! `id` is drawn at random when a collection becomes large, until one is found under which nothing
//! is stored in that slot and database. So a key that is created anew never sees former elements,
//! and the parts need not know their key: RENAME moves the head record alone, and DEL deletes the
//! head record and the range of the id. (A type that can be large *and* empty must keep a part, or
//! its id could be drawn again.)
//!
//! Other types ([`sorted`]) add their own parts under `id` ([`ranked`], an index), and their own fields behind the
//! length in the head record; [`drop_parts`] and RENAME need not know them, COPY copies them.

mod due;
mod edit;
mod elements;
mod large;
mod limits;
mod pick;
pub mod ranked;
mod small;
pub mod sorted;
#[cfg(test)]
mod tests;

pub use due::{check as check_due, expire_fields, field_due, is_spent};
pub use edit::Edit;
pub use elements::{Element, Elements, Field, Page, VisitElement};
pub use large::{Large, Part, VisitPart, drop_parts, position};
pub use limits::{Limits, SmallLimits};
pub use small::{is_expiring, is_of_integers};
