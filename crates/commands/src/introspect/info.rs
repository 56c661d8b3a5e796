//! COMMAND and COMMAND INFO.

use resp::Reply;

use super::by_full_name;
use crate::flags::flag;
use crate::keyspec::{Begin, Find, KeySpec, legacy_range};
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
    let (first, last, step, movable) = legacy_range(spec.keys);
    let flags = spec.flags.with(if movable { flag::MOVABLE_KEYS } else { 0 });
    Reply::Array(vec![
        Reply::bulk(spec.full_name),
        Reply::Int(i64::from(spec.arity)),
        Reply::Set(flags.names().map(Reply::Simple).collect()),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        Reply::Set(spec.categories().names().map(|name| Reply::Status(format!("@{name}").into())).collect()),
        Reply::Set(spec.tips.iter().map(Reply::bulk).collect()),
        Reply::Set(spec.keys.iter().map(|keys| key_spec(&keys.told())).collect()),
        // Redis has an empty set where there are none.
        match spec.subcommands {
            [] => Reply::Set(Vec::new()),
            subcommands => Reply::Array(subcommands.iter().map(describe).collect()),
        },
    ])
}

fn key_spec(spec: &KeySpec) -> Reply {
    let mut fields = Vec::new();
    if let Some(notes) = spec.notes {
        fields.push((Reply::bulk("notes"), Reply::bulk(notes)));
    }
    fields.push((Reply::bulk("flags"), key_flags(spec)));
    fields.push((Reply::bulk("begin_search"), begin_search(spec.begin)));
    let find_keys = if matches!(spec.begin, Begin::Target { .. } | Begin::Unknown) {
        unknown()
    } else {
        find_keys(spec.find)
    };
    fields.push((Reply::bulk("find_keys"), find_keys));
    Reply::Map(fields)
}

fn begin_search(begin: Begin) -> Reply {
    match begin {
        Begin::Index(first) | Begin::IndexOrEmpty(first) => typed("index", &[("index", i64::from(first))]),
        Begin::Keyword { word, start } => {
            let spec = [
                (Reply::bulk("keyword"), Reply::bulk(word)),
                (Reply::bulk("startfrom"), Reply::Int(i64::from(start))),
            ];
            of_type("keyword", spec.into())
        }
        Begin::Target { .. } | Begin::Unknown => unknown(),
    }
}

fn find_keys(find: Find) -> Reply {
    match find {
        Find::Range { last, step, limit } => {
            let spec =
                [("lastkey", i64::from(last)), ("keystep", i64::from(step)), ("limit", i64::from(limit))];
            typed("range", &spec)
        }
        Find::Count { at, first, step } => {
            let spec =
                [("keynumidx", i64::from(at)), ("firstkey", i64::from(first)), ("keystep", i64::from(step))];
            typed("keynum", &spec)
        }
    }
}

fn unknown() -> Reply {
    typed("unknown", &[])
}

fn typed(kind: &str, numbers: &[(&str, i64)]) -> Reply {
    let spec = numbers.iter().map(|&(name, number)| (Reply::bulk(name), Reply::Int(number)));
    of_type(kind, spec.collect())
}

fn of_type(kind: &str, spec: Vec<(Reply, Reply)>) -> Reply {
    Reply::Map(vec![(Reply::bulk("type"), Reply::bulk(kind)), (Reply::bulk("spec"), Reply::Map(spec))])
}

/// How a key is used, as a set of status replies.
pub(super) fn key_flags(spec: &KeySpec) -> Reply {
    Reply::Set(spec.flag_names().map(Reply::Simple).collect())
}
