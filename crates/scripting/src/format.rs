//! Numbers as C prints them.

/// `%.<precision>g`; `precision` is at least 1.
pub fn general(value: f64, precision: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:.*e}", precision - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("scientific notation has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    if exponent < -4 || exponent >= precision as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.unsigned_abs());
    }
    let decimals = (precision as i32 - 1 - exponent) as usize;
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

/// Without zeros at the end of the fraction.
fn trimmed(text: &str) -> &str {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.')
}

/// A number as Lua 5.1 makes a string of it.
pub fn lua_number(value: f64) -> String {
    general(value, 14)
}

/// A number as an argument of a command, or as a part of a reply: whole numbers with all digits.
pub fn argument(value: f64) -> Vec<u8> {
    let mut text = Vec::new();
    if value.trunc() == value && value.abs() <= i64::MAX as f64 / 2.0 {
        text.extend_from_slice((value as i64).to_string().as_bytes());
    } else {
        resp::number::put_double(&mut text, value);
    }
    text
}

/// C's conversion to a 64-bit integer, as x86 does it.
pub fn to_integer(value: f64) -> i64 {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if (-BOUND..BOUND).contains(&value) { value as i64 } else { i64::MIN }
}

/// Likewise to an unsigned one.
pub fn to_unsigned(value: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if value >= HALF { to_integer(value - HALF) as u64 ^ 1 << 63 } else { to_integer(value) as u64 }
}

/// Likewise to 32 bits, by way of 64.
pub fn to_int(value: f64) -> i32 {
    to_integer(value) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_lua() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.33333333333333"),
            (1e14, "1e+14"),
            (123456789012345.0, "1.2345678901234e+14"),
            (12345678901234.0, "12345678901234"),
            (1e100, "1e+100"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(lua_number(value), text);
        }
        assert_eq!(general(2.0 / 3.0, 3), "0.667");
    }

    #[test]
    fn conversions_do_what_the_processor_does() {
        assert_eq!(to_integer(-1.9), -1);
        assert_eq!(to_integer(1e300), i64::MIN);
        assert_eq!(to_integer(f64::NAN), i64::MIN);
        assert_eq!(to_unsigned(1e100), 0);
        assert_eq!(to_unsigned(1.5e19), 15_000_000_000_000_000_000);
        assert_eq!(argument(9007199254740993.0), b"9007199254740992");
        assert_eq!(argument(0.1), b"0.1");
    }
}
