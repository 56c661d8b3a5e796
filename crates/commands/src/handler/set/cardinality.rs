//! SINTERCARD.

use datatypes::Kv;
use resp::Reply;

use super::super::Outcome;
use super::algebra::{by_size, is_in_all, sets};
use crate::args::is;
use crate::error::IntersectionError;
use crate::{Args, CommandError, Cx};

/// SINTERCARD numkeys key [key …] [LIMIT limit]: counts no further than the limit; 0 is none.
pub fn sintercard(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let count = args.int(0).ok().and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
    let count = count.ok_or(IntersectionError::NoKeys)?;
    let keys = args.from(1).get(..count).ok_or(IntersectionError::MoreKeysThanArguments)?;
    let limit = limit(args.from(1 + count))?;
    let sets = sets(kv, keys, cx)?;
    let sets = by_size(&sets)?;
    let Some(((_, smallest), others)) = sets.split_first() else { return Ok(Reply::Int(0)) };
    let mut common = 0;
    for member in smallest.all(kv)? {
        if is_in_all(kv, others, &member.name)? {
            common += 1;
            if common == limit {
                break;
            }
        }
    }
    Ok(Reply::Int(common))
}

fn limit(words: &[&[u8]]) -> Result<i64, CommandError> {
    let mut limit = 0;
    let (options, rest) = words.as_chunks();
    for [word, number] in options {
        if !is(word, "LIMIT") {
            return Err(CommandError::Syntax);
        }
        let number = crate::args::int(number).ok().filter(|&limit| limit >= 0);
        limit = number.ok_or(IntersectionError::NegativeLimit)?;
    }
    if rest.is_empty() { Ok(limit) } else { Err(CommandError::Syntax) }
}
