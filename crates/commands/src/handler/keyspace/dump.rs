//! DUMP and RESTORE: values in the form of Redis's RDB files.

use datatypes::json::Document;
use datatypes::rdb::{self, Members, RdbError, Value};
use datatypes::stream::Stream;
use datatypes::{
    Edit, Element, Elements, Event, Field, Kv, KvMut, List, Scored, SortedEdit, SortedSet, Type,
};
use resp::Reply;

use super::super::{Outcome, keyspace, print_score, reader, remove};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx};

pub fn dump(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let key = args.at(0)?;
    let Some(record) = reader(kv, cx).lookup(key)? else { return Ok(Reply::Null) };
    Ok(Reply::Bulk(match record.kind {
        Type::Hash => {
            let fields = Elements::of(&record, cx.db, key)?.at(kv, cx.now_ms)?.fields(kv)?;
            rdb::dump_hash(&record, &fields)
        }
        Type::Set => {
            let members = Elements::of(&record, cx.db, key)?.all(kv)?;
            rdb::dump_set(&record, &members)
        }
        Type::List => rdb::dump_list(&List::of(&record, cx.db, key)?.listpacks(kv)?),
        Type::SortedSet => {
            let elements = SortedSet::of(&record, cx.db, key)?.slice(kv, 0..u64::MAX)?;
            rdb::dump_sorted_set(&elements, record.large, print_score)
        }
        Type::Stream => match Stream::of(&record, cx.db, key)? {
            Some(stream) => rdb::dump_stream(&stream.value(kv)?, rdb::VERSION),
            None => return Ok(Reply::Null),
        },
        _ => rdb::dump(&record)?,
    }))
}

/// RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME s | FREQ n]
///
/// RESTORE-ASKING too: what it may do in a cluster is decided before.
pub fn restore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let options = Options::parse(args.from(3))?;
    let mut keyspace = keyspace(kv, cx);
    let entry = keyspace.entry(args.at(0)?)?;
    if !options.replace && entry.live().is_some() {
        return Err(CommandError::BusyKey);
    }
    let ttl = u64::try_from(args.int(1)?).map_err(|_| CommandError::InvalidTtl)?;
    let value = rdb::restore(args.at(2)?)?;
    let expiry_ms = options.expiry(ttl, cx.now_ms);
    if expiry_ms.is_some_and(|when| when <= cx.now_ms) {
        remove(&mut keyspace, args.at(0)?, entry);
        return Ok(Reply::OK);
    }
    keyspace.announce_replaced(&entry);
    match value {
        Value::String(text) => keyspace.put_string(entry, &text, expiry_ms),
        Value::Hash(fields) => {
            let hash = keyspace.create(entry, Type::Hash, cx.limits.hash, expiry_ms);
            restore_elements(hash, &fields)?;
        }
        Value::Json(root) => {
            let record = Document::new(root).record(expiry_ms)?;
            keyspace.put(entry, &record);
        }
        Value::ExpiringHash(fields) => {
            let hash = keyspace.create(entry, Type::Hash, cx.limits.hash, expiry_ms);
            restore_expiring(hash, &fields, cx)?;
        }
        Value::Set(members) => {
            let set = keyspace.create(entry, Type::Set, cx.limits.set, expiry_ms);
            restore_members(set, &members, cx)?;
        }
        Value::List(elements) => {
            let mut list = keyspace.create_list(entry, cx.limits.list, expiry_ms);
            list.fill(&elements)?;
            list.save()?;
        }
        Value::SortedSet(elements) => {
            let set = keyspace.create_sorted(entry, cx.limits.sorted_set, expiry_ms);
            restore_sorted_set(set, &elements)?;
        }
        Value::Stream(value) => {
            let mut stream = keyspace.create_stream(entry, expiry_ms)?;
            stream.fill(&value);
            stream.save();
        }
    }
    keyspace.announce(args.at(0)?, Event::generic("restore"));
    Ok(Reply::OK)
}

fn restore_sorted_set(mut set: SortedEdit<'_, '_>, elements: &[Scored]) -> Result<(), CommandError> {
    for Scored { member, score } in elements {
        if !set.put(member, *score)? {
            return Err(RdbError::Format.into());
        }
    }
    set.save();
    Ok(())
}

fn restore_elements(mut collection: Edit<'_, '_>, elements: &[Element]) -> Result<(), CommandError> {
    for Element { name, value } in elements {
        if !collection.put(name, value)? {
            return Err(RdbError::Format.into());
        }
    }
    collection.save();
    Ok(())
}

/// Fields that have expired meanwhile stay away, and the key too if all have.
fn restore_expiring(mut hash: Edit<'_, '_>, fields: &[Field], cx: &Cx) -> Result<(), CommandError> {
    for Field { name, value, expiry_ms } in fields {
        let lives = expiry_ms.is_none_or(|when| when > cx.now_ms);
        if lives && !hash.put_expiring(name, value, *expiry_ms)? {
            return Err(RdbError::Format.into());
        }
    }
    hash.replace();
    Ok(())
}

fn restore_members(mut set: Edit<'_, '_>, members: &Members, cx: &Cx) -> Result<(), CommandError> {
    let limit = if members.listpack { cx.limits.set.entries } else { cx.limits.set_integers };
    if members.listpack {
        set.forget_integers();
    }
    // As Redis, which decides by their number before it looks at them.
    if members.members.len() as u64 > limit {
        set.grow()?;
    }
    for member in &members.members {
        if !set.add(member, cx.limits.set_integers)? {
            return Err(RdbError::Format.into());
        }
    }
    set.save();
    Ok(())
}

/// Access times and frequencies are not kept: their options are checked and change nothing.
#[derive(Debug, Default)]
struct Options {
    replace: bool,
    /// The time to live is a moment.
    absolute: bool,
}

impl Options {
    fn parse(words: &[&[u8]]) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let (mut idletime, mut frequency) = (false, false);
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if is(word, "REPLACE") {
                options.replace = true;
            } else if is(word, "ABSTTL") {
                options.absolute = true;
            } else if is(word, "IDLETIME") && !frequency {
                idletime = true;
                let seconds = int(rest.next().ok_or(CommandError::Syntax)?)?;
                if seconds < 0 {
                    return Err(CommandError::InvalidIdletime);
                }
            } else if is(word, "FREQ") && !idletime {
                frequency = true;
                let often = int(rest.next().ok_or(CommandError::Syntax)?)?;
                if !(0..=255).contains(&often) {
                    return Err(CommandError::InvalidFrequency);
                }
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// 0: none.
    fn expiry(&self, ttl: u64, now_ms: u64) -> Option<u64> {
        match ttl {
            0 => None,
            _ if self.absolute => Some(ttl),
            _ => Some(ttl.saturating_add(now_ms).min(EXPIRY_MS_MAX)),
        }
    }
}

/// Later ones could not be told.
const EXPIRY_MS_MAX: u64 = i64::MAX as u64;
