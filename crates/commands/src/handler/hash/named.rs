//! What commands on fields that expire have in common: the fields named behind FIELDS, and moments.

use crate::args::is;
use crate::error::FieldError;
use crate::{Args, CommandError, Cx};

/// Latest expiry of a field.
pub const EXPIRY_MS_MAX: i64 = (1 << 46) - 1;

/// The fields of `FIELDS numfields field [field …]`, which stands at `at` and is the last.
pub fn fields<'a>(args: &Args<'a>, at: usize, no_count: FieldError) -> Result<&'a [&'a [u8]], CommandError> {
    if !is(args.at(at)?, "FIELDS") {
        return Err(FieldError::NoFields.into());
    }
    let count = args.int(at + 1).ok().filter(|&count| count > 0).ok_or(no_count)?;
    let fields = args.from(at + 2);
    if usize::try_from(count) == Ok(fields.len()) { Ok(fields) } else { Err(FieldError::Count.into()) }
}

/// How an amount of time is meant.
#[derive(Debug, Clone, Copy)]
pub struct Unit {
    /// Milliseconds.
    scale: i64,
    /// From now on, not since 1970.
    relative: bool,
}

impl Unit {
    pub const SECONDS: Self = Self { scale: 1000, relative: true };
    pub const MILLISECONDS: Self = Self { scale: 1, relative: true };
    pub const UNIX_SECONDS: Self = Self { scale: 1000, relative: false };
    pub const UNIX_MILLISECONDS: Self = Self { scale: 1, relative: false };

    /// The unit that an option names.
    pub fn parse(word: &[u8]) -> Option<Self> {
        let known = [
            ("EX", Self::SECONDS),
            ("PX", Self::MILLISECONDS),
            ("EXAT", Self::UNIX_SECONDS),
            ("PXAT", Self::UNIX_MILLISECONDS),
        ];
        known.into_iter().find(|(name, _)| is(word, name)).map(|(_, unit)| unit)
    }

    /// The moment that `amount` names; `name` is the command's.
    pub fn moment(self, amount: &[u8], cx: &Cx, name: &'static str) -> Result<u64, CommandError> {
        let amount = crate::args::int(amount)?;
        if amount < 0 {
            return Err(FieldError::NegativeExpire.into());
        }
        let base = if self.relative { cx.now_ms.cast_signed() } else { 0 };
        let when = amount.checked_mul(self.scale).and_then(|ms| ms.checked_add(base));
        let when = when.filter(|when| *when <= EXPIRY_MS_MAX).ok_or(CommandError::InvalidExpire(name))?;
        Ok(when.cast_unsigned())
    }

    /// What is left until a moment, or the moment itself, in this unit; begun seconds are told whole.
    pub fn tell(self, when_ms: u64, cx: &Cx) -> i64 {
        let base = if self.relative { cx.now_ms } else { 0 };
        let left = when_ms.saturating_sub(base).cast_signed();
        left.saturating_add(self.scale - 1) / self.scale
    }
}
