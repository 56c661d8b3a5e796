//! Taking elements from the ends.

use datatypes::list::End;
use datatypes::number::parse_i64;
use datatypes::{Keyspace, KvMut};
use resp::Reply;

use super::super::{Outcome, bulk_or_null, keyspace};
use super::{edit, end, popped};
use crate::args::is;
use crate::error::ListError;
use crate::{Args, CommandError, Cx};

pub fn lpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    pop(kv, args, cx, End::Front, "lpop")
}

pub fn rpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    pop(kv, args, cx, End::Back, "rpop")
}

/// LPOP key [count]: with a count, an array.
fn pop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, end: End, name: &'static str) -> Outcome {
    let count = match args.from(1) {
        [] => None,
        [count] => Some(at_least(count, 0, CommandError::NotPositive)?),
        _ => return Err(CommandError::WrongArity(name)),
    };
    let mut keyspace = keyspace(kv, cx);
    let mut list = edit(&mut keyspace, args.at(0)?, cx)?;
    let Some(count) = count else {
        let element = list.pop(end)?;
        list.save()?;
        if element.is_some() {
            keyspace.announce_taken(args.at(0)?, popped(end))?;
        }
        return Ok(bulk_or_null(element));
    };
    if list.is_empty() {
        return Ok(Reply::NullArray);
    }
    let elements = list.pop_many(end, count)?;
    list.save()?;
    if !elements.is_empty() {
        keyspace.announce_taken(args.at(0)?, popped(end))?;
    }
    Ok(Reply::Array(elements.into_iter().map(Reply::Bulk).collect()))
}

/// LMPOP numkeys key [key …] LEFT|RIGHT [COUNT count]
pub fn lmpop(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let pop = PopFirst::parse(args.all())?;
    Ok(pop.execute(kv, cx)?.unwrap_or(Reply::NullArray))
}

/// Takes elements from the first of some lists that is not empty.
pub(super) struct PopFirst<'a> {
    keys: &'a [&'a [u8]],
    end: End,
    count: u64,
}

impl<'a> PopFirst<'a> {
    /// numkeys key [key …] LEFT|RIGHT [COUNT count]
    pub fn parse(words: &'a [&'a [u8]]) -> Result<Self, CommandError> {
        let (number, rest) = words.split_first().ok_or(CommandError::Syntax)?;
        let number = at_least(number, 1, ListError::NoKeys.into())?;
        let number = usize::try_from(number).map_err(|_| CommandError::Syntax)?;
        let (keys, rest) = rest.split_at_checked(number).ok_or(CommandError::Syntax)?;
        let (word, options) = rest.split_first().ok_or(CommandError::Syntax)?;
        let end = end(word)?;
        let (count, more) = match options {
            [word, count, more @ ..] if is(word, "COUNT") => {
                (at_least(count, 1, ListError::NoCount.into())?, more)
            }
            more => (1, more),
        };
        if more.is_empty() { Ok(Self { keys, end, count }) } else { Err(CommandError::Syntax) }
    }

    /// The key and its elements; `None` if there is no list.
    pub fn execute(&self, kv: &mut dyn KvMut, cx: &Cx) -> Result<Option<Reply>, CommandError> {
        let mut keyspace = keyspace(kv, cx);
        let Some(key) = first_list(&mut keyspace, self.keys, cx)? else { return Ok(None) };
        let mut list = edit(&mut keyspace, key, cx)?;
        let elements = list.pop_many(self.end, self.count)?;
        list.save()?;
        keyspace.announce_taken(key, popped(self.end))?;
        let elements = Reply::Array(elements.into_iter().map(Reply::Bulk).collect());
        Ok(Some(Reply::Array(vec![Reply::bulk(key), elements])))
    }
}

/// The first key that holds a list; all before it must be missing.
pub(super) fn first_list<'a>(
    keyspace: &mut Keyspace<'_>,
    keys: &'a [&'a [u8]],
    cx: &Cx,
) -> Result<Option<&'a [u8]>, CommandError> {
    for &key in keys {
        if !edit(keyspace, key, cx)?.is_empty() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// A number that is not less than `least`; anything else is `refused`.
pub(super) fn at_least(word: &[u8], least: i64, refused: CommandError) -> Result<u64, CommandError> {
    parse_i64(word).filter(|&number| number >= least).map(i64::cast_unsigned).ok_or(refused)
}
