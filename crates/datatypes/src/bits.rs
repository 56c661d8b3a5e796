//! Strings as arrays of bits: bit 0 is the most significant one of the first byte.
//!
//! [`range`] says which bits a command means, [`field`] reads and writes integers of any width. What
//! lies behind a string's end reads as zero bits. (Semantics: Redis `bitops.c`.)

pub mod field;
pub mod range;

pub use field::{FieldType, Overflow};
pub use range::{BitRange, Unit};

/// The bit at `offset`.
pub fn get(bytes: &[u8], offset: u64) -> bool {
    byte_of(offset).and_then(|at| bytes.get(at)).is_some_and(|byte| byte & mask(offset) != 0)
}

/// Sets or clears the bit at `offset`, which `bytes` must contain.
pub fn set(bytes: &mut [u8], offset: u64, on: bool) {
    let byte = byte_of(offset).and_then(|at| bytes.get_mut(at)).expect("a bit of the string");
    *byte = if on { *byte | mask(offset) } else { *byte & !mask(offset) };
}

/// Length of the shortest string that has the bit at `offset`.
pub fn bytes_for(offset: u64) -> usize {
    byte_of(offset).map_or(usize::MAX, |at| at + 1)
}

fn byte_of(offset: u64) -> Option<usize> {
    usize::try_from(offset / 8).ok()
}

fn mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

/// Number of set bits in `range`, which lies within `bytes`.
pub fn count(bytes: &[u8], range: BitRange) -> u64 {
    let whole = &bytes[range.first_byte()..=range.last_byte()];
    let before = whole[0] & !range.first_mask();
    let behind = whole[whole.len() - 1] & !range.last_mask();
    count_all(whole) - u64::from(before.count_ones()) - u64::from(behind.count_ones())
}

/// Number of set bits.
pub fn count_all(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    in_words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// Position of the first bit in `range` (which lies within `bytes`) that equals `bit`.
pub fn find(bytes: &[u8], range: BitRange, bit: bool) -> Option<u64> {
    let (first, last) = (range.first_byte(), range.last_byte());
    // Looking for zeros is looking for ones in the complement.
    let flip = if bit { 0 } else { 0xFF };
    let hit = |at: usize, mask: u8| match (bytes[at] ^ flip) & mask {
        0 => None,
        found => Some(at as u64 * 8 + u64::from(found.leading_zeros())),
    };
    if first == last {
        return hit(first, range.first_mask() & range.last_mask());
    }
    let inner = &bytes[first + 1..last];
    hit(first, range.first_mask())
        .or_else(|| first_other(inner, flip).and_then(|at| hit(first + 1 + at, 0xFF)))
        .or_else(|| hit(last, range.last_mask()))
}

/// Index of the first byte that is not `byte`.
fn first_other(bytes: &[u8], byte: u8) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let skipped = words.iter().position(|word| *word != [byte; 8]).unwrap_or(words.len()) * 8;
    bytes[skipped..].iter().position(|&other| other != byte).map(|at| skipped + at)
}

/// What BITOP does with several strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    And,
    Or,
    Xor,
    /// Of the first source alone.
    Not,
}

/// Combines `sources`, the shorter ones followed by zero bytes, into `out`, which is all zeros and as
/// long as the longest of them.
pub fn combine(operation: Operation, sources: &[&[u8]], out: &mut [u8]) {
    let Some((first, others)) = sources.split_first() else { return };
    out[..first.len()].copy_from_slice(first);
    if operation == Operation::Not {
        return out.iter_mut().for_each(|byte| *byte = !*byte);
    }
    for other in others {
        let (shared, behind) = out.split_at_mut(other.len());
        let pairs = shared.iter_mut().zip(*other);
        match operation {
            Operation::And => {
                pairs.for_each(|(byte, other)| *byte &= other);
                behind.fill(0);
            }
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => unreachable!("has one source"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8]) -> Vec<bool> {
        bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1)).collect()
    }

    /// Mostly runs of equal bytes, which is where skipping goes wrong.
    fn bitmap() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => Just(0u8), 4 => Just(0xFF), 1 => any::<u8>()];
        let run = (byte, 1..20usize).prop_map(|(byte, len)| vec![byte; len]);
        prop::collection::vec(run, 1..6).prop_map(|runs| runs.concat())
    }

    proptest! {
        #[test]
        fn counting_and_finding_agree_with_bit_by_bit(bytes in bitmap(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(), bit in any::<bool>()) {
            let bits = naive(&bytes);
            let (a, b) = (a.index(bits.len()), b.index(bits.len()));
            let (first, last) = (a.min(b), a.max(b));
            let range = BitRange { first: first as u64, last: last as u64 };
            let inside = &bits[first..=last];
            prop_assert_eq!(count(&bytes, range), inside.iter().filter(|bit| **bit).count() as u64);
            let found = inside.iter().position(|other| *other == bit).map(|at| (first + at) as u64);
            prop_assert_eq!(find(&bytes, range, bit), found);
            prop_assert_eq!(get(&bytes, a as u64), bits[a]);
        }

        #[test]
        fn setting_changes_one_bit(bytes in bitmap(), at in any::<prop::sample::Index>(), on in any::<bool>()) {
            let mut expected = naive(&bytes);
            let at = at.index(expected.len());
            expected[at] = on;
            let mut changed = bytes;
            set(&mut changed, at as u64, on);
            prop_assert_eq!(naive(&changed), expected);
        }

        #[test]
        fn combining_agrees_with_byte_by_byte(sources in prop::collection::vec(bitmap(), 1..5)) {
            let len = sources.iter().map(Vec::len).max().unwrap_or(0);
            let at = |source: &Vec<u8>, at: usize| source.get(at).copied().unwrap_or(0);
            let slices: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            type Fold = fn(u8, u8) -> u8;
            let operations: [(Operation, Fold); 3] =
                [(Operation::And, |a, b| a & b), (Operation::Or, |a, b| a | b), (Operation::Xor, |a, b| a ^ b)];
            for (operation, fold) in operations {
                let mut out = vec![0; len];
                combine(operation, &slices, &mut out);
                let expected: Vec<u8> =
                    (0..len).map(|i| sources.iter().map(|s| at(s, i)).reduce(fold).unwrap_or(0)).collect();
                prop_assert_eq!(out, expected);
            }
        }
    }

    #[test]
    fn behind_the_end_there_are_zeros() {
        assert!(!get(b"\xFF", 8));
        assert!(!get(b"", u64::MAX));
        assert_eq!((bytes_for(0), bytes_for(7), bytes_for(8)), (1, 1, 2));
    }
}
