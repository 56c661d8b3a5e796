//! What a family promises that no script of commands shows: costs, growth, models. One file a family.

mod hash_expiry;
mod hashes;
mod json;
mod lists;
mod namespaces;
mod sets;
mod sorted_sets;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod watched;
mod whole;
