//! Commands on namespaces: hashes whose fields are spread over shards ([`topology::namespace`]).
//!
//! A command on fields goes to the shards of those fields, where the shard's key stands in for the
//! namespace's name. A command on the whole is executed once in each group, as [`Task`]: on every shard
//! there, and what they answer is joined, there and once more by the proxy.

use datatypes::{Kv, KvMut, Reader, Slot};
use resp::Reply;
use smallvec::SmallVec;
use topology::namespace::{SHARDS, shard_key, shards_between};

use crate::{
    Args, CommandError, Cx, Handler, Id, Merge, Spec, by_id,
    error::NamespaceError,
    handler::{
        hash,
        keyspace::scan::{Cursor, Options},
    },
};

/// How a command works on a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// On the shard of a field, the argument behind the key.
    Field,
    /// Each field, with `step - 1` values, on its shard.
    Fields { step: usize, merge: Merge },
    /// Likewise, with the fields behind the word FIELDS and their number. `None`: it is one decision
    /// about all of them, so one shard must have them.
    Counted { step: usize, merge: Option<Merge> },
    /// On every shard.
    Whole(Join),
    /// HSCAN: one shard after the other, as SCAN goes through slots.
    Scan,
}

/// How answers of shards become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// Numbers, added; null if there are none.
    Sum,
    /// The greatest number.
    Most,
    /// Arrays or maps, one behind the other.
    Concat,
    /// The first that says more than `none`.
    Known,
}

/// A command on all shards of one group.
#[derive(Debug)]
pub struct Task<'a> {
    pub spec: &'static Spec,
    /// Those of the command; the namespace's name among them.
    pub args: Vec<&'a [u8]>,
    /// Slots of the shards, ascending.
    pub shards: Vec<Slot>,
}

/// The first argument of a task: the slots of `shards`, ascending, as runs of shards.
pub fn encode_shards(shards: &[Slot]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in shards.chunk_by(|a, b| shards_between(a.number(), b.number()).count() == 1) {
        for slot in [run[0], run[run.len() - 1]] {
            out.extend_from_slice(&slot.number().to_le_bytes());
        }
    }
    out
}

fn decode_shards(bytes: &[u8]) -> Option<Vec<Slot>> {
    let (numbers, []) = bytes.as_chunks::<2>() else { return None };
    let (runs, []) = numbers.as_chunks::<2>() else { return None };
    let mut shards = Vec::new();
    for [first, last] in runs {
        let end = u16::from_le_bytes(*last).checked_add(1)?;
        shards.extend(shards_between(u16::from_le_bytes(*first), end));
        if shards.len() > usize::from(SHARDS) {
            return None;
        }
    }
    Some(shards)
}

impl<'a> Task<'a> {
    /// From the arguments of [`Id::Spread`]: shards, id of the command, its arguments.
    pub fn decode(args: &[&'a [u8]]) -> Option<Self> {
        let [shards, id, args @ ..] = args else { return None };
        let spec = by_id(u16::from_le_bytes(id.first_chunk().copied()?))?;
        spec.spread?;
        Some(Self { spec, args: args.to_vec(), shards: decode_shards(shards)? })
    }

    /// The namespace.
    pub fn name(&self) -> Option<&'a [u8]> {
        self.spec.key_positions(&self.args).next().map(|at| self.args[at])
    }

    /// Executes it. `cx.db` is that of the shards.
    pub fn run(&self, kv: &mut dyn KvMut, cx: &Cx) -> Result<Reply, CommandError> {
        match self.spec.spread {
            Some(Spread::Whole(join)) => self.whole(kv, cx, join),
            Some(Spread::Scan) => self.scan(kv.as_kv(), cx),
            _ => Err(NamespaceError::Refused(self.spec.full_name).into()),
        }
    }

    fn whole(&self, kv: &mut dyn KvMut, cx: &Cx, join: Join) -> Result<Reply, CommandError> {
        let name = self.name().ok_or(CommandError::Syntax)?;
        let mut replies = Vec::new();
        for &slot in &self.shards {
            let key = shard_key(slot, name);
            if Reader::new(kv.as_kv(), cx.db, cx.now_ms).lookup(&key)?.is_some() {
                replies.push(self.on(kv, &key, cx)?);
            }
        }
        // What a missing key answers.
        if let (true, Some(&slot)) = (replies.is_empty(), self.shards.first()) {
            replies.push(self.on(kv, &shard_key(slot, name), cx)?);
        }
        Ok(joined(join, replies))
    }

    fn on(&self, kv: &mut dyn KvMut, key: &[u8], cx: &Cx) -> Result<Reply, CommandError> {
        let mut args: SmallVec<[&[u8]; 8]> = SmallVec::from_slice(&self.args);
        if let Some(at) = self.spec.key_positions(&self.args).next() {
            args[at] = key;
        }
        let args = Args::new(&args);
        match self.spec.handler() {
            Some(Handler::Read(read)) => read(kv.as_kv(), &args, cx),
            Some(Handler::Write(write)) => write(kv, &args, cx),
            None => Err(NamespaceError::Refused(self.spec.full_name).into()),
        }
    }

    /// The cursor is `slot << 48 | position`; 0 in the answer: these shards are done.
    fn scan(&self, kv: &mut dyn Kv, cx: &Cx) -> Result<Reply, CommandError> {
        let args = Args::new(&self.args);
        let (name, cursor) = (args.at(0)?, Cursor::parse(args.at(1)?)?);
        let count = Options::of_elements(args.from(2))?.count;
        let mut shards = self.shards.iter().filter(|slot| slot.number() >= cursor.slot).peekable();
        let (mut found, mut visited) = (Vec::new(), 0);
        while let Some(&slot) = shards.next() {
            let key = shard_key(slot, name);
            if Reader::new(kv, cx.db, cx.now_ms).lookup(&key)?.is_none() {
                continue;
            }
            let position = if slot.number() == cursor.slot { cursor.position } else { 0 };
            let next = scan_shard(kv, &key, position, &args, cx, &mut found)?;
            if next > 0 {
                return Ok(page(Cursor { slot: slot.number(), position: next }, found));
            }
            visited += 1;
            if let Some(next) = shards.peek().filter(|_| found.len() / 2 >= count || visited >= count) {
                return Ok(page(Cursor { slot: next.number(), position: 0 }, found));
            }
        }
        Ok(page(Cursor::default(), found))
    }
}

/// One step in one shard: adds what it finds and answers where to go on.
fn scan_shard(
    kv: &mut dyn Kv,
    key: &[u8],
    position: u64,
    args: &Args<'_>,
    cx: &Cx,
    found: &mut Vec<Reply>,
) -> Result<u64, CommandError> {
    let mut buffer = itoa::Buffer::new();
    let mut own: SmallVec<[&[u8]; 8]> = SmallVec::from_slice(&[key, buffer.format(position).as_bytes()]);
    own.extend_from_slice(args.from(2));
    let Reply::Array(answer) = hash::hscan(kv, &Args::new(&own), cx)? else { return Ok(0) };
    match <[Reply; 2]>::try_from(answer) {
        Ok([Reply::Bulk(next), Reply::Array(items)]) => {
            found.extend(items);
            Ok(Cursor::parse(&next)?.number())
        }
        _ => Ok(0),
    }
}

fn page(next: Cursor, found: Vec<Reply>) -> Reply {
    let cursor = Reply::bulk(itoa::Buffer::new().format(next.number()));
    Reply::Array(vec![cursor, Reply::Array(found)])
}

/// One answer of several; an error among them is the answer.
pub fn joined(join: Join, mut replies: Vec<Reply>) -> Reply {
    if let Some(error) = replies.iter().position(|reply| matches!(reply, Reply::Error(_))) {
        return replies.swap_remove(error);
    }
    let numbers = || {
        replies.iter().filter_map(|reply| match reply {
            Reply::Int(n) => Some(*n),
            _ => None,
        })
    };
    match join {
        Join::Sum => numbers().reduce(i64::saturating_add).map_or(Reply::Null, Reply::Int),
        Join::Most => numbers().max().map_or(Reply::Null, Reply::Int),
        Join::Concat => concatenated(replies),
        Join::Known => {
            let is_known = |reply: &Reply| match reply {
                Reply::Simple(text) => *text != "none",
                Reply::Status(text) => text != "none",
                _ => true,
            };
            let known = replies.iter().position(is_known).unwrap_or(0);
            if replies.is_empty() { Reply::Null } else { replies.swap_remove(known) }
        }
    }
}

fn concatenated(replies: Vec<Reply>) -> Reply {
    let both = |all, more| match (all, more) {
        (Reply::Array(mut items), Reply::Array(more)) => {
            items.extend(more);
            Reply::Array(items)
        }
        (Reply::Map(mut pairs), Reply::Map(more)) => {
            pairs.extend(more);
            Reply::Map(pairs)
        }
        (Reply::Bulks(aggregate, mut bulks), Reply::Bulks(_, more)) => {
            bulks.append(&more);
            Reply::Bulks(aggregate, bulks)
        }
        (all, _) => all,
    };
    replies.into_iter().reduce(both).unwrap_or_else(|| Reply::Array(Vec::new()))
}

/// Where FIELDS, the number and the fields begin among the arguments: the position of the word, if the
/// number tells the truth.
pub fn counted_fields(args: &[&[u8]], step: usize) -> Option<usize> {
    let word = args.iter().skip(1).position(|arg| arg.eq_ignore_ascii_case(b"FIELDS"))? + 1;
    let count: usize = std::str::from_utf8(args.get(word + 1)?).ok()?.parse().ok()?;
    (count > 0 && count.checked_mul(step)? == args.len() - word - 2).then_some(word)
}

/// The id that stands for a task on the wire.
pub const TASK: Id = Id::Spread;

#[cfg(test)]
mod tests {
    use resp::{Aggregate, Bulks};
    use topology::namespace::shards;

    use super::*;

    #[test]
    fn shards_survive_the_round_trip() {
        let all: Vec<Slot> = shards().collect();
        let encoded = encode_shards(&all);
        assert_eq!(encoded.len(), 4, "one run");
        assert_eq!(decode_shards(&encoded), Some(all.clone()));
        let some = [all[0], all[1], all[5], all[1023]];
        assert_eq!(decode_shards(&encode_shards(&some)), Some(some.to_vec()));
        assert_eq!(decode_shards(b"abc"), None);
        assert_eq!(decode_shards(&[encoded.clone(), encoded].concat()), None, "more than there are");
        assert_eq!(decode_shards(&[0, 0, 255, 255]), None);
    }

    #[test]
    fn answers_are_joined() {
        let ints = |list: &[i64]| list.iter().map(|&n| Reply::Int(n)).collect::<Vec<_>>();
        assert_eq!(joined(Join::Sum, ints(&[1, 2])), Reply::Int(3));
        assert_eq!(joined(Join::Sum, vec![Reply::Null]), Reply::Null);
        assert_eq!(joined(Join::Most, ints(&[-2, -1])), Reply::Int(-1));
        assert_eq!(
            joined(Join::Known, vec![Reply::Simple("none"), Reply::Simple("hash")]),
            Reply::Simple("hash")
        );
        assert_eq!(joined(Join::Known, vec![Reply::Simple("none")]), Reply::Simple("none"));
        let array = |n: i64| Reply::Array(vec![Reply::Int(n)]);
        assert_eq!(joined(Join::Concat, vec![array(1), array(2)]), Reply::Array(ints(&[1, 2])));
        let map = |n: i64| Reply::Map(vec![(Reply::Int(n), Reply::Null)]);
        let Reply::Map(pairs) = joined(Join::Concat, vec![map(1), map(2)]) else { panic!("a map") };
        assert_eq!(pairs.len(), 2);
        let bulks = |aggregate, texts: &[&str]| {
            let mut bulks = Bulks::default();
            texts.iter().for_each(|text| bulks.push(text.as_bytes()));
            Reply::Bulks(aggregate, bulks)
        };
        for aggregate in [Aggregate::Array, Aggregate::Map] {
            let parts = vec![bulks(aggregate, &["a", "b"]), bulks(aggregate, &["c", "d"])];
            assert_eq!(joined(Join::Concat, parts), bulks(aggregate, &["a", "b", "c", "d"]));
        }
        assert!(matches!(joined(Join::Sum, vec![Reply::Int(1), Reply::error("ERR x")]), Reply::Error(_)));
    }

    #[test]
    fn counted_fields_are_found() {
        let at = |words: &str, step| {
            let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
            counted_fields(&args, step)
        };
        assert_eq!(at("k 10 NX FIELDS 2 a b", 1), Some(3));
        assert_eq!(at("fields fields 1 fields", 1), Some(1));
        assert_eq!(at("k FIELDS 1 a v", 2), Some(1));
        for words in ["k 10", "k FIELDS", "k FIELDS 2 a", "k FIELDS 0", "k FIELDS x a"] {
            assert_eq!(at(words, 1), None, "{words}");
        }
    }
}
