//! One library: its code, and what that has registered. Code need not run again to know it.
//!
//! ```text
//! stored   := 1:u8  name  code  functions:varint  function*
//! function := name  flags:u8  ( 0:u8 | 1:u8 description )
//! ```
//!
//! with texts and varints as in [`commands::wire`].

use bytes::Bytes;
use commands::wire::{Malformed, put_bytes, put_varint, take_bytes, take_varint};
use resp::Reply;

use crate::flags::ScriptFlags;
use crate::sha1_hex;

/// The form of what is stored.
const FORM: u8 = 1;

/// What a library has registered under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    pub name: Bytes,
    pub description: Option<Bytes>,
    pub flags: ScriptFlags,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    pub name: Bytes,
    /// All of it, the first line included.
    pub code: Bytes,
    pub functions: Vec<FunctionInfo>,
    /// Of the code.
    pub(crate) digest: String,
}

impl Library {
    pub(crate) fn new(name: Bytes, code: Bytes, functions: Vec<FunctionInfo>) -> Self {
        let digest = sha1_hex(&code);
        Self { name, code, functions, digest }
    }

    /// The function called `name`.
    pub fn function(&self, name: &[u8]) -> Option<&FunctionInfo> {
        self.functions.iter().find(|info| info.name == name)
    }

    /// The form in which it can be stored.
    pub fn encode(&self) -> Bytes {
        let mut out = vec![FORM];
        put_bytes(&mut out, &self.name);
        put_bytes(&mut out, &self.code);
        put_varint(&mut out, self.functions.len());
        for info in &self.functions {
            put_bytes(&mut out, &info.name);
            out.push(info.flags.bits());
            match &info.description {
                None => out.push(0),
                Some(description) => {
                    out.push(1);
                    put_bytes(&mut out, description);
                }
            }
        }
        out.into()
    }

    /// What was stored.
    pub fn decode(stored: &[u8]) -> Result<Self, Malformed> {
        let mut rest = stored;
        if take_byte(&mut rest)? != FORM {
            return Err(Malformed);
        }
        let (name, code) = (text(&mut rest)?, text(&mut rest)?);
        let count = take_varint(&mut rest)?;
        let mut functions = Vec::new();
        for _ in 0..count {
            functions.push(function(&mut rest)?);
        }
        if rest.is_empty() { Ok(Self::new(name, code, functions)) } else { Err(Malformed) }
    }

    /// One element of what FUNCTION LIST answers.
    pub fn describe(&self, with_code: bool) -> Reply {
        let functions = self.functions.iter().map(FunctionInfo::describe).collect();
        let mut fields = vec![
            (Reply::bulk("library_name"), Reply::Bulk(self.name.clone())),
            (Reply::bulk("engine"), Reply::bulk("LUA")),
            (Reply::bulk("functions"), Reply::Array(functions)),
        ];
        if with_code {
            fields.push((Reply::bulk("library_code"), Reply::Bulk(self.code.clone())));
        }
        Reply::Map(fields)
    }
}

impl FunctionInfo {
    fn describe(&self) -> Reply {
        let description = self.description.clone().map_or(Reply::Null, Reply::Bulk);
        Reply::Map(vec![
            (Reply::bulk("name"), Reply::Bulk(self.name.clone())),
            (Reply::bulk("description"), description),
            (Reply::bulk("flags"), Reply::Set(self.flags.names().map(Reply::Simple).collect())),
        ])
    }
}

fn function(rest: &mut &[u8]) -> Result<FunctionInfo, Malformed> {
    let name = text(rest)?;
    let flags = ScriptFlags::from_bits(take_byte(rest)?).ok_or(Malformed)?;
    let description = match take_byte(rest)? {
        0 => None,
        1 => Some(text(rest)?),
        _ => return Err(Malformed),
    };
    Ok(FunctionInfo { name, description, flags })
}

fn text(rest: &mut &[u8]) -> Result<Bytes, Malformed> {
    take_bytes(rest).map(Bytes::copy_from_slice)
}

fn take_byte(rest: &mut &[u8]) -> Result<u8, Malformed> {
    let (&byte, behind) = rest.split_first().ok_or(Malformed)?;
    *rest = behind;
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
    }

    fn any_function() -> impl Strategy<Value = FunctionInfo> {
        (bytes(), prop::option::of(bytes()), 0u8..32).prop_map(|(name, description, bits)| FunctionInfo {
            name,
            description,
            flags: ScriptFlags::from_bits(bits).unwrap(),
        })
    }

    proptest! {
        #[test]
        fn libraries_survive_the_round_trip(
            name in bytes(), code in bytes(), functions in prop::collection::vec(any_function(), 0..4),
        ) {
            let library = Library::new(name, code, functions);
            let stored = library.encode();
            prop_assert_eq!(Library::decode(&stored).unwrap(), library);
            for cut in 0..stored.len() {
                prop_assert!(Library::decode(&stored[..cut]).is_err());
            }
        }

        #[test]
        fn other_bytes_are_refused_or_read(stored in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Library::decode(&stored);
        }
    }
}
