//! Numbers as Redis reads and prints them.

/// Reads a signed decimal number the way Redis does (`string2ll`): no sign but `-`, no leading
/// zeros, no blanks, no `-0`.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    if text == b"0" {
        return Some(0);
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) || digits.len() > 19 {
        return None;
    }
    let mut magnitude = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // 19 digits fit into a u64.
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    match negative {
        false => i64::try_from(magnitude).ok(),
        true => 0i64.checked_sub_unsigned(magnitude),
    }
}

/// Whole numbers up to here are printed without a fraction and without an exponent.
const EXACT_INTEGER_MAX: f64 = (1u64 << 62) as f64;

/// Prints a double as Redis does (`d2string`): the shortest digits that read back to the same
/// value, `%.17g`-like layout, `inf`, `-inf`, `nan`, `-0`.
pub fn put_double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    } else if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if value.abs() <= EXACT_INTEGER_MAX && value.trunc() == value {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        put_fraction(out, value);
    }
}

/// `value` is finite and not zero.
fn put_fraction(out: &mut Vec<u8>, value: f64) {
    if value < 0.0 {
        out.push(b'-');
    }
    let mut digits = [0u8; 20];
    let (count, exponent) = shortest_digits(value.abs(), &mut digits);
    put_digits(out, &digits[..count], exponent, value < 0.0);
}

/// Digits without leading or trailing zeros and the power of ten to multiply them by.
fn shortest_digits(value: f64, digits: &mut [u8; 20]) -> (usize, i32) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    let (mut count, mut exponent, mut fraction) = (0usize, 0i32, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'.' => fraction = true,
            b'e' | b'E' => {
                exponent += parse_i64(&text[at + 1..]).unwrap_or(0) as i32;
                break;
            }
            _ => {
                exponent -= i32::from(fraction);
                if count > 0 || byte != b'0' {
                    digits[count] = byte;
                    count += 1;
                }
            }
        }
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
        exponent += 1;
    }
    (count, exponent)
}

/// Layout of Redis's `fpconv_dtoa`.
fn put_digits(out: &mut Vec<u8>, digits: &[u8], exponent: i32, negative: bool) {
    let count = digits.len() as i32;
    let magnitude = (exponent + count - 1).abs();
    if exponent >= 0 && magnitude < count + 7 {
        out.extend_from_slice(digits);
        out.resize(out.len() + exponent as usize, b'0');
    } else if exponent < 0 && (exponent > -7 || magnitude < 4) {
        put_plain_fraction(out, digits, count + exponent);
    } else {
        put_scientific(out, digits, exponent + count - 1, negative);
    }
}

/// `whole` digits stand before the point; negative: zeros follow it.
fn put_plain_fraction(out: &mut Vec<u8>, digits: &[u8], whole: i32) {
    if whole <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + whole.unsigned_abs() as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let (front, back) = digits.split_at(whole as usize);
        out.extend_from_slice(front);
        out.push(b'.');
        out.extend_from_slice(back);
    }
}

fn put_scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i32, negative: bool) {
    let digits = &digits[..digits.len().min(18 - usize::from(negative))];
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    out.extend_from_slice(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(value: f64) -> String {
        let mut out = Vec::new();
        put_double(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_read_strictly() {
        for (text, value) in [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX)] {
            assert_eq!(parse_i64(text.as_bytes()), Some(value));
        }
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        for text in
            ["", "-", "+1", "01", "-0", " 1", "1 ", "1x", "9223372036854775808", "-9223372036854775809"]
        {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_i64(b"18446744073709551616"), None);
    }

    #[test]
    fn doubles_look_like_those_of_redis() {
        for (value, text) in [
            (3.0, "3"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (3.25, "3.25"),
            (1e-5, "0.00001"),
            (1e-7, "1e-7"),
            (1.5e300, "1.5e+300"),
            (-1.5e-300, "-1.5e-300"),
            (1e20, "1e+20"),
            (1e17, "100000000000000000"),
            (17179869184.5, "17179869184.5"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (-0.0, "-0"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (123456789012345680000.0, "123456789012345680000"),
        ] {
            assert_eq!(shown(value), text);
        }
    }

    proptest! {
        #[test]
        fn doubles_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(shown(value).parse::<f64>().unwrap(), value);
            }
        }

        #[test]
        fn integers_read_back(value in any::<i64>()) {
            prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
    }
}
