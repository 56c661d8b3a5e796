//! x86's 80-bit `long double`, in which Redis computes INCRBYFLOAT and HINCRBYFLOAT, done in
//! integers so that every machine gets the same digits.
//!
//! A finite number is `±mantissa · 2^exponent` with bit 63 of the mantissa set, or zero. Reading,
//! adding and writing round to nearest, ties to even. Numbers below the normal range keep their
//! full precision here; they print as zero anyway.

use std::cmp::Ordering;

use super::big::Big;

/// Longest text that Redis reads as a long double.
const TEXT_BYTES_MAX: usize = 5 * 1024;
/// Decimal places that are written.
const PLACES: usize = 17;
/// Largest exponent of a 64-bit integer mantissa: 2^16384 is infinite.
const EXPONENT_MAX: i32 = 16383 - 63;
/// Below this, a number is smaller than the smallest denormal one.
const EXPONENT_MIN: i32 = -16445 - 63;

/// A number that is not NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    size: Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Zero,
    Finite { mantissa: u64, exponent: i32 },
    Infinite,
}

impl LongDouble {
    /// Reads a decimal or hexadecimal number, `inf` or `infinity`, as C's `strtold` does, but only if
    /// it is the whole text. `None` for anything else, NaN, and what overflows or underflows.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() >= TEXT_BYTES_MAX {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            return Some(Self { negative, size: Size::Infinite });
        }
        let size = match rest {
            [b'0', b'x' | b'X', hexadecimal @ ..] => from_hexadecimal(hexadecimal)?,
            decimal => from_decimal(decimal)?,
        };
        Some(Self { negative, size })
    }

    pub fn is_finite(self) -> bool {
        self.size != Size::Infinite
    }

    /// The sum; `None` if it is NaN or infinite.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = match (self.size, other.size) {
            (Size::Infinite, _) | (_, Size::Infinite) => return None,
            (Size::Zero, _) => other,
            (_, Size::Zero) => self,
            (Size::Finite { .. }, Size::Finite { .. }) => self.add_finite(other),
        };
        sum.is_finite().then_some(sum)
    }

    fn add_finite(self, other: Self) -> Self {
        let (large, small) =
            if self.cmp_size(other) == Ordering::Less { (other, self) } else { (self, other) };
        let (Size::Finite { mantissa: m, exponent: e }, Size::Finite { mantissa: n, exponent: f }) =
            (large.size, small.size)
        else {
            unreachable!("called for finite numbers only");
        };
        // Three guard bits would do; there is room for 62.
        let wide = u128::from(m) << 62;
        let distance = e.abs_diff(f);
        let shifted = if distance < 128 { u128::from(n) << 62 >> distance } else { 0 };
        let sticky = distance >= 128 || shifted << distance != u128::from(n) << 62;
        let (sum, sticky) = match (large.negative == small.negative, sticky) {
            (true, sticky) => (wide + shifted, sticky),
            (false, false) => (wide - shifted, false),
            (false, true) => (wide - shifted - 1, true),
        };
        if sum == 0 {
            return Self { negative: false, size: Size::Zero };
        }
        Self { negative: large.negative, size: round(sum, e - 62, sticky) }
    }

    fn cmp_size(self, other: Self) -> Ordering {
        match (self.size, other.size) {
            (Size::Finite { mantissa: m, exponent: e }, Size::Finite { mantissa: n, exponent: f }) => {
                e.cmp(&f).then(m.cmp(&n))
            }
            _ => Ordering::Equal,
        }
    }

    /// Writes as Redis does for people: 17 decimal places at most, trailing zeros cut.
    pub fn to_text(self) -> String {
        let digits = match self.size {
            Size::Zero => "0".to_owned(),
            Size::Infinite => "inf".to_owned(),
            Size::Finite { mantissa, exponent } => fixed(mantissa, exponent),
        };
        if self.negative && digits != "0" { format!("-{digits}") } else { digits }
    }
}

/// Splits `digits[mark[sign]digits]`; the exponent is clamped to what can matter.
fn split_exponent(text: &[u8], mark: u8) -> Option<(&[u8], i32)> {
    let Some(at) = text.iter().position(|b| b.eq_ignore_ascii_case(&mark)) else { return Some((text, 0)) };
    let (negative, digits) = match &text[at + 1..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0i32, |n, d| (n * 10 + i32::from(d - b'0')).min(40_000));
    Some((&text[..at], if negative { -size } else { size }))
}

/// Reads `digits[.digits]` as an integer, and how many of the digits are behind the point.
fn read_digits(text: &[u8], radix: u32) -> Option<(Big, i32)> {
    let mut number = Big::new(0);
    let (mut digits, mut places) = (0, None);
    for &byte in text {
        if byte == b'.' && places.is_none() {
            places = Some(digits);
            continue;
        }
        number.mul_add(radix, char::from(byte).to_digit(radix)?);
        digits += 1;
    }
    (digits > 0).then(|| (number, places.map_or(0, |whole| digits - whole)))
}

/// Reads `digits[.digits][e[sign]digits]`.
fn from_decimal(text: &[u8]) -> Option<Size> {
    let (mantissa, exponent) = split_exponent(text, b'e')?;
    let (number, places) = read_digits(mantissa, 10)?;
    if number.is_zero() {
        return Some(Size::Zero);
    }
    let scale = exponent - places;
    let magnitude = number.bits() as i32 * 30103 / 100_000 + scale;
    if !(-5000..5000).contains(&magnitude) {
        return None;
    }
    in_range(if scale >= 0 { scaled_up(number, scale) } else { scaled_down(number, -scale) })
}

/// Reads `digits[.digits][p[sign]digits]`, the exponent being one of two.
fn from_hexadecimal(text: &[u8]) -> Option<Size> {
    let (mantissa, exponent) = split_exponent(text, b'p')?;
    let (number, places) = read_digits(mantissa, 16)?;
    if number.is_zero() {
        return Some(Size::Zero);
    }
    in_range(rounded(number, exponent - 4 * places))
}

fn in_range(size: Size) -> Option<Size> {
    matches!(size, Size::Finite { exponent, .. } if exponent >= EXPONENT_MIN).then_some(size)
}

fn scaled_up(mut number: Big, power: i32) -> Size {
    number.mul_pow10(power.unsigned_abs());
    rounded(number, 0)
}

/// `number · 2^exponent`
fn rounded(mut number: Big, exponent: i32) -> Size {
    let lift = 66u32.saturating_sub(number.bits());
    number.shl(lift);
    let (top, sticky) = number.top_bits(66);
    round(top, number.bits() as i32 - 66 - lift as i32 + exponent, sticky)
}

fn scaled_down(mut number: Big, power: i32) -> Size {
    let mut divisor = Big::new(1);
    divisor.mul_pow10(power.unsigned_abs());
    // The quotient then has 66 or 67 bits.
    let lift = (divisor.bits() + 66).saturating_sub(number.bits());
    number.shl(lift);
    let drop = number.bits().saturating_sub(divisor.bits() + 66);
    divisor.shl(drop);
    let (quotient, sticky) = number.div_wide(&divisor);
    round(quotient, drop as i32 - lift as i32, sticky)
}

/// Rounds `wide · 2^exponent` (plus something smaller if `sticky`) to 64 bits.
fn round(wide: u128, exponent: i32, sticky: bool) -> Size {
    let bits = (128 - wide.leading_zeros()) as i32;
    let drop = bits - 64;
    let (mut mantissa, mut exponent) = (shift_to_64(wide, drop), exponent + drop);
    if drop > 0 {
        let rest = wide & ((1u128 << drop) - 1);
        let half = 1u128 << (drop - 1);
        let up = rest > half || (rest == half && (sticky || mantissa & 1 == 1));
        if up {
            match mantissa.checked_add(1) {
                Some(next) => mantissa = next,
                None => (mantissa, exponent) = (1 << 63, exponent + 1),
            }
        }
    }
    if exponent > EXPONENT_MAX { Size::Infinite } else { Size::Finite { mantissa, exponent } }
}

fn shift_to_64(wide: u128, drop: i32) -> u64 {
    if drop > 0 { (wide >> drop) as u64 } else { (wide as u64) << -drop }
}

/// `%.17f` without trailing zeros.
fn fixed(mantissa: u64, exponent: i32) -> String {
    if exponent >= 0 {
        let mut number = Big::new(mantissa);
        number.shl(exponent.unsigned_abs());
        return number.into_decimal();
    }
    let scaled = u128::from(mantissa) * 10u128.pow(PLACES as u32);
    let shift = exponent.unsigned_abs();
    let rounded = if shift >= 128 { 0 } else { round_shift(scaled, shift) };
    let digits = format!("{rounded:0>width$}", width = PLACES + 1);
    let (whole, places) = digits.split_at(digits.len() - PLACES);
    let places = places.trim_end_matches('0');
    if places.is_empty() { whole.to_owned() } else { format!("{whole}.{places}") }
}

fn round_shift(value: u128, shift: u32) -> u128 {
    let (kept, rest) = (value >> shift, value & ((1 << shift) - 1));
    let half = 1u128 << (shift - 1);
    kept + u128::from(rest > half || (rest == half && kept & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(a: &str, b: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
        parse(a).checked_add(parse(b)).unwrap().to_text()
    }

    #[test]
    fn sums_have_the_digits_of_redis() {
        for (a, b, expected) in [
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0e3", "200", "3200"),
            ("0.1", "0.2", "0.3"),
            ("1", "-1.1", "-0.1"),
            ("1.5", "-1.5", "0"),
            ("3", "1.1", "4.1"),
            ("17179869184", "1.5", "17179869185.5"),
            ("1e17", "0.5", "100000000000000000.5"),
            ("0", "1e-20", "0"),
            ("-0", "0", "0"),
            ("0x10", "-0x.8p-1", "15.75"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", " 1", "1 ", "abc", "1.2.3", "1e", "e5", ".", "nan", "1e5000", "1e-5000", "--1", "0x", "0x1g",
            "1_0",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        assert!(!LongDouble::parse(b"-INF").unwrap().is_finite());
    }

    #[test]
    fn the_largest_numbers_overflow_cleanly() {
        let large = LongDouble::parse(b"1.18e4932").unwrap();
        assert_eq!(large.checked_add(large), None);
        assert_eq!(large.to_text().len(), 4933);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[-+]?[0-9]{0,30}(\\.[0-9]{0,30})?(e[-+]?[0-9]{0,6})?") {
            if let Some(number) = LongDouble::parse(text.as_bytes()) {
                let _ = number.to_text();
                let _ = number.checked_add(number);
            }
        }

        #[test]
        fn doubles_are_read_exactly(value in -1e15f64..1e15) {
            let text = format!("{value:.60}");
            let number = LongDouble::parse(text.as_bytes()).unwrap();
            let back: f64 = number.to_text().parse().unwrap();
            prop_assert!((back - value).abs() <= 1e-17);
        }

        #[test]
        fn integers_add_exactly(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(sum(&a.to_string(), &b.to_string()), (i128::from(a) + i128::from(b)).to_string());
        }
    }
}
