//! Doubles (semantics: C's `strtod` and Redis's `util.c`, string2d).

/// Reads a number that is the whole text: decimal or hexadecimal, `inf` or `infinity`. `None` for
/// anything else, NaN, and what overflows or underflows.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let value = whole(text)?;
    let overflows = value.is_infinite() && text.iter().any(u8::is_ascii_digit);
    let underflows = value == 0.0 && has_size(text);
    (!overflows && !underflows).then_some(value)
}

/// Reads what C's `strtod` makes of a text that it must read to its end, or up to a zero byte: blanks
/// may come first, nothing is 0, and what is too large is infinite.
pub fn parse_f64_like_c(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    let text = &text[..end];
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    whole(&text[blanks..])
}

/// Prints a number with 17 significant digits, as C's `%.17Lg` does.
pub fn print_f64_long(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        return format!("{sign}{}", if value == 0.0 { "0" } else { "inf" });
    }
    let text = format!("{value:.16e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..17).contains(&exponent) {
        let places = usize::try_from(16 - exponent).unwrap_or_default();
        return without_zeros(&format!("{value:.places$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(digits), exponent.abs())
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn whole(text: &[u8]) -> Option<f64> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let value = match rest {
        [b'0', b'x' | b'X', digits @ ..] => hexadecimal(digits)?,
        // What Rust reads too, but for a second sign and NaN.
        [b'0'..=b'9' | b'.' | b'i' | b'I', ..] => std::str::from_utf8(rest).ok()?.parse::<f64>().ok()?,
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

/// Whether a digit before the exponent is not 0.
fn has_size(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let (digits, mark) = match unsigned {
        [b'0', b'x' | b'X', digits @ ..] => (digits, b'p'),
        digits => (digits, b'e'),
    };
    let mantissa = digits.iter().take_while(|byte| !byte.eq_ignore_ascii_case(&mark));
    mantissa.into_iter().any(|byte| byte.is_ascii_hexdigit() && *byte != b'0')
}

/// Reads `digits[.digits][p[sign]digits]`, the exponent being one of two.
fn hexadecimal(text: &[u8]) -> Option<f64> {
    let mark = text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'p'));
    let (digits, mut exponent) = match mark {
        Some(at) => (&text[..at], power(&text[at + 1..])?),
        None => (text, 0),
    };
    // The lowest bit also stands for all that is below it.
    let (mut mantissa, mut seen, mut behind_point) = (0u64, false, false);
    for &byte in digits {
        if byte == b'.' && !behind_point {
            behind_point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        seen = true;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if behind_point { 4 } else { 0 };
        } else {
            mantissa |= u64::from(digit != 0);
            exponent += if behind_point { 0 } else { 4 };
        }
    }
    seen.then(|| scaled(mantissa as f64, exponent))
}

/// Reads the exponent of a hexadecimal number, clamped to what can matter.
fn power(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0i64, |size, digit| (size * 10 + i64::from(digit - b'0')).min(1 << 40));
    Some(if negative { -size } else { size })
}

/// `value · 2^exponent`
fn scaled(value: f64, exponent: i64) -> f64 {
    let mut left = exponent.clamp(-4000, 4000) as i32;
    let mut value = value;
    while left != 0 {
        let step = left.clamp(-1000, 1000);
        value *= 2f64.powi(step);
        left -= step;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_whole_or_not_at_all() {
        for (text, value) in [
            ("1", 1.0),
            ("-1.5", -1.5),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("0x1F", 31.0),
            ("0x1.8p1", 3.0),
            ("-0X.8P+2", -2.0),
            ("0x00000000000000000000001", 1.0),
            ("0x1p-1074", 5e-324),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("5e-324", 5e-324),
            ("0e999", 0.0),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        assert!(parse_f64(b"-0").unwrap().is_sign_negative());
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "-nan",
            "1e",
            "e1",
            ".",
            "0x",
            "0x.",
            "0x1p",
            "0x1pp1",
            "--1",
            "+-1",
            "1,5",
            "infi",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p-2000",
            "0x1p2000",
            "1\0",
            "\0",
            "1_0",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn bounds_are_read_as_c_does() {
        for (text, value) in
            [("", 0.0), (" \t1", 1.0), ("1e400", f64::INFINITY), ("-1e400", f64::NEG_INFINITY), ("1\0x", 1.0)]
        {
            assert_eq!(parse_f64_like_c(text.as_bytes()), Some(value), "{text:?}");
        }
        for text in [" ", "1 ", "nan", "x", "(1"] {
            assert_eq!(parse_f64_like_c(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn seventeen_digits_are_printed() {
        for (value, text) in [
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (-2.5, "-2.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1e-4, "0.0001"),
            (1e-5, "1.0000000000000001e-05"),
            (1.5e300, "1.5000000000000001e+300"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(print_f64_long(value), text);
        }
    }

    proptest! {
        #[test]
        fn texts_of_numbers_are_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(parse_f64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn random_bytes_never_panic(text in any::<Vec<u8>>(), digits in "[-+0-9a-fxp.]{0,40}") {
            let _ = (parse_f64(&text), parse_f64_like_c(&text));
            let _ = (parse_f64(digits.as_bytes()), parse_f64(format!("0x{digits}").as_bytes()));
        }
    }
}
