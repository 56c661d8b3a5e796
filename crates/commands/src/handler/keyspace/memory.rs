//! MEMORY USAGE: what is stored about a key, in bytes.

use datatypes::Kv;
use datatypes::size::stored_bytes;
use resp::Reply;

use super::super::{Outcome, reader};
use crate::args::{int, is};
use crate::{Args, CommandError, Cx};

/// Elements that are looked at, as Redis does.
const SAMPLES_DEFAULT: u64 = 5;

/// MEMORY USAGE key [SAMPLES count]: 0 means all.
pub fn usage(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let (key, samples) = (args.at(1)?, samples(args.from(2))?);
    match reader(kv, cx).peek(key)? {
        Some(record) => Ok(Reply::Int(stored_bytes(kv, &record, cx.db, key, samples)?.cast_signed())),
        None => Ok(Reply::Null),
    }
}

fn samples(words: &[&[u8]]) -> Result<u64, CommandError> {
    let mut samples = SAMPLES_DEFAULT;
    let (options, rest) = words.as_chunks();
    for [word, count] in options {
        if !is(word, "SAMPLES") {
            return Err(CommandError::Syntax);
        }
        samples = match u64::try_from(int(count)?).map_err(|_| CommandError::Syntax)? {
            0 => u64::MAX,
            samples => samples,
        };
    }
    if rest.is_empty() { Ok(samples) } else { Err(CommandError::Syntax) }
}
