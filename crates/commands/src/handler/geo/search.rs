//! GEOSEARCH, and the older GEORADIUS.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use datatypes::geo::{Point, Shape, cells_around};
use datatypes::{Kv, KvMut, Scored, SortedSet, slot_of};
use resp::Reply;

use super::query::{Form, Query, Sort};
use super::{Outcome, ScoreRange, coordinates, distance, sorted_set, store};
use crate::{Args, CommandError, Cx};

/// A member that was found.
struct Found {
    member: Bytes,
    score: f64,
    point: Point,
    /// From the middle.
    distance_m: f64,
}

/// GEORADIUS key longitude latitude radius unit [options]
pub fn georadius(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer_or_store(kv, args, cx, Form::Radius(true))
}

/// GEORADIUS_RO key longitude latitude radius unit [options]
pub fn georadius_ro(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, Form::Radius(false))
}

/// GEORADIUSBYMEMBER key member radius unit [options]
pub fn georadiusbymember(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer_or_store(kv, args, cx, Form::RadiusByMember(true))
}

/// GEORADIUSBYMEMBER_RO key member radius unit [options]
pub fn georadiusbymember_ro(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, Form::RadiusByMember(false))
}

/// GEOSEARCH key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius unit |
/// BYBOX width height unit> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
pub fn geosearch(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    answer(kv, args, cx, Form::Search)
}

/// GEOSEARCHSTORE destination source and what GEOSEARCH takes, and [STOREDIST]
pub fn geosearchstore(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx) -> Outcome {
    let set = sorted_set(kv.as_kv(), args.at(1)?, cx)?;
    let query = Query::parse(kv.as_kv(), &set, args.from(2), Form::SearchStore)?;
    let found = find(kv.as_kv(), &set, &query)?;
    store_found(kv, args.at(0)?, found, &query, "geosearchstore", cx)
}

fn answer(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx, form: Form) -> Outcome {
    let set = sorted_set(kv, args.at(0)?, cx)?;
    let query = Query::parse(kv, &set, args.from(1), form)?;
    Ok(show(find(kv, &set, &query)?, &query, cx))
}

fn answer_or_store(kv: &mut dyn KvMut, args: &Args<'_>, cx: &Cx, form: Form) -> Outcome {
    let set = sorted_set(kv.as_kv(), args.at(0)?, cx)?;
    let query = Query::parse(kv.as_kv(), &set, args.from(1), form)?;
    let slot = slot_of(args.at(0)?);
    if query.store.is_some_and(|key| slot_of(key) != slot) {
        return Err(CommandError::CrossSlot);
    }
    let found = find(kv.as_kv(), &set, &query)?;
    match query.store {
        Some(key) => store_found(kv, key, found, &query, "georadiusstore", cx),
        None => Ok(show(found, &query, cx)),
    }
}

/// The members inside the shape, sorted and cut as asked.
fn find(kv: &mut dyn Kv, set: &SortedSet, query: &Query<'_>) -> Result<Vec<Found>, CommandError> {
    let (Some(middle), Some(shape)) = (query.middle, query.shape) else { return Ok(Vec::new()) };
    let limit = query.count.filter(|_| query.any).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for cell in cells_around(shape, middle) {
        if found.len() >= limit {
            break;
        }
        let (least, next) = cell.scores();
        let places = ScoreRange::half_open(least, next).places();
        set.scan(kv, &places.start, &mut |member, score| {
            if score >= next || found.len() >= limit {
                return ControlFlow::Break(());
            }
            let point = Point::of_score(score);
            if let Some(distance_m) = shape.distance_inside_m(middle, point) {
                let member = Bytes::copy_from_slice(member);
                found.push(Found { member, score, point, distance_m });
            }
            ControlFlow::Continue(())
        })?;
    }
    match query.sort {
        Some(Sort::Ascending) => found.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m)),
        Some(Sort::Descending) => found.sort_by(|a, b| b.distance_m.total_cmp(&a.distance_m)),
        None => {}
    }
    found.truncate(query.count.unwrap_or(usize::MAX));
    Ok(found)
}

fn show(found: Vec<Found>, query: &Query<'_>, cx: &Cx) -> Reply {
    let unit_m = unit_m(query);
    let show = |Found { member, score, point, distance_m }: Found| {
        let mut fields = vec![Reply::Bulk(member)];
        fields.extend(query.with_distance.then(|| distance(distance_m / unit_m)));
        fields.extend(query.with_hash.then_some(Reply::Int(score as i64)));
        fields.extend(query.with_coordinates.then(|| coordinates(point, cx)));
        if fields.len() == 1 { fields.swap_remove(0) } else { Reply::Array(fields) }
    };
    Reply::Array(found.into_iter().map(show).collect())
}

fn store_found(
    kv: &mut dyn KvMut,
    key: &[u8],
    found: Vec<Found>,
    query: &Query<'_>,
    name: &'static str,
    cx: &Cx,
) -> Outcome {
    let unit_m = unit_m(query);
    let mut seen = BTreeSet::new();
    let mut elements = Vec::with_capacity(found.len());
    for Found { member, score, distance_m, .. } in found {
        let score = if query.store_distance { distance_m / unit_m } else { score };
        if !score.is_nan() && seen.insert(member.clone()) {
            elements.push(Scored { member, score });
        }
    }
    store(kv, key, &elements, name, cx)
}

fn unit_m(query: &Query<'_>) -> f64 {
    match query.shape {
        Some(Shape::Circle { unit_m, .. } | Shape::Box { unit_m, .. }) => unit_m,
        None => 1.0,
    }
}
