//! Scores as they are stored, and in order.

use crate::kv::StoreError;
use crate::record::corrupt;

/// Bytes of a score, either way.
pub const BYTES: usize = 8;

/// The value of an element: the score itself.
pub fn encode(score: f64) -> [u8; BYTES] {
    score.to_be_bytes()
}

pub fn decode(value: &[u8]) -> Result<f64, StoreError> {
    value.try_into().ok().map(f64::from_be_bytes).filter(|score| !score.is_nan()).ok_or_else(corrupt)
}

/// Bytes in the order of scores. 0 and -0 are equal.
pub fn order(score: f64) -> [u8; BYTES] {
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    ordered.to_be_bytes()
}

/// The score that has these bytes; 0 for -0.
pub fn from_order(ordered: [u8; BYTES]) -> Result<f64, StoreError> {
    let ordered = u64::from_be_bytes(ordered);
    let bits = if ordered >> 63 == 0 { !ordered } else { ordered & !(1 << 63) };
    Some(f64::from_bits(bits)).filter(|score| !score.is_nan()).ok_or_else(corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_score() -> impl Strategy<Value = f64> {
        let known = [0.0, -0.0, 1.0, -1.0, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN];
        prop_oneof![
            prop::sample::select(known.to_vec()),
            any::<f64>().prop_filter("a score", |score| !score.is_nan())
        ]
    }

    proptest! {
        #[test]
        fn bytes_are_in_the_order_of_scores(a in any_score(), b in any_score()) {
            prop_assert_eq!(order(a).cmp(&order(b)), a.partial_cmp(&b).unwrap());
            prop_assert_eq!(from_order(order(a)).unwrap(), a);
            prop_assert_eq!(decode(&encode(a)).unwrap().to_bits(), a.to_bits());
        }
    }
}
