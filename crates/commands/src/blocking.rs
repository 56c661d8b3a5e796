//! Commands that wait until they can be served. A handler tries once; who waits, and until when, is
//! decided from the row.

use std::borrow::Cow;

use datatypes::number::{LongDouble, parse_f64, parse_f64_like_c, parse_i64};

use crate::{Args, CommandError, args};

/// Which argument of a blocking command says how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// The first, in seconds.
    First,
    /// The last, in seconds.
    Last,
    /// What follows an option that precedes `until`, in milliseconds; without it nothing is waited for.
    Option { word: &'static str, until: &'static str },
}

/// A timeout that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutError {
    NotFloat,
    NotInteger,
    Negative,
    OutOfRange,
}

impl TimeoutError {
    pub(crate) fn text(self) -> Cow<'static, [u8]> {
        Cow::Borrowed(match self {
            Self::NotFloat => b"ERR timeout is not a float or out of range",
            Self::NotInteger => b"ERR timeout is not an integer or out of range",
            Self::Negative => b"ERR timeout is negative",
            Self::OutOfRange => b"ERR timeout is out of range",
        })
    }
}

impl Timeout {
    /// How long the command waits from now on, in milliseconds; 0 is for ever. `None`: it does not wait.
    pub fn of(self, args: &Args<'_>, now_ms: u64) -> Result<Option<u64>, CommandError> {
        match self {
            Self::First => timeout_ms(args.at(0)?, now_ms).map(Some),
            Self::Last => timeout_ms(args.at(args.len().saturating_sub(1))?, now_ms).map(Some),
            Self::Option { word, until } => {
                let options = args.all().iter().take_while(|arg| !args::is(arg, until));
                let Some(at) = options.clone().position(|arg| args::is(arg, word)) else { return Ok(None) };
                block_ms(args.at(at + 1)?, now_ms).map(Some)
            }
        }
    }
}

/// Reads a timeout in seconds, fractions allowed, as milliseconds; 0 is for ever.
pub fn timeout_ms(seconds: &[u8], now_ms: u64) -> Result<u64, CommandError> {
    let number = parse_seconds(seconds).ok_or(CommandError::Timeout(TimeoutError::NotFloat))?;
    let ms = (number * 1000.0).ceil();
    if ms < 0.0 {
        return Err(CommandError::Timeout(TimeoutError::Negative));
    }
    ending_in_range(ms as u64, now_ms)
}

/// Redis reads a long double, which holds more than a double: that is infinite here.
fn parse_seconds(text: &[u8]) -> Option<f64> {
    parse_f64(text).or_else(|| {
        LongDouble::parse(text)?;
        parse_f64_like_c(text).filter(|number| number.is_infinite())
    })
}

/// The moment at which the time is up must be one that can be told.
fn ending_in_range(ms: u64, now_ms: u64) -> Result<u64, CommandError> {
    if ms > (i64::MAX as u64).saturating_sub(now_ms) {
        return Err(CommandError::Timeout(TimeoutError::OutOfRange));
    }
    Ok(ms)
}

/// Reads a timeout in whole milliseconds; 0 is for ever.
pub fn block_ms(ms: &[u8], now_ms: u64) -> Result<u64, CommandError> {
    let ms = parse_i64(ms).ok_or(CommandError::Timeout(TimeoutError::NotInteger))?;
    let ms = u64::try_from(ms).map_err(|_| CommandError::Timeout(TimeoutError::Negative))?;
    ending_in_range(ms, now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    #[test]
    fn seconds_may_have_fractions() {
        let ms = |text: &str| timeout_ms(text.as_bytes(), NOW_MS).map_err(|error| error.to_string());
        assert_eq!(ms("0"), Ok(0));
        assert_eq!(ms("1.5"), Ok(1500));
        assert_eq!(ms("0.0001"), Ok(1));
        assert_eq!(ms("-1"), Err("ERR timeout is negative".into()));
        assert_eq!(ms("-0.0001"), Ok(0));
        for text in ["1e300", "1e400", "inf", "9223372036854775"] {
            assert_eq!(ms(text), Err("ERR timeout is out of range".into()), "{text}");
        }
        for text in ["-1e400", "-inf"] {
            assert_eq!(ms(text), Err("ERR timeout is negative".into()), "{text}");
        }
        assert_eq!(ms("0x10"), Ok(16_000));
        assert_eq!(ms("0x7FFFFFFFFFFFFF"), Err("ERR timeout is out of range".into()));
        for text in ["", "x", " 1", "nan", "1 ", "1e5000"] {
            assert_eq!(ms(text), Err("ERR timeout is not a float or out of range".into()), "{text:?}");
        }
    }

    #[test]
    fn the_time_must_be_up_at_a_moment_that_can_be_told() {
        let ms = |text: &str| block_ms(text.as_bytes(), NOW_MS).map_err(|error| error.to_string());
        assert_eq!(ms("5"), Ok(5));
        let last = i64::MAX as u64 - NOW_MS;
        assert_eq!(ms(&last.to_string()), Ok(last));
        for text in [&(last + 1).to_string(), "9223372036854775807"] {
            assert_eq!(ms(text), Err("ERR timeout is out of range".into()), "{text}");
        }
        assert_eq!(ms("9223372036854775808"), Err("ERR timeout is not an integer or out of range".into()));
        assert_eq!(ms("-1"), Err("ERR timeout is negative".into()));
    }

    #[test]
    fn the_row_says_where_the_timeout_is() {
        let wait = |timeout: Timeout, words: &str| {
            let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
            timeout.of(&Args::new(&args), NOW_MS).unwrap()
        };
        assert_eq!(wait(Timeout::Last, "a b 2"), Some(2000));
        assert_eq!(wait(Timeout::First, "2 1 a LEFT"), Some(2000));
        let block = Timeout::Option { word: "BLOCK", until: "STREAMS" };
        assert_eq!(wait(block, "count 1 block 5 streams a 0"), Some(5));
        assert_eq!(wait(block, "count 1 streams block 0"), None);
    }
}
