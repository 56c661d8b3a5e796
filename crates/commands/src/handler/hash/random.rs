//! HRANDFIELD.

use datatypes::{Element, Kv, Random};
use resp::{Protocol, Reply};

use super::super::{Outcome, bulk_or_null};
use super::fields;
use crate::args::is;
use crate::{Args, CommandError, Cx};

/// Fields that are answered although they repeat. Redis knows no limit, and runs out of memory.
const REPEATED_MAX: usize = 1 << 20;

/// HRANDFIELD key [count [WITHVALUES]]: one field, `count` different ones, or with a negative count
/// exactly that many, the same one more than once perhaps.
pub fn hrandfield(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut random = Random::new(cx.seed);
    if args.len() == 1 {
        let field = fields(kv, args, cx)?.pick(kv, &mut random)?;
        return Ok(bulk_or_null(field.map(|field| field.name)));
    }
    let (count, with_values) = parse(args)?;
    let fields = fields(kv, args, cx)?;
    let limit = usize::try_from(count.unsigned_abs()).map_err(|_| CommandError::OutOfRange)?;
    let chosen = match count {
        0.. => fields.sample(kv, limit, &mut random)?,
        _ if limit > REPEATED_MAX && !fields.is_empty()? => return Err(CommandError::OutOfRange),
        _ => fields.picks(kv, limit, &mut random)?,
    };
    Ok(Reply::Array(match (with_values, cx.protocol) {
        (false, _) => chosen.into_iter().map(|field| Reply::Bulk(field.name)).collect(),
        (true, Protocol::Resp2) => chosen.into_iter().flat_map(pair).collect(),
        (true, Protocol::Resp3) => chosen.into_iter().map(|field| Reply::Array(pair(field).into())).collect(),
    }))
}

/// The count, and whether values are asked for.
fn parse(args: &Args<'_>) -> Result<(i64, bool), CommandError> {
    let count = args.int(1)?;
    if count == i64::MIN {
        return Err(CommandError::NotBetween(-i64::MAX, i64::MAX));
    }
    match args.from(2) {
        [] => Ok((count, false)),
        [word] if !is(word, "WITHVALUES") => Err(CommandError::Syntax),
        [_] if count.unsigned_abs() > (i64::MAX / 2).unsigned_abs() => Err(CommandError::OutOfRange),
        [_] => Ok((count, true)),
        _ => Err(CommandError::Syntax),
    }
}

fn pair(field: Element) -> [Reply; 2] {
    [Reply::Bulk(field.name), Reply::Bulk(field.value)]
}
