//! JSON documents: values of Redis's module ReJSON.
//!
//! ```text
//! 07  id:length  05  text:string  00                       encoding 3 of the module
//! 07  id:length  05  text:string  02  n:length  … 00       encoding 2: n > 0, two more strings
//! id := nine letters of 6 bits, the name of the module's type; then 10 bits, its encoding
//! ```

use bytes::{BufMut, BytesMut};

use super::RdbError;
use super::read::Input;
use super::write::put_length;
use crate::json::Json;
use crate::record::Type;

pub(super) const MODULE: u8 = 7;

const ENCODING: u64 = 3;
/// With a word about an index that is not needed.
const ENCODING_INDEXED: u64 = 2;
const ENCODING_BITS: u32 = 10;

const END: u64 = 0;
const UNSIGNED: u64 = 2;
const STRING: u64 = 5;

pub(super) fn write(out: &mut BytesMut, text: &[u8]) {
    out.put_u8(MODULE);
    put_length(out, type_id() << ENCODING_BITS | ENCODING);
    put_length(out, STRING);
    put_length(out, text.len() as u64);
    out.put_slice(text);
    put_length(out, END);
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Json, RdbError> {
    let id = input.length()?;
    let encoding = id & ((1 << ENCODING_BITS) - 1);
    if id >> ENCODING_BITS != type_id() || !matches!(encoding, ENCODING | ENCODING_INDEXED) {
        return Err(RdbError::Unsupported("module"));
    }
    expect(input, STRING)?;
    let text = input.string()?;
    if encoding == ENCODING_INDEXED {
        expect(input, UNSIGNED)?;
        if input.length()? > 0 {
            for _ in 0..2 {
                expect(input, STRING)?;
                input.string()?;
            }
        }
    }
    expect(input, END)?;
    Json::parse(&text).map_err(|_| RdbError::Format)
}

fn expect(input: &mut Input<'_>, opcode: u64) -> Result<(), RdbError> {
    if input.length()? == opcode { Ok(()) } else { Err(RdbError::Format) }
}

/// The name of the module's type in the letters that Redis has for them.
fn type_id() -> u64 {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let number = |letter: u8| LETTERS.iter().position(|&known| known == letter).unwrap_or_default() as u64;
    Type::Json.name().bytes().fold(0, |id, letter| id << 6 | number(letter))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::{VERSION, Value, restore, seal};
    use super::*;

    /// Of a real module: the id of `ReJSON-RL` in encoding 3.
    const ID: u64 = 0x45e2_5238_df91_2c03;

    fn sealed(body: &[u8]) -> BytesMut {
        let mut payload = BytesMut::from(body);
        seal(&mut payload, VERSION);
        payload
    }

    #[test]
    fn documents_are_written_as_the_module_does() {
        let mut out = BytesMut::new();
        write(&mut out, b"[1]");
        let expected = [&[7, 0x81][..], &(type_id() << 10 | 3).to_be_bytes(), b"\x05\x03[1]\0"].concat();
        assert_eq!(&out[..], expected);
        assert_eq!(restore(&sealed(&out)), Ok(Value::Json(Json::Array(vec![Json::Int(1)]))));
        assert_eq!(type_id() << 10 | 3, ID);
    }

    #[test]
    fn older_and_foreign_values_are_told_apart() {
        let value = |encoding: u64, rest: &[u8]| {
            let id = (type_id() << 10 | encoding).to_be_bytes();
            restore(&sealed(&[&[7, 0x81][..], &id, rest].concat()))
                .map(|value| value == Value::Json(Json::Bool(true)))
        };
        assert_eq!(value(3, b"\x05\x04true\0"), Ok(true));
        assert_eq!(value(2, b"\x05\x04true\x02\0\0"), Ok(true));
        assert_eq!(value(2, b"\x05\x04true\x02\x01\x05\x01a\x05\x01b\0"), Ok(true));
        assert_eq!(value(2, b"\x05\x04true\0"), Err(RdbError::Format));
        assert_eq!(value(3, b"\x05\x03tru\0"), Err(RdbError::Format));
        assert_eq!(value(3, b"\x05\x04true"), Err(RdbError::Format));
        assert_eq!(value(0, b"\x01\x01"), Err(RdbError::Unsupported("module")));
        assert_eq!(value(4, b""), Err(RdbError::Unsupported("module")));
    }
}
