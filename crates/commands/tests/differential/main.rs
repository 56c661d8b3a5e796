//! Random commands, here and on a real redis-server: the replies must be equal. One file a family.

mod all;
mod bits;
mod geo;
mod hashes;
mod json;
mod lists;
mod sets;
mod sort;
mod sorted_sets;
mod streams;
mod strings;
#[path = "../support/mod.rs"]
mod support;
