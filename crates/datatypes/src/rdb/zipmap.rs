//! Zipmaps, in which Redis before 2.6 held small hashes. Only read.
//!
//! ```text
//! zipmap := count:u8 (FE: unknown)  (size field  size free:u8 value unused{free})*  FF
//! size   := n:u8 | FE n:u32le
//! ```

use bytes::Bytes;

use super::RdbError;
use super::read::Input;

const END: u8 = 0xFF;
/// Before a size of four bytes; as a count, that there are more.
const LONG: u8 = 0xFE;

/// Fields and values by turns.
pub(super) fn read(zipmap: &[u8]) -> Result<Vec<Bytes>, RdbError> {
    let (count, rest) = zipmap.split_first().ok_or(RdbError::Format)?;
    let (body, end) = rest.split_last_chunk().ok_or(RdbError::Format)?;
    if *end != [END] {
        return Err(RdbError::Format);
    }
    let (mut input, mut items) = (Input::new(body), Vec::new());
    while !input.is_empty() {
        let field = size(&mut input)?;
        items.push(Bytes::copy_from_slice(input.take(field)?));
        let (value, free) = (size(&mut input)?, input.byte()?);
        items.push(Bytes::copy_from_slice(input.take(value)?));
        input.take(free.into())?;
    }
    let counted = *count >= LONG || usize::from(*count) * 2 == items.len();
    if counted { Ok(items) } else { Err(RdbError::Format) }
}

fn size(input: &mut Input<'_>) -> Result<u64, RdbError> {
    match input.byte()? {
        LONG => Ok(u32::from_le_bytes(input.array()?).into()),
        END => Err(RdbError::Format),
        size => Ok(size.into()),
    }
}
