//! Integers of 1 to 64 bits anywhere in a string, most significant bit first: BITFIELD.

/// Bytes that a field can touch: 64 bits that do not begin with a byte.
const WINDOW_BYTES: usize = 9;

/// Sign and width of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldType {
    pub signed: bool,
    /// 1 to 64, or to 63 if unsigned.
    pub bits: u32,
}

/// What happens to a value that does not fit into its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The lowest bits are kept.
    #[default]
    Wrap,
    /// The closest limit is taken.
    Saturate,
    /// Nothing is written.
    Fail,
}

impl FieldType {
    /// Last bit of a field at `offset`.
    pub fn last_bit(self, offset: u64) -> u64 {
        offset + u64::from(self.bits) - 1
    }

    /// The value at bit `offset`; behind the end there are zeros.
    pub fn get(self, bytes: &[u8], offset: u64) -> i64 {
        let (at, skipped) = place(offset);
        let window = bytes.get(at..).map_or(0, window);
        let raw = (window << skipped >> (u128::BITS - self.bits)) as u64;
        self.extend(raw)
    }

    /// Writes the lowest bits of `value` at bit `offset`; `bytes` must have room.
    pub fn set(self, bytes: &mut [u8], offset: u64, value: i64) {
        let (at, skipped) = place(offset);
        let shift = u128::BITS - skipped - self.bits;
        let mask = u128::MAX >> (u128::BITS - self.bits) << shift;
        let field = u128::from(value.cast_unsigned()) << shift & mask;
        let changed = window(&bytes[at..]) & !mask | field;
        let room = &mut bytes[at..];
        let len = room.len().min(WINDOW_BYTES);
        room[..len].copy_from_slice(&changed.to_be_bytes()[..len]);
    }

    /// `value + amount` as this field can hold it, and whether it had to be changed for that; under
    /// [`Overflow::Fail`] `None` if so.
    ///
    /// `value` need not fit, then `amount` must be 0. Comparisons wrap as those of Redis do
    /// (`checkSignedBitfieldOverflow`), so that far out a value may saturate at the other end.
    pub fn add(self, value: i64, amount: i64, overflow: Overflow) -> Option<i64> {
        let Some(limit) = self.limit_passed(value, amount) else {
            return Some(value.wrapping_add(amount));
        };
        match overflow {
            Overflow::Wrap => Some(self.extend(value.wrapping_add(amount).cast_unsigned())),
            Overflow::Saturate => Some(limit),
            Overflow::Fail => None,
        }
    }

    fn limit_passed(self, value: i64, amount: i64) -> Option<i64> {
        if self.signed { self.signed_limit(value, amount) } else { self.unsigned_limit(value, amount) }
    }

    fn signed_limit(self, value: i64, amount: i64) -> Option<i64> {
        let max = i64::MAX >> (64 - self.bits);
        let min = -max - 1;
        let narrow = self.bits < 64;
        let (most, least) = (max.wrapping_sub(value), min.wrapping_sub(value));
        if value > max || (narrow || value >= 0 && amount > 0) && amount > most {
            Some(max)
        } else if value < min || (narrow || value < 0 && amount < 0) && amount < least {
            Some(min)
        } else {
            None
        }
    }

    fn unsigned_limit(self, value: i64, amount: i64) -> Option<i64> {
        let max = i64::MAX >> (63 - self.bits);
        // A negative value stands for one beyond all limits.
        if value < 0 || value > max || amount > 0 && amount > max - value {
            Some(max)
        } else if amount < 0 && amount < -value {
            Some(0)
        } else {
            None
        }
    }

    /// The lowest bits of `raw` as a number.
    fn extend(self, raw: u64) -> i64 {
        let unused = 64 - self.bits;
        let high = raw << unused;
        if self.signed { high.cast_signed() >> unused } else { (high >> unused).cast_signed() }
    }
}

/// First byte of a field, and how many bits of it lie before the field.
fn place(offset: u64) -> (usize, u32) {
    (usize::try_from(offset / 8).unwrap_or(usize::MAX), (offset % 8) as u32)
}

/// The first bytes, at the top of a number.
fn window(bytes: &[u8]) -> u128 {
    let mut window = [0; 16];
    let len = bytes.len().min(WINDOW_BYTES);
    window[..len].copy_from_slice(&bytes[..len]);
    u128::from_be_bytes(window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field_type() -> impl Strategy<Value = FieldType> {
        prop_oneof![
            (1..=64u32).prop_map(|bits| FieldType { signed: true, bits }),
            (1..=63u32).prop_map(|bits| FieldType { signed: false, bits }),
        ]
    }

    fn limits(kind: FieldType) -> (i128, i128) {
        match kind.signed {
            true => (-(1 << (kind.bits - 1)), (1 << (kind.bits - 1)) - 1),
            false => (0, (1 << kind.bits) - 1),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_else_changes(
            kind in field_type(), bytes in prop::collection::vec(any::<u8>(), 17), offset in 0..72u64, value in any::<i64>()
        ) {
            let mut changed = bytes.clone();
            kind.set(&mut changed, offset, value);
            let bit = |bytes: &[u8], at: u64| super::super::get(bytes, at);
            for at in (0..136).filter(|at| !(offset..=kind.last_bit(offset)).contains(at)) {
                prop_assert_eq!(bit(&bytes, at), bit(&changed, at));
            }
            let (min, max) = limits(kind);
            let expected = (i128::from(value) - min).rem_euclid(max - min + 1) + min;
            prop_assert_eq!(i128::from(kind.get(&changed, offset)), expected);
        }

        #[test]
        fn adding_within_the_field_is_arithmetic(kind in field_type(), value in any::<i64>(), amount in any::<i64>()) {
            let value = kind.extend(value.cast_unsigned());
            let (min, max) = limits(kind);
            let sum = i128::from(value) + i128::from(amount);
            let add = |overflow| kind.add(value, amount, overflow).map(i128::from);
            prop_assert_eq!(add(Overflow::Wrap), Some((sum - min).rem_euclid(max - min + 1) + min));
            prop_assert_eq!(add(Overflow::Fail), (min..=max).contains(&sum).then_some(sum));
            // Far beyond the limits of a narrow field Redis may mistake the end.
            if amount.unsigned_abs() < 1 << 62 || kind.bits == 64 {
                prop_assert_eq!(add(Overflow::Saturate), Some(sum.clamp(min, max)));
            }
        }
    }

    #[test]
    fn fields_lie_as_in_redis() {
        let mut bytes = [0; 2];
        FieldType { signed: false, bits: 5 }.set(&mut bytes, 7, 23);
        assert_eq!(bytes, [0b0000_0001, 0b0111_0000]);
        let wide = FieldType { signed: true, bits: 64 };
        assert_eq!(wide.get(&[0xFF], 4), 0xF << 60);
        assert_eq!(wide.get(&[0xFF], u64::MAX), 0);
    }
}
