//! All rows, by family.

mod acl;
mod alone;
mod bitmap;
mod cluster;
mod connection;
mod geo;
mod hash;
mod hash_expiry;
mod hyperloglog;
mod internal;
mod json;
mod keyspace;
mod list;
mod pubsub;
mod scripting;
mod server;
mod set;
mod sort;
mod sorted_set;
mod sorted_set_range;
mod stream;
mod string;
mod transactions;

use crate::Spec;

static FAMILIES: &[&[Spec]] = &[
    string::ROWS,
    bitmap::ROWS,
    hyperloglog::ROWS,
    hash::ROWS,
    hash_expiry::ROWS,
    set::ROWS,
    list::ROWS,
    json::ROWS,
    sorted_set::ROWS,
    sorted_set_range::ROWS,
    geo::ROWS,
    stream::ROWS,
    keyspace::ROWS,
    sort::ROWS,
    transactions::ROWS,
    scripting::ROWS,
    pubsub::ROWS,
    connection::ROWS,
    acl::ROWS,
    server::ROWS,
    alone::ROWS,
    cluster::ROWS,
    internal::ROWS,
];

/// Number of rows, subcommands not counted.
pub(crate) const ROWS: usize = {
    let mut rows = 0;
    let mut family = 0;
    while family < FAMILIES.len() {
        rows += FAMILIES[family].len();
        family += 1;
    }
    rows
};

/// The row at `index`, counted through all families.
pub(crate) const fn row(index: usize) -> &'static Spec {
    let mut rest = index;
    let mut family = 0;
    while rest >= FAMILIES[family].len() {
        rest -= FAMILIES[family].len();
        family += 1;
    }
    &FAMILIES[family][rest]
}

/// The rows that clients can name, subcommands not included.
pub fn commands() -> impl Iterator<Item = &'static Spec> {
    FAMILIES.iter().copied().flatten().filter(|spec| !spec.internal)
}

/// All rows: commands, subcommands and internal commands.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    FAMILIES.iter().copied().flatten().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}
