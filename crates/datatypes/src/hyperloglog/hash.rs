//! The hash of elements: MurmurHash64A by Austin Appleby (MurmurHash2, 64 bits), with Redis's seed.

use super::{INDEX_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

pub(super) fn murmur64a(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        word ^= word >> SHIFT;
        hash = (hash ^ word.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> SHIFT;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}

/// The register that a hash falls to.
pub(super) fn position(hash: u64) -> usize {
    hash as usize % REGISTERS
}

/// Number of zeros that the rest of the hash ends with, plus one: 1 to 51.
pub(super) fn run_of_zeros(hash: u64) -> u8 {
    let rest = hash >> INDEX_BITS | 1 << (u64::BITS - INDEX_BITS);
    rest.trailing_zeros() as u8 + 1
}
