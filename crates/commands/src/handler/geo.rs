//! Places: members of sorted sets whose scores are [geohashes](datatypes::geo).

mod add;
mod error;
mod query;
mod read;
mod search;

pub use add::geoadd;
pub use error::GeoError;
pub use read::{geodist, geohash, geopos};
pub use search::{
    georadius, georadius_ro, georadiusbymember, georadiusbymember_ro, geosearch, geosearchstore,
};

use bytes::Bytes;
use datatypes::geo::Point;
use datatypes::number::parse_f64;
use resp::{Protocol, Reply};

use super::Outcome;
use super::sorted_set::{Rules, ScoreRange, add, sorted_set, store};
use crate::args::is;
use crate::{CommandError, Cx};

/// Reads a longitude and a latitude.
fn point(longitude: &[u8], latitude: &[u8]) -> Result<Point, CommandError> {
    let number = |text| parse_f64(text).ok_or(CommandError::NotFloat);
    let point = Point { longitude: number(longitude)?, latitude: number(latitude)? };
    if point.is_valid() { Ok(point) } else { Err(GeoError::NotOnTheMap(point).into()) }
}

/// Metres of a unit.
fn unit_m(name: &[u8]) -> Result<f64, GeoError> {
    let units = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let known = units.into_iter().find(|(known, _)| is(name, known));
    known.map(|(_, metres)| metres).ok_or(GeoError::Unit)
}

/// A distance as people read it: with four places.
fn distance(length: f64) -> Reply {
    let scaled = (length * 10_000.0).round_ties_even() as i64;
    let (sign, size) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
    Reply::Bulk(Bytes::from(format!("{sign}{}.{:04}", size / 10_000, size % 10_000)))
}

fn coordinates(point: Point, cx: &Cx) -> Reply {
    Reply::Array(vec![degrees(point.longitude, cx), degrees(point.latitude, cx)])
}

/// Degrees with all their digits, in RESP3 as a double.
fn degrees(degrees: f64, cx: &Cx) -> Reply {
    let text = format!("{degrees:.17}");
    let text = match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0",
        text => text,
    };
    match cx.protocol {
        Protocol::Resp2 => Reply::bulk(text),
        Protocol::Resp3 => Reply::Raw(Bytes::from(format!(",{text}\r\n"))),
    }
}
