//! ZSCAN.

use datatypes::collection::sorted::decode_score;
use datatypes::number::print_f64_long;
use datatypes::{Elements, Kv};
use resp::Reply;

use super::super::{Outcome, elements, print_score};
use super::sorted_set;
use crate::{Args, Cx};

/// ZSCAN key cursor [MATCH pattern] [COUNT n]
///
/// As Redis, which prints the scores of a large set with all the digits a double can have.
pub fn zscan(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut large = false;
    let open = |kv: &mut dyn Kv| {
        let set = sorted_set(kv, args.at(0)?, cx)?.elements().clone();
        large = matches!(set, Elements::Large(_));
        Ok(set)
    };
    let (cursor, found) = elements::page(kv, args, open)?;
    let mut shown = Vec::with_capacity(2 * found.len());
    for element in found {
        let score = decode_score(&element.value)?;
        let text = if large { print_f64_long(score).into_bytes() } else { print_score(score) };
        shown.extend([Reply::Bulk(element.name), Reply::bulk(text)]);
    }
    Ok(elements::answer(cursor, shown))
}
