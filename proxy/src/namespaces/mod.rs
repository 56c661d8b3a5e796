//! Commands on namespaces: hashes whose fields are spread over shards in all groups. A command on
//! fields is sent to their shards, in parts if there are several; one on the whole to all groups.

mod whole;

use std::collections::HashMap;

use bytes::Bytes;
use commands::{
    CommandError, Merge, Spec,
    args::cursor,
    error::NamespaceError,
    namespace::{Spread, TASK, counted_fields, encode_shards},
    wire::FLAG_SHARD,
};
use resp::Reply;
use smallvec::SmallVec;
use topology::{
    Namespaces, Slot,
    namespace::{Phase, shard_key, shard_of, shards_between},
};

use crate::{
    backend_api::{RouteError, Sink, Target},
    connection::Call,
    execute::{ArgVec, Front},
    gather::Positions,
    scan,
};

/// Executes a command that names a namespace; false: it names none.
pub fn run(front: &mut Front, args: &[&[u8]], call: Call) -> bool {
    let Some(rules) = front.conn.worker.backend.namespaces() else { return false };
    match names(&rules, args, call.spec) {
        Ok(false) => return false,
        Err(error) => front.reject(&Reply::from(CommandError::from(error))),
        Ok(true) => execute(front, &rules, args, call),
    }
    true
}

/// Whether one of the keys is a namespace that the command works on.
fn names(rules: &Namespaces, args: &[&[u8]], spec: &Spec) -> Result<bool, NamespaceError> {
    let mut found = false;
    for at in spec.key_positions(args) {
        match rules.phase_of(args[at]) {
            None => {}
            Some(Phase::Active) if spec.spread.is_some() => found = true,
            Some(Phase::Active) => return Err(NamespaceError::Refused(spec.full_name)),
            Some(Phase::Adding | Phase::Removing) => return Err(NamespaceError::Changing),
        }
    }
    Ok(found)
}

/// Why a command that needs ordinary keys does not get them.
pub fn refusal(front: &Front, args: &[&[u8]], spec: &Spec) -> Option<Reply> {
    let rules = front.conn.worker.backend.namespaces()?;
    let error = match names(&rules, args, spec) {
        Ok(false) => return None,
        Ok(true) => NamespaceError::Refused(spec.full_name),
        Err(error) => error,
    };
    Some(CommandError::from(error).into())
}

/// For a command of a transaction on a namespace: its shard, and the shard's key in place of the
/// first argument.
pub fn in_transaction(
    front: &Front,
    args: &[&[u8]],
    spec: &'static Spec,
) -> Result<Option<(Slot, Vec<u8>)>, Reply> {
    let Some(rules) = front.conn.worker.backend.namespaces() else { return Ok(None) };
    let refused = |error: NamespaceError| Reply::from(CommandError::from(error));
    if !names(&rules, args, spec).map_err(refused)? {
        return Ok(None);
    }
    let parts = match spec.spread {
        Some(Spread::Whole(_) | Spread::Scan) | None => Vec::new(),
        Some(spread) => parts(args, spread),
    };
    match parts.as_slice() {
        [part] => Ok(Some((part.slot, shard_key(part.slot, args[0])))),
        _ => Err(refused(NamespaceError::InTransaction(spec.full_name))),
    }
}

fn execute(front: &mut Front, rules: &Namespaces, args: &[&[u8]], call: Call) {
    match call.spec.spread {
        None => {}
        Some(Spread::Whole(join)) => whole::run(front, rules, args, call, join),
        Some(Spread::Scan) => scan_shards(front, args, call),
        Some(spread) => {
            let parts = parts(args, spread);
            match (parts.as_slice(), merge(spread)) {
                ([part], _) => {
                    let token = front.open(call);
                    if let Some(sink) = front.conn.sink(token) {
                        send(front, args[0], part, call.spec, sink);
                    }
                }
                (_, None) => front.reply(&CommandError::CrossSlot.into()),
                (parts, Some(merge)) => {
                    let token = front.open(call);
                    front.hold_changes(token);
                    let gather = front.gather(token, merge, parts.iter().map(|part| part.positions.clone()));
                    for (at, part) in parts.iter().enumerate() {
                        let sink = Sink { to: gather.clone(), token: at as u64, origin: front.conn.info.id };
                        send(front, args[0], part, call.spec, sink);
                    }
                }
            }
        }
    }
}

fn merge(spread: Spread) -> Option<Merge> {
    match spread {
        Spread::Fields { merge, .. } => Some(merge),
        Spread::Counted { merge, .. } => merge,
        Spread::Field | Spread::Whole(_) | Spread::Scan => None,
    }
}

fn send(front: &Front, name: &[u8], part: &Part<'_>, spec: &Spec, sink: Sink) {
    let key = shard_key(part.slot, name);
    let count = part.positions.len().to_string();
    let mut args: ArgVec<'_> = SmallVec::from_slice(&[&key[..]]);
    args.extend_from_slice(part.before);
    if part.counted {
        args.extend_from_slice(&[b"FIELDS", count.as_bytes()]);
    }
    args.extend_from_slice(&part.fields);
    let flags = front.session.wire_flags | FLAG_SHARD;
    front.send_as(Target::Slot(part.slot), &args, spec.id, flags, spec.is_write(), sink);
}

/// What one shard gets of a command on fields.
struct Part<'a> {
    slot: Slot,
    /// Arguments between the key and the fields.
    before: &'a [&'a [u8]],
    /// FIELDS and their number stand before the fields.
    counted: bool,
    /// With what belongs to each.
    fields: ArgVec<'a>,
    /// Which fields of the command they are.
    positions: Positions,
}

/// One part for each shard. Arguments that make no sense go to one shard, which refuses them.
fn parts<'a>(args: &'a [&'a [u8]], spread: Spread) -> Vec<Part<'a>> {
    let as_it_is = |slot: Slot| {
        let positions = Positions::from_elem(0, 1);
        vec![Part { slot, before: &args[1..], counted: false, fields: ArgVec::new(), positions }]
    };
    let first = args.get(1).copied().unwrap_or_default();
    let (step, begin, counted) = match spread {
        Spread::Fields { step, .. } if (args.len() - 1).is_multiple_of(step) => (step, 1, false),
        Spread::Counted { step, .. } => match counted_fields(args, step) {
            Some(word) => (step, word + 2, true),
            None => return as_it_is(shard_of(first)),
        },
        _ => return as_it_is(shard_of(first)),
    };
    let before = if counted { &args[1..begin - 2] } else { &[] };
    let mut parts: Vec<Part<'a>> = Vec::new();
    let mut by_slot: HashMap<Slot, usize> = HashMap::new();
    for (number, field) in args[begin..].chunks(step).enumerate() {
        let slot = shard_of(field[0]);
        let at = *by_slot.entry(slot).or_insert_with(|| {
            let (fields, positions) = (ArgVec::new(), Positions::new());
            parts.push(Part { slot, before, counted, fields, positions });
            parts.len() - 1
        });
        parts[at].fields.extend_from_slice(field);
        parts[at].positions.push(number as u32);
    }
    parts
}

/// HSCAN: as SCAN, over the slots of shards.
fn scan_shards(front: &mut Front, args: &[&[u8]], call: Call) {
    let cursor = match cursor(args[1]) {
        Ok(cursor) => cursor,
        Err(error) => return front.reply(&error.into()),
    };
    let backend = front.conn.worker.backend.clone();
    let view = backend.groups();
    if view.is_empty() {
        return front.reply(&Reply::error(RouteError::ClusterDown("The cluster is down").to_string()));
    }
    let (id, key) = (id_of(call.spec), Bytes::copy_from_slice(args[0]));
    let place = move |cursor: Bytes, run: scan::Run| {
        let shards = encode_shards(&shards_between(run.first.number(), run.end).collect::<Vec<_>>());
        vec![shards.into(), id.clone(), key.clone(), cursor]
    };
    let walk = scan::Walk::new(backend, front.asker(), view, TASK.spec(), &args[2..], place);
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, walk.begin(cursor));
}

fn id_of(spec: &Spec) -> Bytes {
    Bytes::copy_from_slice(&(spec.id as u16).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &str, spread: Spread) -> Vec<(String, Vec<u32>)> {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let text = |part: &Part<'_>| {
            let words: Vec<_> =
                part.before.iter().chain(&part.fields).map(|word| String::from_utf8_lossy(word)).collect();
            format!("{}{}", if part.counted { "FIELDS " } else { "" }, words.join(" "))
        };
        parts(&args, spread).iter().map(|part| (text(part), part.positions.to_vec())).collect()
    }

    #[test]
    fn fields_go_to_their_shards() {
        let pairs = Spread::Fields { step: 2, merge: Merge::Sum };
        let found = split("users {x}a 1 b 2 {x}c 3", pairs);
        assert_eq!(found, [("{x}a 1 {x}c 3".to_owned(), vec![0, 2]), ("b 2".to_owned(), vec![1])]);
        let counted = Spread::Counted { step: 1, merge: Some(Merge::ByKeyOrder) };
        let found = split("users 10 NX FIELDS 3 a {b} {b}c", counted);
        assert_eq!(
            found,
            [("FIELDS 10 NX a".to_owned(), vec![0]), ("FIELDS 10 NX {b} {b}c".to_owned(), vec![1, 2])]
        );
    }

    #[test]
    fn what_makes_no_sense_goes_to_one_shard() {
        for (words, spread) in [
            ("users a 1 b", Spread::Fields { step: 2, merge: Merge::Sum }),
            ("users 10 FIELDS 9 a b", Spread::Counted { step: 1, merge: None }),
            ("users a", Spread::Field),
        ] {
            let parts = split(words, spread);
            assert_eq!(parts.len(), 1, "{words}");
            assert_eq!(format!("users {}", parts[0].0), words);
        }
    }
}
