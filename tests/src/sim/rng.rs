//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): small,
//! and its streams for different seeds are independent enough for choosing faults.

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// Advances `state` and returns the next number.
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GAMMA);
    mix(*state)
}

/// A bijection that spreads neighbouring numbers over the whole range.
pub fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A stream of random choices.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// Streams of the same seed with different names are independent.
    pub fn new(seed: u64, name: &str) -> Self {
        let name = name
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
        Self(mix(seed) ^ name)
    }

    pub fn u64(&mut self) -> u64 {
        next(&mut self.0)
    }

    /// Uniform in `from..to`.
    pub fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.u64() % (to - from)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.range(0, end as u64) as usize
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.u64().is_multiple_of(n)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
