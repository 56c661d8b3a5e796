//! Up to where lists stay small.

/// list-max-listpack-size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListLimit {
    /// Bytes of the listpack.
    Bytes(u64),
    /// Elements, as long as they are no more than [`SAFE_BYTES`].
    Elements(u64),
}

/// Bytes up to which a limit of elements goes.
const SAFE_BYTES: u64 = 8192;

impl ListLimit {
    /// As the option tells it: -1 to -5 are sizes, others numbers of elements.
    pub fn of_option(number: i64) -> Self {
        match number {
            ..=-5 => Self::Bytes(65536),
            -4 => Self::Bytes(32768),
            -3 => Self::Bytes(16384),
            -2 => Self::Bytes(8192),
            -1 => Self::Bytes(4096),
            0.. => Self::Elements(number.clamp(1, 32767).cast_unsigned()),
        }
    }

    /// Whether a listpack of that size may be small.
    pub fn holds(self, bytes: u64, elements: u64) -> bool {
        match self {
            Self::Bytes(limit) => bytes <= limit,
            Self::Elements(limit) => bytes <= SAFE_BYTES && elements <= limit,
        }
    }

    /// Whether a listpack is so much larger that it must not stay small: it is copied with each change, and
    /// cannot tell more than 65534 elements.
    pub fn is_far_below(self, bytes: u64) -> bool {
        let limit = match self {
            Self::Bytes(limit) => limit,
            Self::Elements(_) => SAFE_BYTES,
        };
        bytes > (2 * limit).min(65536)
    }

    /// Whether half the limit would hold it, so that a large list becomes small.
    pub fn half_holds(self, bytes: u64, elements: u64) -> bool {
        match self {
            Self::Bytes(limit) => bytes <= limit / 2,
            Self::Elements(limit) => bytes <= SAFE_BYTES && elements <= limit / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_means_what_it_means_to_redis() {
        let holds = |option, bytes, elements| ListLimit::of_option(option).holds(bytes, elements);
        for (option, bytes) in [(-1, 4096), (-2, 8192), (-3, 16384), (-4, 32768), (-5, 65536), (-9, 65536)] {
            assert!(holds(option, bytes, 10_000) && !holds(option, bytes + 1, 1));
        }
        assert!(holds(0, 8, 1) && !holds(0, 8, 2));
        assert!(holds(5, 8192, 5) && !holds(5, 8192, 6) && !holds(5, 8193, 5));
        assert!(ListLimit::of_option(3).half_holds(10, 1) && !ListLimit::of_option(3).half_holds(10, 2));
        assert!(
            ListLimit::of_option(-2).half_holds(4096, 9) && !ListLimit::of_option(-2).half_holds(4097, 1)
        );
    }
}
