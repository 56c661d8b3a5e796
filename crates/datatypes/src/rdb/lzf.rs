//! Decompression of LZF (Marc Lehmann's LibLZF).
//!
//! ```text
//! 000nnnnn  n+1 bytes              as they are
//! nnnooooo  [more:u8]  low:u8      n+2 bytes (n = 7: n+more+2) from o·256+low+1 bytes back
//! ```

use super::RdbError;

/// The text behind `input`, which must have exactly `len` bytes.
pub(super) fn decompress(input: &[u8], len: usize) -> Result<Vec<u8>, RdbError> {
    let mut out = Vec::new();
    let mut rest = input;
    while let Some((&control, behind)) = rest.split_first() {
        rest = behind;
        let room = len - out.len();
        if control < 0x20 {
            let count = usize::from(control) + 1;
            let (literal, behind) = rest.split_at_checked(count).ok_or(RdbError::Format)?;
            rest = behind;
            if count > room {
                return Err(RdbError::Format);
            }
            out.extend_from_slice(literal);
        } else {
            let mut count = usize::from(control >> 5);
            if count == 7 {
                count += usize::from(take(&mut rest)?);
            }
            count += 2;
            let distance = usize::from(control & 0x1F) * 256 + usize::from(take(&mut rest)?) + 1;
            if count > room {
                return Err(RdbError::Format);
            }
            repeat(&mut out, distance, count)?;
        }
    }
    if out.len() == len { Ok(out) } else { Err(RdbError::Format) }
}

fn take(rest: &mut &[u8]) -> Result<u8, RdbError> {
    let (&byte, behind) = rest.split_first().ok_or(RdbError::Format)?;
    *rest = behind;
    Ok(byte)
}

/// Appends `count` bytes from `distance` back; what is appended may be among them.
fn repeat(out: &mut Vec<u8>, distance: usize, count: usize) -> Result<(), RdbError> {
    let start = out.len().checked_sub(distance).ok_or(RdbError::Format)?;
    let end = start + count;
    while out.len() < end + distance {
        let from = out.len() - distance;
        let until = (from + distance).min(end);
        out.extend_from_within(from..until);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_references_unfold() {
        assert_eq!(decompress(b"\x02abc", 3).unwrap(), b"abc");
        assert_eq!(decompress(b"\x00a\x60\x00", 6).unwrap(), b"aaaaaa");
        assert_eq!(decompress(b"\x02abc\xE0\x01\x02", 13).unwrap(), b"abcabcabcabca");
        assert_eq!(decompress(b"\x02abc\x20\x02", 6).unwrap(), b"abcabc");
        assert_eq!(decompress(b"", 0).unwrap(), b"");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (input, len) in [
            (&b"\x02ab"[..], 3), // literal cut off
            (b"\x02abc", 2),     // longer than declared
            (b"\x02abc", 4),     // shorter
            (b"\x20\x00", 3),    // nothing to repeat
            (b"\x00a\x20\x01", 4),
            (b"\x00a\x20", 4),
            (b"\x00a\xE0\x05", 15),
            (b"\x00a\xE0\xFF\x00", 100),
        ] {
            assert_eq!(decompress(input, len), Err(RdbError::Format), "{input:?}");
        }
    }
}
