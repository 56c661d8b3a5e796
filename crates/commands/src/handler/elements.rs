//! What commands on hashes, sets and sorted sets share.
//!
//! HSCAN and its kin iterate without state. The cursor is the position of the next element, and an
//! element's position follows from its name alone. An element that is there all the time is returned,
//! whatever happens to others, also when the collection grows large meanwhile or is renamed. A small
//! collection is answered whole.

use datatypes::{Element, Elements, Kv, Random};
use resp::Reply;

use super::Outcome;
use super::keyspace::scan::Options;
use crate::args::{cursor, is};
use crate::{Args, CommandError, Cx};

/// Elements that are answered although they repeat. Redis knows no limit, and runs out of memory.
const REPEATED_MAX: usize = 1 << 20;

/// Reads `key count [word]` of HRANDFIELD and its kin: the count, and whether the word is there.
pub fn random_count(args: &Args<'_>, word: &str) -> Result<(i64, bool), CommandError> {
    let count = args.int(1)?;
    if count == i64::MIN {
        return Err(CommandError::NotBetween(-i64::MAX, i64::MAX));
    }
    match args.from(2) {
        [] => Ok((count, false)),
        [other] if !is(other, word) => Err(CommandError::Syntax),
        [_] if count.unsigned_abs() > (i64::MAX / 2).unsigned_abs() => Err(CommandError::OutOfRange),
        [_] => Ok((count, true)),
        _ => Err(CommandError::Syntax),
    }
}

/// `count` different elements at random, or with a negative count exactly that many, the same one more
/// than once perhaps.
pub fn choose(
    kv: &mut dyn Kv,
    elements: &Elements,
    count: i64,
    cx: &Cx,
) -> Result<Vec<Element>, CommandError> {
    let mut random = Random::new(cx.seed);
    let limit = usize::try_from(count.unsigned_abs()).map_err(|_| CommandError::OutOfRange)?;
    Ok(match count {
        0.. => elements.sample(kv, limit, &mut random)?,
        _ if limit > REPEATED_MAX && !elements.is_empty()? => return Err(CommandError::OutOfRange),
        _ => elements.picks(kv, limit, &mut random)?,
    })
}

/// Arguments behind the key: cursor [MATCH pattern] [COUNT n]
pub fn scan<const N: usize>(
    kv: &mut dyn Kv,
    args: &Args<'_>,
    open: impl FnOnce(&mut dyn Kv) -> Result<Elements, CommandError>,
    show: impl Fn(Element) -> [Reply; N],
) -> Outcome {
    let (next, found) = page(kv, args, open)?;
    Ok(answer(next, found.into_iter().flat_map(show).collect()))
}

/// One step of an iteration: where it goes on, and the elements that match.
pub fn page(
    kv: &mut dyn Kv,
    args: &Args<'_>,
    open: impl FnOnce(&mut dyn Kv) -> Result<Elements, CommandError>,
) -> Result<(u32, Vec<Element>), CommandError> {
    let cursor = cursor(args.at(1)?)?;
    let elements = open(kv)?;
    if matches!(elements, Elements::None) {
        return Ok((0, Vec::new()));
    }
    let options = Options::of_elements(args.from(2))?;
    let mut page = elements.page(kv, cursor, options.count)?;
    page.elements.retain(|element| options.matches(&element.name));
    Ok((page.next.unwrap_or(0), page.elements))
}

pub fn answer(next: u32, found: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::bulk(itoa::Buffer::new().format(next)), Reply::Array(found)])
}
