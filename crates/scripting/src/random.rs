//! `math.random`'s numbers: the 48-bit linear congruential generator of `lrand48`, as Redis has it.

const FACTOR: u64 = 0x5_DEEC_E66D;
const ADDEND: u64 = 0xB;
const MASK: u64 = (1 << 48) - 1;
const SEED_LOW: u64 = 0x330E;
/// One more than the greatest number.
const BOUND: u32 = 1 << 31;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random48(u64);

impl Random48 {
    pub fn seeded(seed: i32) -> Self {
        Self(u64::from(seed as u32) << 16 | SEED_LOW)
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(FACTOR).wrapping_add(ADDEND) & MASK;
        (self.0 >> 17) as u32
    }

    /// At least 0, below 1.
    pub fn fraction(&mut self) -> f64 {
        let max = BOUND - 1;
        f64::from(self.next() % max) / f64::from(max)
    }
}
