//! Just enough arithmetic on big natural numbers to convert between decimal and binary exactly.

use std::cmp::Ordering;

/// A natural number, 32-bit limbs, least significant first, no leading zero limb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Big {
    limbs: Vec<u32>,
}

impl Big {
    pub fn new(value: u64) -> Self {
        let mut big = Self { limbs: vec![value as u32, (value >> 32) as u32] };
        big.trim();
        big
    }

    pub fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// Number of bits up to the highest set one.
    pub fn bits(&self) -> u32 {
        match self.limbs.last() {
            Some(top) => self.limbs.len() as u32 * 32 - top.leading_zeros(),
            None => 0,
        }
    }

    /// `self * factor + summand`
    pub fn mul_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.limbs {
            let wide = u64::from(*limb) * u64::from(factor) + carry;
            *limb = wide as u32;
            carry = wide >> 32;
        }
        if carry > 0 {
            self.limbs.push(carry as u32);
        }
        self.trim();
    }

    pub fn mul_pow10(&mut self, mut exponent: u32) {
        while exponent >= 9 {
            self.mul_add(1_000_000_000, 0);
            exponent -= 9;
        }
        self.mul_add(10u32.pow(exponent), 0);
    }

    pub fn shl(&mut self, bits: u32) {
        if self.is_zero() {
            return;
        }
        let low = bits % 32;
        self.mul_add(1 << low, 0);
        let zeros = std::iter::repeat_n(0, (bits / 32) as usize);
        self.limbs.splice(0..0, zeros);
    }

    /// Divides by `divisor`; answers the remainder.
    pub fn div_small(&mut self, divisor: u32) -> u32 {
        let mut rest = 0u64;
        for limb in self.limbs.iter_mut().rev() {
            let wide = rest << 32 | u64::from(*limb);
            *limb = (wide / u64::from(divisor)) as u32;
            rest = wide % u64::from(divisor);
        }
        self.trim();
        rest as u32
    }

    /// The `count` (at most 128) bits from the highest set one down, and whether any lower bit is
    /// set. The number must have at least `count` bits.
    pub fn top_bits(&self, count: u32) -> (u128, bool) {
        let skip = self.bits() - count;
        let mut top = 0u128;
        for bit in (skip..self.bits()).rev() {
            top = top << 1 | u128::from(self.bit(bit));
        }
        let sticky = self.limbs[..(skip / 32) as usize].iter().any(|&l| l != 0)
            || (!skip.is_multiple_of(32) && self.limbs[(skip / 32) as usize] << (32 - skip % 32) != 0);
        (top, sticky)
    }

    /// The quotient `self / divisor`, which must be below 2^128, and whether a rest is left.
    pub fn div_wide(mut self, divisor: &Self) -> (u128, bool) {
        let mut quotient = 0u128;
        let steps = (self.bits() + 1).saturating_sub(divisor.bits());
        for shift in (0..steps).rev() {
            let mut shifted = divisor.clone();
            shifted.shl(shift);
            quotient <<= 1;
            if self.cmp(&shifted) != Ordering::Less {
                self.subtract(&shifted);
                quotient |= 1;
            }
        }
        (quotient, !self.is_zero())
    }

    pub fn into_decimal(mut self) -> String {
        let mut groups = Vec::new();
        while !self.is_zero() {
            groups.push(self.div_small(1_000_000_000));
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        for group in groups.iter().rev() {
            text.push_str(&format!("{group:09}"));
        }
        text
    }

    fn bit(&self, index: u32) -> bool {
        self.limbs[(index / 32) as usize] >> (index % 32) & 1 == 1
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let lengths = self.limbs.len().cmp(&other.limbs.len());
        lengths.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }

    /// `other` must not be greater.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = 0i64;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let taken = other.limbs.get(index).copied().unwrap_or(0);
            let wide = i64::from(*limb) - i64::from(taken) - borrow;
            *limb = wide as u32;
            borrow = i64::from(wide < 0);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn big(value: u128) -> Big {
        let mut big = Big::new((value >> 64) as u64);
        big.shl(64);
        let mut low = big.clone();
        low.limbs.resize(4, 0);
        low.limbs[0] = value as u32;
        low.limbs[1] = (value >> 32) as u32;
        low.trim();
        low
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_the_machine(a in any::<u128>(), b in 1u128.., small in 1u32..) {
            prop_assert_eq!(big(a).into_decimal(), a.to_string());
            prop_assert_eq!(big(a).div_wide(&big(b)), (a / b, a % b != 0));
            let mut quotient = big(a);
            prop_assert_eq!(u128::from(quotient.div_small(small)), a % u128::from(small));
            prop_assert_eq!(quotient, big(a / u128::from(small)));
            prop_assert_eq!(big(a).bits(), 128 - a.leading_zeros());
        }

        #[test]
        fn top_bits_and_sticky(a in 1u128.., shift in 0u32..200) {
            let mut number = big(a);
            number.shl(shift);
            let count = big(a).bits().min(40);
            let skipped = big(a).bits() - count;
            prop_assert_eq!(number.top_bits(count), (a >> skipped, a & ((1 << skipped) - 1) != 0));
        }
    }
}
