//! Bytes for fuzzing, here and in the tests of what decodes next.

/// xorshift64*: enough noise, the same in every run.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    })
    .take(len)
    .collect()
}
