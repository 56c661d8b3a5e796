//! Where the keys are among a command's arguments.

/// Bits of [`KeySpec::flags`]; combined with `|` in the rows.
pub mod key_flag {
    pub const RO: u16 = 1 << 0;
    pub const RW: u16 = 1 << 1;
    pub const OW: u16 = 1 << 2;
    pub const RM: u16 = 1 << 3;
    pub const ACCESS: u16 = 1 << 4;
    pub const UPDATE: u16 = 1 << 5;
    pub const INSERT: u16 = 1 << 6;
    pub const DELETE: u16 = 1 << 7;
    pub const VARIABLE_FLAGS: u16 = 1 << 10;
}

/// Names of the bits in the order COMMAND INFO lists them.
const NAMES: [(u16, &str); 9] = [
    (key_flag::RO, "RO"),
    (key_flag::RW, "RW"),
    (key_flag::OW, "OW"),
    (key_flag::RM, "RM"),
    (key_flag::ACCESS, "access"),
    (key_flag::UPDATE, "update"),
    (key_flag::INSERT, "insert"),
    (key_flag::DELETE, "delete"),
    (key_flag::VARIABLE_FLAGS, "variable_flags"),
];

/// A regular series of keys. Positions count the command's name as 0, as Redis does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    /// Position of the first key.
    pub first: u8,
    /// Position of the last key relative to the first, or relative to the end if negative: -1 is
    /// the last argument.
    pub last: i8,
    /// Distance between keys.
    pub step: u8,
    /// Bits of [`key_flag`].
    pub flags: u16,
    /// Shown by COMMAND INFO.
    pub notes: Option<&'static str>,
}

/// One key.
pub const fn key(first: u8, flags: u16) -> KeySpec {
    keys(first, 0, 1, flags)
}

/// A series of keys.
pub const fn keys(first: u8, last: i8, step: u8, flags: u16) -> KeySpec {
    KeySpec { first, last, step, flags, notes: None }
}

impl KeySpec {
    pub const fn notes(mut self, notes: &'static str) -> Self {
        self.notes = Some(notes);
        self
    }

    /// Indices of the keys among `argc` arguments (the command's name not counted).
    pub fn indices(&self, argc: usize) -> impl Iterator<Item = usize> + use<> {
        let first = usize::from(self.first) - 1;
        let end = match usize::try_from(self.last) {
            Ok(last) => first + last + 1,
            Err(_) => (argc + 1).saturating_sub(usize::from(self.last.unsigned_abs())),
        };
        (first..end.min(argc)).step_by(usize::from(self.step))
    }

    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let flags = self.flags;
        NAMES.into_iter().filter(move |&(bit, _)| flags & bit != 0).map(|(_, name)| name)
    }
}

/// First key, last key (absolute or negative) and step as COMMAND INFO's fields 4 to 6 tell them:
/// the longest regular series that the specs form from the first one on.
pub fn legacy_range(specs: &[KeySpec]) -> (i64, i64, i64) {
    let Some(head) = specs.first() else { return (0, 0, 0) };
    let first = i64::from(head.first);
    let absolute =
        |spec: &KeySpec| i64::from(spec.last) + if spec.last >= 0 { i64::from(spec.first) } else { 0 };
    let mut last = absolute(head);
    for spec in &specs[1..] {
        if last >= 0 && i64::from(spec.first) == last + 1 && spec.step == 1 {
            last = absolute(spec);
        }
    }
    (first, last, i64::from(head.step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(spec: KeySpec, argc: usize) -> Vec<usize> {
        spec.indices(argc).collect()
    }

    #[test]
    fn positions_follow_the_spec() {
        assert_eq!(at(key(1, 0), 3), [0]);
        assert_eq!(at(key(2, 0), 3), [1]);
        assert_eq!(at(key(2, 0), 1), []);
        assert_eq!(at(keys(1, -1, 1, 0), 3), [0, 1, 2]);
        assert_eq!(at(keys(1, -1, 2, 0), 4), [0, 2]);
        assert_eq!(at(keys(1, 1, 1, 0), 4), [0, 1]);
        assert_eq!(at(keys(1, -1, 1, 0), 0), []);
    }

    #[test]
    fn adjacent_specs_merge_into_one_range() {
        assert_eq!(legacy_range(&[key(1, 0), key(2, 0)]), (1, 2, 1));
        assert_eq!(legacy_range(&[keys(1, -1, 2, 0)]), (1, -1, 2));
        assert_eq!(legacy_range(&[keys(1, 1, 1, 0)]), (1, 2, 1));
        assert_eq!(legacy_range(&[]), (0, 0, 0));
    }
}
