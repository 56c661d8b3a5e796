//! HRANDFIELD.

use datatypes::{Element, Kv, Random};
use resp::{Protocol, Reply};

use super::super::{Outcome, bulk_or_null, elements};
use super::fields;
use crate::{Args, Cx};

/// HRANDFIELD key [count [WITHVALUES]]: one field, `count` different ones, or with a negative count
/// exactly that many, the same one more than once perhaps.
pub fn hrandfield(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    if args.len() == 1 {
        let field = fields(kv, args, cx)?.pick(kv, &mut Random::new(cx.seed))?;
        return Ok(bulk_or_null(field.map(|field| field.name)));
    }
    let (count, with_values) = elements::random_count(args, "WITHVALUES")?;
    let fields = fields(kv, args, cx)?;
    let chosen = elements::choose(kv, &fields, count, cx)?;
    Ok(Reply::Array(match (with_values, cx.protocol) {
        (false, _) => chosen.into_iter().map(|field| Reply::Bulk(field.name)).collect(),
        (true, Protocol::Resp2) => chosen.into_iter().flat_map(pair).collect(),
        (true, Protocol::Resp3) => chosen.into_iter().map(|field| Reply::Array(pair(field).into())).collect(),
    }))
}

fn pair(field: Element) -> [Reply; 2] {
    [Reply::Bulk(field.name), Reply::Bulk(field.value)]
}
