//! OBJECT: how Redis would hold a value.

use datatypes::collection::{is_expiring, is_of_integers};
use datatypes::number::parse_i64;
use datatypes::{Kv, Record, StringForm, Type, key};
use resp::Reply;

use super::super::{Outcome, reader};
use crate::{Args, CommandError, Cx};

/// Longest string that Redis embeds in its object.
const EMBSTR_BYTES_MAX: usize = 44;

const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;
const SHARED_COUNT: i64 = i32::MAX as i64;

pub fn encoding(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    with_record(kv, args, cx, |record| Ok(Reply::bulk(encoding_of(record))))
}

fn encoding_of(record: &Record) -> &'static str {
    match record.kind {
        Type::String => string_encoding(record),
        Type::List if record.large => "quicklist",
        Type::Set | Type::Hash if record.large => "hashtable",
        Type::SortedSet if record.large => "skiplist",
        Type::Set if is_of_integers(&record.payload) => "intset",
        Type::Hash if is_expiring(&record.payload) => "listpackex",
        Type::List | Type::Set | Type::Hash | Type::SortedSet => "listpack",
        Type::Stream => "stream",
        Type::Json => "raw",
    }
}

fn string_encoding(record: &Record) -> &'static str {
    match record.form {
        StringForm::Raw => "raw",
        StringForm::Natural if parse_i64(&record.payload).is_some() => "int",
        _ if record.payload.len() <= EMBSTR_BYTES_MAX => "embstr",
        _ => "raw",
    }
}

/// Redis holds small integers once for all keys, and says so with this count.
pub fn refcount(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    with_record(kv, args, cx, |record| {
        let shared = record.kind == Type::String && record.form == StringForm::Natural;
        let small = parse_i64(&record.payload).is_some_and(|number| SHARED_INTEGERS.contains(&number));
        Ok(Reply::Int(if shared && small { SHARED_COUNT } else { 1 }))
    })
}

pub fn idletime(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let idle_ms = kv.idle_ms(&key::head(cx.db, args.at(1)?), cx.now_ms);
    with_record(kv, args, cx, |_| Ok(Reply::Int((idle_ms / 1000).cast_signed())))
}

pub fn freq(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    with_record(kv, args, cx, |_| Err(CommandError::FrequencyNotTracked))
}

/// The key is the second argument, behind the subcommand.
fn with_record(
    kv: &mut dyn Kv,
    args: &Args<'_>,
    cx: &Cx,
    answer: impl FnOnce(&Record) -> Outcome,
) -> Outcome {
    match reader(kv, cx).peek(args.at(1)?)? {
        Some(record) => answer(&record),
        None => Ok(Reply::Null),
    }
}
