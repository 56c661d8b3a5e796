//! Hashes.
//!
//! ```text
//! 04  count:length  (field:string value:string)*      Redis's hash table
//! 10  listpack:string                                 a listpack of fields and values by turns
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::payload::{VERSION, seal};
use super::read::Input;
use super::write::{put_length, put_string};
use super::{RdbError, listpack};
use crate::collection::Element;

pub(super) const HASH: u8 = 4;
pub(super) const HASH_LISTPACK: u8 = 16;

/// The payload of a hash.
pub fn dump_hash(fields: &[Element], large: bool) -> Bytes {
    let mut out = BytesMut::new();
    if large {
        out.put_u8(HASH);
        put_length(&mut out, fields.len() as u64);
        for Element { name, value } in fields {
            put_string(&mut out, name);
            put_string(&mut out, value);
        }
    } else {
        out.put_u8(HASH_LISTPACK);
        let items = fields.iter().flat_map(|Element { name, value }| [&name[..], &value[..]]);
        put_string(&mut out, &listpack::write(items));
    }
    seal(&mut out, VERSION);
    out.freeze()
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Vec<Element>, RdbError> {
    let mut fields = Vec::new();
    for _ in 0..input.length()? {
        let name = Bytes::from(input.string()?.into_owned());
        let value = Bytes::from(input.string()?.into_owned());
        fields.push(Element { name, value });
    }
    filled(fields)
}

pub(super) fn read_listpack(input: &mut Input<'_>) -> Result<Vec<Element>, RdbError> {
    let items = listpack::read(&input.string()?)?;
    let mut items = items.into_iter();
    let mut fields = Vec::new();
    while let Some(name) = items.next() {
        fields.push(Element { name, value: items.next().ok_or(RdbError::Format)? });
    }
    filled(fields)
}

/// A hash without fields is none.
fn filled(fields: Vec<Element>) -> Result<Vec<Element>, RdbError> {
    if fields.is_empty() { Err(RdbError::Format) } else { Ok(fields) }
}
