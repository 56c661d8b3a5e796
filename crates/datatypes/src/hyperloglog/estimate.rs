//! From registers to a cardinality.
//!
//! The estimator is the one of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (arXiv:1702.01284), algorithm 6, with the constants and the order of operations of Redis
//! `hllCount`, so that the results are equal to the last digit.

use super::{INDEX_BITS, REGISTERS};

/// Highest count that a hash can produce, less one.
const RUN_MAX: usize = (u64::BITS - INDEX_BITS) as usize;
/// 1 / (2 ln 2)
const ALPHA_INFINITY: f64 = 0.721_347_520_444_481_7;
/// What C's conversion gives for a number that is too large, on the machines Redis runs on.
const TOO_LARGE: u64 = 1 << 63;

/// How many registers have each value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Histogram {
    registers: [u32; 64],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { registers: [0; 64] }
    }
}

impl FromIterator<u8> for Histogram {
    fn from_iter<T: IntoIterator<Item = u8>>(values: T) -> Self {
        let mut histogram = Self::default();
        values.into_iter().for_each(|value| histogram.add(value, 1));
        histogram
    }
}

impl Histogram {
    /// Counts `registers` registers that hold `value`, which has six bits.
    pub fn add(&mut self, value: u8, registers: usize) {
        self.registers[usize::from(value % 64)] += registers as u32;
    }

    pub fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let with = |value: usize| f64::from(self.registers[value]);
        let mut z = m * tau((m - with(RUN_MAX + 1)) / m);
        for value in (1..=RUN_MAX).rev() {
            z += with(value);
            z *= 0.5;
        }
        z += m * sigma(with(0) / m);
        let estimate = (ALPHA_INFINITY * m * m / z).round();
        if estimate < TOO_LARGE as f64 { estimate as u64 } else { TOO_LARGE }
    }
}

/// The paper's sigma: x + Σ x^(2^k) 2^(k-1).
fn sigma(x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut x, mut y, mut z) = (x, 1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// The paper's tau: (1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3.
fn tau(x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut x, mut y, mut z) = (x, 1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
