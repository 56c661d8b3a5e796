//! Registers one after the other, six bits each, least significant bits first.
//!
//! ```text
//! byte 0    byte 1    byte 2
//! 11000000  22221111  33333322      (digits: number of the register)
//! ```

use super::{REGISTERS, Registers};

const BITS: usize = 6;
const MASK: u16 = (1 << BITS) - 1;
pub(super) const BYTES: usize = REGISTERS * BITS / 8;

/// All registers in order.
pub(super) fn values(registers: &[u8]) -> impl Iterator<Item = u8> {
    registers.as_chunks::<3>().0.iter().flat_map(|&[a, b, c]| {
        let four = u32::from_le_bytes([a, b, c, 0]);
        [0, 6, 12, 18].map(|shift| (four >> shift) as u8 & MASK as u8)
    })
}

pub(super) fn encode(registers: &Registers) -> impl Iterator<Item = u8> {
    registers.as_chunks::<4>().0.iter().flat_map(|four| {
        let word = four.iter().rev().fold(0, |word, &value| word << BITS | u32::from(value));
        let [a, b, c, _] = word.to_le_bytes();
        [a, b, c]
    })
}

/// Sets the register at `index` to `count` if it is lower; whether it was.
pub(super) fn raise(registers: &mut [u8], index: usize, count: u8) -> bool {
    let (at, shift) = (index * BITS / 8, index * BITS % 8);
    // The last register ends with the last byte.
    let pair = [registers[at], registers.get(at + 1).copied().unwrap_or(0)];
    let old = u16::from_le_bytes(pair);
    if u16::from(count) <= old >> shift & MASK {
        return false;
    }
    let [low, high] = (old & !(MASK << shift) | u16::from(count) << shift).to_le_bytes();
    registers[at] = low;
    if let Some(byte) = registers.get_mut(at + 1) {
        *byte = high;
    }
    true
}
