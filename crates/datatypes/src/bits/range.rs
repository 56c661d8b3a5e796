//! Ranges of bits, as BITCOUNT and BITPOS take them.

/// In what a range is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    #[default]
    Byte,
    Bit,
}

/// Bits from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitRange {
    pub first: u64,
    pub last: u64,
}

impl BitRange {
    /// All bits of a string of `len` bytes; `None` if it is empty.
    pub fn whole(len: usize) -> Option<Self> {
        Self::of(0, -1, Unit::Byte, len)
    }

    /// What `start` and `end` mean for a string of `len` bytes: negative ones count from the end,
    /// and both are moved inside the string. `None`: nothing.
    pub fn of(start: i64, end: i64, unit: Unit, len: usize) -> Option<Self> {
        let bytes = i64::try_from(len).unwrap_or(i64::MAX / 8);
        let total = if unit == Unit::Bit { bytes * 8 } else { bytes };
        let absolute = |index: i64| if index < 0 { (total + index).max(0) } else { index };
        let (start, end) = (absolute(start), absolute(end).min(total - 1));
        if start > end {
            return None;
        }
        let (start, end) = (start.cast_unsigned(), end.cast_unsigned());
        Some(match unit {
            Unit::Bit => Self { first: start, last: end },
            Unit::Byte => Self { first: start * 8, last: end * 8 + 7 },
        })
    }

    pub(super) fn first_byte(self) -> usize {
        (self.first / 8) as usize
    }

    pub(super) fn last_byte(self) -> usize {
        (self.last / 8) as usize
    }

    /// The bits of the first byte from `first` on.
    pub(super) fn first_mask(self) -> u8 {
        0xFF >> (self.first % 8)
    }

    /// The bits of the last byte up to `last`.
    pub(super) fn last_mask(self) -> u8 {
        0xFF << (7 - self.last % 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_moved_inside_the_string() {
        let of = |start, end, unit| BitRange::of(start, end, unit, 3).map(|range| (range.first, range.last));
        assert_eq!(of(0, -1, Unit::Byte), Some((0, 23)));
        assert_eq!(of(1, 1, Unit::Byte), Some((8, 15)));
        assert_eq!(of(-100, 100, Unit::Byte), Some((0, 23)));
        assert_eq!(of(i64::MIN, i64::MAX, Unit::Bit), Some((0, 23)));
        assert_eq!(of(5, 11, Unit::Bit), Some((5, 11)));
        assert_eq!(of(-2, -1, Unit::Bit), Some((22, 23)));
        assert_eq!(of(2, 1, Unit::Byte), None);
        assert_eq!(of(3, 3, Unit::Byte), None);
        assert_eq!(BitRange::whole(0), None);
        assert_eq!(BitRange::of(0, 0, Unit::Bit, 0), None);
    }
}
