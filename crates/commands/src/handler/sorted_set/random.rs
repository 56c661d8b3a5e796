//! ZRANDMEMBER.

use datatypes::collection::sorted::decode_score;
use datatypes::{Kv, Random, Scored};

use super::super::{Outcome, bulk_or_null, elements};
use super::{listed, sorted_set};
use crate::{Args, Cx};

/// ZRANDMEMBER key [count [WITHSCORES]]: one member, `count` different ones, or with a negative count
/// exactly that many, the same one more than once perhaps.
pub fn zrandmember(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    if args.len() == 1 {
        let set = sorted_set(kv, args.at(0)?, cx)?;
        let member = set.elements().pick(kv, &mut Random::new(cx.seed))?;
        return Ok(bulk_or_null(member.map(|member| member.name)));
    }
    let (count, with_scores) = elements::random_count(args, "WITHSCORES")?;
    let set = sorted_set(kv, args.at(0)?, cx)?;
    let mut chosen = Vec::new();
    for element in elements::choose(kv, set.elements(), count, cx)? {
        chosen.push(Scored { score: decode_score(&element.value)?, member: element.name });
    }
    Ok(listed(chosen, with_scores, cx))
}
