//! Asking for places, geohashes and distances of members.

use datatypes::Kv;
use datatypes::geo::{self, Point, distance_m};
use resp::Reply;

use super::{Outcome, coordinates, distance, sorted_set, unit_m};
use crate::{Args, CommandError, Cx};

/// GEOPOS key [member …]
pub fn geopos(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    each_member(kv, args, cx, Reply::NullArray, |point| coordinates(point, cx))
}

/// GEOHASH key [member …]
pub fn geohash(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    each_member(kv, args, cx, Reply::Null, |point| Reply::bulk(geo::geohash(point)))
}

fn each_member(
    kv: &mut dyn Kv,
    args: &Args<'_>,
    cx: &Cx,
    missing: Reply,
    show: impl Fn(Point) -> Reply,
) -> Outcome {
    let set = sorted_set(kv, args.at(0)?, cx)?;
    let mut shown = Vec::with_capacity(args.len());
    for member in args.from(1) {
        let score = set.score(kv, member)?;
        shown.push(score.map_or_else(|| missing.clone(), |score| show(Point::of_score(score))));
    }
    Ok(Reply::Array(shown))
}

/// GEODIST key member1 member2 [M | KM | FT | MI]
pub fn geodist(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let unit_m = match args.from(3) {
        [] => 1.0,
        [name] => unit_m(name)?,
        _ => return Err(CommandError::Syntax),
    };
    let set = sorted_set(kv, args.at(0)?, cx)?;
    let (from, to) = (set.score(kv, args.at(1)?)?, set.score(kv, args.at(2)?)?);
    let (Some(from), Some(to)) = (from, to) else { return Ok(Reply::Null) };
    Ok(distance(distance_m(Point::of_score(from), Point::of_score(to)) / unit_m))
}
