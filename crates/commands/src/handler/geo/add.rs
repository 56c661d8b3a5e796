//! GEOADD.

use datatypes::KvMut;
use datatypes::geo::score_of;

use super::{Outcome, Rules, add, point};
use crate::args::is;
use crate::{Args, CommandError, Cx};

/// GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member …]
pub fn geoadd(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut rules = Rules::default();
    let mut take = |word: &&&[u8]| {
        let known = [("NX", &mut rules.nx), ("XX", &mut rules.xx), ("CH", &mut rules.ch)];
        let option = known.into_iter().find(|(name, _)| is(word, name));
        option.map(|(_, option)| *option = true).is_some()
    };
    let options = args.from(1).iter().take_while(|word| take(word)).count();
    let (places, []) = args.from(1 + options).as_chunks() else { return Err(CommandError::Syntax) };
    if places.is_empty() || (rules.nx && rules.xx) {
        return Err(CommandError::Syntax);
    }
    let mut elements = Vec::with_capacity(places.len());
    for [longitude, latitude, member] in places {
        elements.push((score_of(point(longitude, latitude)?), *member));
    }
    add(kv, args.at(0)?, rules, &elements, cx)
}
