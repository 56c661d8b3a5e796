//! What HSCAN and SSCAN share: an iteration without state. The cursor is the position of the next
//! element, and an element's position follows from its name alone. An element that is there all the
//! time is returned, whatever happens to others, also when the collection grows large meanwhile or
//! is renamed. A small collection is answered whole.

use datatypes::{Element, Elements, Kv};
use resp::Reply;

use super::Outcome;
use super::keyspace::scan::{Options, parse_number};
use crate::{Args, CommandError};

/// Arguments behind the key: cursor [MATCH pattern] [COUNT n]
pub fn scan<const N: usize>(
    kv: &mut dyn Kv,
    args: &Args<'_>,
    open: impl FnOnce(&mut dyn Kv) -> Result<Elements, CommandError>,
    show: impl Fn(Element) -> [Reply; N],
) -> Outcome {
    let cursor = parse_number(args.at(1)?)?;
    let elements = open(kv)?;
    if matches!(elements, Elements::None) {
        return Ok(answer(0, Vec::new()));
    }
    let options = Options::of_elements(args.from(2))?;
    let page = elements.page(kv, cursor, options.count)?;
    let matching = page.elements.into_iter().filter(|element| options.matches(&element.name));
    Ok(answer(page.next.unwrap_or(0), matching.flat_map(show).collect()))
}

fn answer(next: u32, found: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::bulk(itoa::Buffer::new().format(next)), Reply::Array(found)])
}
