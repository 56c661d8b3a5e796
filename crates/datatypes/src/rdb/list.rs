//! Lists.
//!
//! ```text
//! 01  count:length  element:string*
//! 0A  ziplist:string                                  before Redis 3.2
//! 0E  count:length  ziplist:string*                   before Redis 7.0
//! 12  count:length  node*                             Redis's quicklist
//!     node := 01 element:string | 02 listpack:string  an element by itself, or several
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::payload::{VERSION, seal};
use super::read::Input;
use super::write::{put_length, put_string};
use super::{RdbError, listpack, ziplist};

pub(super) const LIST: u8 = 1;
pub(super) const ZIPLIST: u8 = 10;
pub(super) const QUICKLIST_OF_ZIPLISTS: u8 = 14;
pub(super) const QUICKLIST: u8 = 18;

const NODE_PLAIN: u64 = 1;
const NODE_PACKED: u64 = 2;

/// The payload of a list whose elements are in `listpacks`, none of them empty.
pub fn dump_list(listpacks: &[Bytes]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(QUICKLIST);
    put_length(&mut out, listpacks.len() as u64);
    for listpack in listpacks {
        put_length(&mut out, NODE_PACKED);
        put_string(&mut out, listpack);
    }
    seal(&mut out, VERSION);
    out.freeze()
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Vec<Bytes>, RdbError> {
    let mut elements = Vec::new();
    for _ in 0..input.length()? {
        elements.push(Bytes::from(input.string()?.into_owned()));
    }
    filled(elements)
}

pub(super) fn read_ziplist(input: &mut Input<'_>) -> Result<Vec<Bytes>, RdbError> {
    filled(ziplist::read(&input.string()?)?)
}

pub(super) fn read_ziplists(input: &mut Input<'_>) -> Result<Vec<Bytes>, RdbError> {
    let mut elements = Vec::new();
    for _ in 0..input.length()? {
        elements.extend(ziplist::read(&input.string()?)?);
    }
    filled(elements)
}

pub(super) fn read_quicklist(input: &mut Input<'_>) -> Result<Vec<Bytes>, RdbError> {
    let mut elements = Vec::new();
    for _ in 0..input.length()? {
        match input.length()? {
            NODE_PLAIN => elements.push(Bytes::from(input.string()?.into_owned())),
            NODE_PACKED => elements.extend(listpack::read(&input.string()?)?),
            _ => return Err(RdbError::Format),
        }
    }
    filled(elements)
}

/// A list without elements is none.
fn filled(elements: Vec<Bytes>) -> Result<Vec<Bytes>, RdbError> {
    if elements.is_empty() { Err(RdbError::Format) } else { Ok(elements) }
}
