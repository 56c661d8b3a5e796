//! COMMAND and COMMAND INFO.

use resp::Reply;

use super::by_full_name;
use crate::keyspec::{KeySpec, legacy_range};
use crate::{Args, Spec, table};

/// COMMAND without a subcommand.
pub fn all_info() -> Reply {
    Reply::Array(table::commands().map(describe).collect())
}

/// COMMAND INFO [name …]; null for what is not in the table.
pub fn info(args: &Args<'_>) -> Reply {
    match args.from(1) {
        [] => all_info(),
        names => Reply::Array(names.iter().map(|n| by_full_name(n).map_or(Reply::Null, describe)).collect()),
    }
}

fn describe(spec: &Spec) -> Reply {
    let (first, last, step) = legacy_range(spec.keys);
    Reply::Array(vec![
        Reply::bulk(spec.full_name),
        Reply::Int(i64::from(spec.arity)),
        Reply::Set(spec.flags.names().map(Reply::Simple).collect()),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        Reply::Set(spec.categories().names().map(|name| Reply::Status(format!("@{name}").into())).collect()),
        Reply::Set(spec.tips.iter().map(Reply::bulk).collect()),
        Reply::Set(spec.keys.iter().map(key_spec).collect()),
        Reply::Array(spec.subcommands.iter().map(describe).collect()),
    ])
}

fn key_spec(spec: &KeySpec) -> Reply {
    let mut fields = Vec::new();
    if let Some(notes) = spec.notes {
        fields.push((Reply::bulk("notes"), Reply::bulk(notes)));
    }
    fields.push((Reply::bulk("flags"), key_flags(spec)));
    let index = vec![(Reply::bulk("index"), Reply::Int(i64::from(spec.first)))];
    fields.push((Reply::bulk("begin_search"), typed("index", index)));
    let range = vec![
        (Reply::bulk("lastkey"), Reply::Int(i64::from(spec.last))),
        (Reply::bulk("keystep"), Reply::Int(i64::from(spec.step))),
        (Reply::bulk("limit"), Reply::Int(0)),
    ];
    fields.push((Reply::bulk("find_keys"), typed("range", range)));
    Reply::Map(fields)
}

fn typed(kind: &str, spec: Vec<(Reply, Reply)>) -> Reply {
    Reply::Map(vec![(Reply::bulk("type"), Reply::bulk(kind)), (Reply::bulk("spec"), Reply::Map(spec))])
}

/// How a key is used, as a set of status replies.
pub(super) fn key_flags(spec: &KeySpec) -> Reply {
    Reply::Set(spec.flag_names().map(Reply::Simple).collect())
}
