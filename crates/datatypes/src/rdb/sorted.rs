//! Sorted sets.
//!
//! ```text
//! 03  count:length  (member:string  score)*       score := length:u8 text | FD (NaN) | FE (inf) | FF (-inf)
//! 05  count:length  (member:string  score:f64le)* Redis's skip list, greatest first
//! 0C  ziplist:string                              members and scores by turns, in order, before Redis 7.0
//! 11  listpack:string                             a listpack of members and scores by turns, in order
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::payload::{VERSION, seal};
use super::read::Input;
use super::write::{put_length, put_string};
use super::{RdbError, listpack, ziplist};
use crate::collection::sorted::Scored;
use crate::number::parse_f64;

pub(super) const TEXTS: u8 = 3;
pub(super) const DOUBLES: u8 = 5;
pub(super) const ZIPLIST: u8 = 12;
pub(super) const LISTPACK: u8 = 17;

/// The payload of a sorted set, its elements in order; `text` prints a score.
pub fn dump_sorted_set(elements: &[Scored], large: bool, text: impl Fn(f64) -> Vec<u8>) -> Bytes {
    let mut out = BytesMut::new();
    if large {
        out.put_u8(DOUBLES);
        put_length(&mut out, elements.len() as u64);
        for Scored { member, score } in elements.iter().rev() {
            put_string(&mut out, member);
            out.put_f64_le(*score);
        }
    } else {
        out.put_u8(LISTPACK);
        let texts: Vec<_> = elements.iter().map(|element| text(element.score)).collect();
        let items = elements.iter().zip(&texts).flat_map(|(element, text)| [&element.member[..], text]);
        put_string(&mut out, &listpack::write(items));
    }
    seal(&mut out, VERSION);
    out.freeze()
}

pub(super) fn read(
    input: &mut Input<'_>,
    score: impl Fn(&mut Input<'_>) -> Result<f64, RdbError>,
) -> Result<Vec<Scored>, RdbError> {
    let mut elements = Vec::new();
    for _ in 0..input.length()? {
        let member = Bytes::from(input.string()?.into_owned());
        elements.push(Scored { member, score: number(score(input)?)? });
    }
    filled(elements)
}

pub(super) fn double(input: &mut Input<'_>) -> Result<f64, RdbError> {
    Ok(f64::from_le_bytes(input.array()?))
}

pub(super) fn text(input: &mut Input<'_>) -> Result<f64, RdbError> {
    match input.byte()? {
        0xFD => Ok(f64::NAN),
        0xFE => Ok(f64::INFINITY),
        0xFF => Ok(f64::NEG_INFINITY),
        len => parse_f64(input.take(len.into())?).ok_or(RdbError::Format),
    }
}

pub(super) fn read_listpack(input: &mut Input<'_>) -> Result<Vec<Scored>, RdbError> {
    paired(listpack::read(&input.string()?)?)
}

pub(super) fn read_ziplist(input: &mut Input<'_>) -> Result<Vec<Scored>, RdbError> {
    paired(ziplist::read(&input.string()?)?)
}

/// Members and scores by turns.
fn paired(items: Vec<Bytes>) -> Result<Vec<Scored>, RdbError> {
    let mut items = items.into_iter();
    let mut elements = Vec::new();
    while let Some(member) = items.next() {
        let score = items.next().and_then(|text| parse_f64(&text)).ok_or(RdbError::Format)?;
        elements.push(Scored { member, score });
    }
    filled(elements)
}

fn number(score: f64) -> Result<f64, RdbError> {
    if score.is_nan() { Err(RdbError::Format) } else { Ok(score) }
}

/// A sorted set without members is none.
fn filled(elements: Vec<Scored>) -> Result<Vec<Scored>, RdbError> {
    if elements.is_empty() { Err(RdbError::Format) } else { Ok(elements) }
}
