//! Registers as runs, while most of them are 0.
//!
//! ```text
//! ZERO  := 00nnnnnn             n + 1 registers are 0
//! XZERO := 01nnnnnn nnnnnnnn    n + 1 registers are 0 (the first byte is the higher one)
//! VAL   := 1vvvvvnn             n + 1 registers are v + 1
//! ```
//!
//! The same registers can be written in several ways. Which one results depends on the order of
//! changes, and is told by [`raise`]: it follows `hllSparseSet` of Redis step by step.

use super::estimate::Histogram;
use super::{HllError, REGISTERS, Registers};

const KIND_MASK: u8 = 0xC0;
const ZERO: u8 = 0x00;
const XZERO: u8 = 0x40;
const VAL: u8 = 0x80;
const ZERO_RUN_MAX: usize = 64;
const VAL_RUN_MAX: usize = 4;
const VAL_MAX: u8 = 32;
/// Opcodes that are looked at for a merge after a change, from the one before it on.
const MERGE_SCAN: usize = 5;

/// XZERO over all registers.
pub(super) const EMPTY: [u8; 2] = [XZERO | ((REGISTERS - 1) >> 8) as u8, (REGISTERS - 1) as u8];

/// One opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Number of registers, at least 1.
    len: usize,
    value: u8,
    /// Size of the opcode.
    bytes: usize,
}

impl Run {
    /// The opcode that begins at `at`. The second byte of an XZERO that is cut off counts as 0: in
    /// Redis a zero byte follows every string.
    fn at(opcodes: &[u8], at: usize) -> Option<Self> {
        let first = *opcodes.get(at)?;
        Some(match first & KIND_MASK {
            ZERO => Self { len: usize::from(first) + 1, value: 0, bytes: 1 },
            XZERO => {
                let low = opcodes.get(at + 1).copied().unwrap_or(0);
                Self {
                    len: usize::from(u16::from_be_bytes([first & !KIND_MASK, low])) + 1,
                    value: 0,
                    bytes: 2,
                }
            }
            _ => Self { len: usize::from(first & 3) + 1, value: (first >> 2 & 0x1F) + 1, bytes: 1 },
        })
    }
}

fn runs(opcodes: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let run = Run::at(opcodes, at)?;
        at += run.bytes;
        Some(run)
    })
}

/// The opcodes as `PFDEBUG DECODE` writes them.
pub(super) fn describe(opcodes: &[u8]) -> String {
    let words = runs(opcodes).map(|run| match run {
        Run { len, value: 0, bytes: 1 } => format!("z:{len}"),
        Run { len, value: 0, .. } => format!("Z:{len}"),
        Run { len, value, .. } => format!("v:{value},{len}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

pub(super) fn histogram(opcodes: &[u8]) -> Result<Histogram, HllError> {
    let mut histogram = Histogram::default();
    let mut covered = 0;
    for run in runs(opcodes) {
        covered += run.len;
        if covered > REGISTERS {
            return Err(HllError::Corrupt);
        }
        histogram.add(run.value, run.len);
    }
    if covered == REGISTERS { Ok(histogram) } else { Err(HllError::Corrupt) }
}

pub(super) fn merge_into(opcodes: &[u8], registers: &mut Registers) -> Result<(), HllError> {
    let mut rest = &mut registers[..];
    for run in runs(opcodes) {
        let (covered, behind) = rest.split_at_mut_checked(run.len).ok_or(HllError::Corrupt)?;
        if run.value > 0 {
            covered.iter_mut().for_each(|register| *register = run.value.max(*register));
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(HllError::Corrupt) }
}

/// What became of an attempt to raise a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raised {
    /// It is as high already.
    No,
    Yes,
    /// There is no opcode for such a count, or no room: the value must become dense.
    Impossible,
}

/// Sets the register at `index` to `count` if it is lower. The opcodes begin at `start` of `value`,
/// and must not grow beyond `room` bytes. A register of an XZERO that is cut off cannot be raised: what
/// Redis would read behind the end afterwards is left over from what it wrote there.
pub(super) fn raise(
    value: &mut Vec<u8>,
    start: usize,
    index: usize,
    count: u8,
    room: usize,
) -> Result<Raised, HllError> {
    if count > VAL_MAX {
        return Ok(Raised::Impossible);
    }
    let opcodes = &value[start..];
    let found = find(opcodes, index).ok_or(HllError::Corrupt)?;
    if found.run.value >= count {
        return Ok(Raised::No);
    }
    if found.at + found.run.bytes > opcodes.len() {
        return Err(HllError::Corrupt);
    }
    let split = split(&found, index, count);
    let grown = opcodes.len() + split.len() - found.run.bytes;
    if split.len() > found.run.bytes && grown > room {
        return Ok(Raised::Impossible);
    }
    let at = start + found.at;
    value.splice(at..at + found.run.bytes, split.bytes());
    merge_neighbours(value, start + found.previous);
    Ok(Raised::Yes)
}

/// The opcode that covers a register.
struct Found {
    at: usize,
    /// Where the opcode before it is; 0 if it is the first.
    previous: usize,
    /// The first register that it covers.
    first: usize,
    run: Run,
}

fn find(opcodes: &[u8], index: usize) -> Option<Found> {
    let (mut at, mut previous, mut first) = (0, 0, 0);
    loop {
        let run = Run::at(opcodes, at)?;
        if index < first + run.len {
            return Some(Found { at, previous, first, run });
        }
        previous = at;
        at += run.bytes;
        first += run.len;
    }
}

/// Opcodes that replace one: at most XZERO VAL XZERO.
#[derive(Default)]
struct Split {
    buffer: [u8; 5],
    len: usize,
}

impl Split {
    fn push(&mut self, byte: u8) {
        self.buffer[self.len] = byte;
        self.len += 1;
    }

    /// A run of `len` registers, none if 0.
    fn push_run(&mut self, value: u8, len: usize) {
        match (len, value) {
            (0, _) => {}
            (1..=ZERO_RUN_MAX, 0) => self.push((len - 1) as u8),
            (_, 0) => {
                let [high, low] = ((len - 1) as u16).to_be_bytes();
                self.push(XZERO | high);
                self.push(low);
            }
            _ => self.push(val(value, len)),
        }
    }

    fn len(&self) -> usize {
        self.len
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.buffer.into_iter().take(self.len)
    }
}

fn val(value: u8, len: usize) -> u8 {
    VAL | (value - 1) << 2 | (len - 1) as u8
}

/// What was one run, with `count` at `index`.
fn split(found: &Found, index: usize, count: u8) -> Split {
    let before = index - found.first;
    let mut split = Split::default();
    split.push_run(found.run.value, before);
    split.push_run(count, 1);
    split.push_run(found.run.value, found.run.len - before - 1);
    split
}

/// Joins equal VALs side by side, a few opcodes far from `from` on.
fn merge_neighbours(value: &mut Vec<u8>, from: usize) {
    let mut at = from;
    for _ in 0..MERGE_SCAN {
        let Some(run) = Run::at(value, at) else { return };
        let next = Run::at(value, at + run.bytes).filter(|next| run.value > 0 && next.value == run.value);
        match next.map(|next| run.len + next.len) {
            Some(len) if len <= VAL_RUN_MAX => {
                value[at] = val(run.value, len);
                value.remove(at + 1);
            }
            _ => at += run.bytes,
        }
    }
}
