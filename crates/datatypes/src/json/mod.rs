//! JSON documents: values, paths into them, and what commands change about them.
//!
//! ```text
//! value      a JSON value in memory; objects keep their order
//! parse      text → value (serde_json reads)
//! write      value → text, compact or laid out
//! path       a path as clients write it: JSONPath, or the older form of RedisJSON 1
//! query      a compiled path; compile makes it
//! filter     the conditions inside a path
//! select     what a query finds, and where
//! location   a place in a document; update decides which places a write is for
//! edit       changes of one value
//! document   a document as it is stored
//! ```
//!
//! A document is stored whole in its head record, as compact JSON text.
//!
//! Bounds: a document nests at most [`DEPTH_MAX`] deep, so everything here may recurse over it, and is
//! at most [`DOCUMENT_BYTES_MAX`] long. A query does a bounded amount of work for a document of a
//! given size ([`select`]). Paths nest at most [`query::FILTER_DEPTH_MAX`] conditions deep.
//!
//! The paths are those of RedisJSON rather than RFC 9535: names without quotes may hold `-`, `$` and
//! the like, a dot may stand before a bracket, conditions compare lists of values if any of them
//! matches, `=~` is a regular expression. Where both have a construct they mean the same, with one
//! exception: an index before the start of an array is its start. A test compares with an
//! implementation of the RFC.

mod compile;
mod document;
mod edit;
mod error;
mod filter;
mod location;
mod parse;
mod path;
mod query;
mod select;
#[cfg(test)]
mod tests;
mod update;
mod value;
mod write;

pub use document::Document;
pub use edit::{Arithmetic, arithmetic, clear, first_index, insert, is_clearable, merge, pop, trim};
pub use error::{JsonError, PathError};
pub use location::{Location, Part, deepest_first, outermost};
pub use path::Path;
pub use update::{Condition, Target, apply, places, targets};
pub use value::{Fields, Json};
pub use write::{Layout, Writer};

/// Deepest nesting of arrays and objects, as deep as serde_json reads.
pub const DEPTH_MAX: usize = 127;

/// Longest document, as text: what a string may have too.
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024 * 1024;
