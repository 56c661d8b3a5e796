//! Sets.
//!
//! ```text
//! 02  count:length  (member:string)*      Redis's hash table
//! 0B  intset:string                       bytes of a number:u32le  count:u32le  number*, ascending
//! 14  listpack:string                     a listpack of members
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::payload::{VERSION, seal};
use super::read::Input;
use super::write::{put_length, put_string};
use super::{RdbError, listpack};
use crate::collection::{Element, is_of_integers};
use crate::number::parse_i64;
use crate::record::Record;

pub(super) const SET: u8 = 2;
pub(super) const SET_INTSET: u8 = 11;
pub(super) const SET_LISTPACK: u8 = 20;

/// Members out of a payload, and how Redis held them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// At least one, in their order; they may repeat.
    pub members: Vec<Bytes>,
    /// They stay a listpack, even if all are integers.
    pub listpack: bool,
}

/// The payload of a set, given its members in their order.
pub fn dump_set(record: &Record, members: &[Element]) -> Bytes {
    let mut out = BytesMut::new();
    let names = members.iter().map(|member| &member.name[..]);
    if record.large {
        out.put_u8(SET);
        put_length(&mut out, members.len() as u64);
        names.for_each(|name| put_string(&mut out, name));
    } else if is_of_integers(&record.payload) {
        out.put_u8(SET_INTSET);
        let numbers: Vec<i64> = names.filter_map(parse_i64).collect();
        put_string(&mut out, &intset(&numbers));
    } else {
        out.put_u8(SET_LISTPACK);
        put_string(&mut out, &listpack::write(names));
    }
    seal(&mut out, VERSION);
    out.freeze()
}

/// All numbers in the width of the widest.
fn intset(numbers: &[i64]) -> Vec<u8> {
    let fits = |bits: u32| {
        let limit = 1i64 << (bits - 1);
        numbers.iter().all(|number| (-limit..limit).contains(number))
    };
    let width: u8 = if fits(16) {
        2
    } else if fits(32) {
        4
    } else {
        8
    };
    let mut out = Vec::with_capacity(8 + numbers.len() * usize::from(width));
    out.put_u32_le(width.into());
    out.put_u32_le(numbers.len() as u32);
    numbers.iter().for_each(|&number| out.put_int_le(number, width.into()));
    out
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Members, RdbError> {
    let mut members = Vec::new();
    for _ in 0..input.length()? {
        members.push(Bytes::from(input.string()?.into_owned()));
    }
    filled(members, false)
}

pub(super) fn read_listpack(input: &mut Input<'_>) -> Result<Members, RdbError> {
    filled(listpack::read(&input.string()?)?, true)
}

pub(super) fn read_intset(input: &mut Input<'_>) -> Result<Members, RdbError> {
    let intset = input.string()?;
    let mut input = Input::new(&intset);
    let width = u32::from_le_bytes(input.array()?);
    let count = u64::from(u32::from_le_bytes(input.array()?));
    if !matches!(width, 2 | 4 | 8) || input.len() as u64 != count * u64::from(width) {
        return Err(RdbError::Format);
    }
    let (mut members, mut last) = (Vec::new(), None);
    while !input.is_empty() {
        let number = match width {
            2 => i16::from_le_bytes(input.array()?).into(),
            4 => i32::from_le_bytes(input.array()?).into(),
            _ => i64::from_le_bytes(input.array()?),
        };
        if last.replace(number).is_some_and(|last| last >= number) {
            return Err(RdbError::Format);
        }
        members.push(Bytes::from(number.to_string()));
    }
    filled(members, false)
}

/// A set without members is none.
fn filled(members: Vec<Bytes>, listpack: bool) -> Result<Members, RdbError> {
    if members.is_empty() { Err(RdbError::Format) } else { Ok(Members { members, listpack }) }
}
