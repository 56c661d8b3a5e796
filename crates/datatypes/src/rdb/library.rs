//! Libraries of functions, as FUNCTION DUMP answers and FUNCTION RESTORE takes them.
//!
//! ```text
//! payload := ( F5 code:string )*  footer
//! ```

use bytes::{BufMut, Bytes, BytesMut};

use super::RdbError;
use super::payload::{seal, unseal};
use super::read::Input;
use super::write::put_string;

/// What stands before a library.
const LIBRARY: u8 = 245;
/// Likewise, in release candidates of Redis 7.
const LIBRARY_PRE_GA: u8 = 246;
/// What Redis 7.0 writes: every server that has functions reads it.
const VERSION: u16 = 10;

/// Why a payload is not taken for libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLibrary {
    #[error(transparent)]
    Rdb(#[from] RdbError),
    #[error("the payload is of a release candidate")]
    PreGa,
    #[error("the payload holds something else")]
    Other,
}

/// The payload of libraries with these codes.
pub fn dump_libraries<'a>(codes: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut payload = BytesMut::new();
    for code in codes {
        payload.put_u8(LIBRARY);
        put_string(&mut payload, code);
    }
    seal(&mut payload, VERSION);
    payload.freeze()
}

/// The codes in a payload.
pub fn restore_libraries(payload: &[u8]) -> Result<Vec<Vec<u8>>, NotLibrary> {
    let mut input = Input::new(unseal(payload)?);
    let mut codes = Vec::new();
    while !input.is_empty() {
        match input.byte()? {
            LIBRARY => codes.push(input.string()?.into_owned()),
            LIBRARY_PRE_GA => return Err(NotLibrary::PreGa),
            _ => return Err(NotLibrary::Other),
        }
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_round_trip() {
        let codes: [&[u8]; 2] = [b"#!lua name=a\n", b"123"];
        let payload = dump_libraries(codes);
        assert_eq!(restore_libraries(&payload).unwrap(), codes);
        assert_eq!(restore_libraries(&dump_libraries([])).unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(restore_libraries(b""), Err(NotLibrary::Rdb(RdbError::Footer)));
        for (bytes, error) in [
            (&b"\xF6"[..], NotLibrary::PreGa),
            (b"\x00", NotLibrary::Other),
            (b"\xF5", NotLibrary::Rdb(RdbError::Format)),
        ] {
            let mut payload = BytesMut::from(bytes);
            seal(&mut payload, VERSION);
            assert_eq!(restore_libraries(&payload), Err(error));
        }
    }
}
