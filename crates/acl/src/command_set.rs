//! Which commands: bits over the command table, and the rules that made them.
//!
//! The rules are kept because a set is told, and stored, by them: a command that a later build has
//! falls into its category then.

use commands::{Id, Spec, flags::Categories, introspect, table};

use crate::RuleError;

const WORDS: usize = Id::COUNT.div_ceil(64);

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSet {
    bits: [u64; WORDS],
    /// Nothing was taken away since `+@all`.
    all: bool,
    /// Begins with everything, and so holds commands that will be.
    future: bool,
    /// Commands that are allowed with this first argument (lower case).
    first_args: Vec<(Id, Vec<u8>)>,
    /// Since the last `+@all` or `-@all`, in lower case: `+get`, `-@slow`, `+select|0`.
    rules: Vec<Vec<u8>>,
}

impl CommandSet {
    pub fn nothing() -> Self {
        Self { bits: [0; WORDS], all: false, future: false, first_args: Vec::new(), rules: Vec::new() }
    }

    pub fn everything() -> Self {
        Self { bits: [u64::MAX; WORDS], all: true, future: true, ..Self::nothing() }
    }

    /// Every command there is.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// `args` exclude the command's name.
    pub fn allows(&self, spec: &Spec, args: &[&[u8]]) -> bool {
        self.all || self.has(spec.id) || self.allows_first_arg(spec, args)
    }

    fn allows_first_arg(&self, spec: &Spec, args: &[&[u8]]) -> bool {
        let Some(first) = args.get(usize::from(spec.full_name.contains('|'))) else { return false };
        self.first_args.iter().any(|(id, allowed)| *id == spec.id && allowed.eq_ignore_ascii_case(first))
    }

    fn has(&self, id: Id) -> bool {
        let at = id as usize;
        self.bits[at / 64] & 1 << (at % 64) != 0
    }

    /// A rule that begins with + or -; `+@all` and its like included.
    pub fn apply(&mut self, allow: bool, what: &[u8]) -> Result<(), RuleError> {
        let what = what.to_ascii_lowercase();
        match what.strip_prefix(b"@") {
            Some(b"all") => *self = if allow { Self::everything() } else { Self::nothing() },
            Some(category) => {
                let category = Categories::parse(category).ok_or(RuleError::Unknown)?;
                self.keep_rule(allow, &what);
                let in_category = |spec: &&Spec| !spec.internal && spec.categories().intersects(category);
                table::all().filter(in_category).for_each(|spec| self.change(spec, allow));
            }
            None => self.apply_command(allow, &what)?,
        }
        Ok(())
    }

    fn apply_command(&mut self, allow: bool, name: &[u8]) -> Result<(), RuleError> {
        if let (true, Some(at)) = (allow, name.iter().rposition(|&byte| byte == b'|')) {
            let (command, sub) = (&name[..at], &name[at + 1..]);
            let command = introspect::by_full_name(command).ok_or(RuleError::Unknown)?;
            if command.full_name.contains('|') {
                return Err(RuleError::FirstArgOfSubcommand);
            }
            if sub.is_empty() || crate::has_spaces(sub) {
                return Err(RuleError::Syntax);
            }
            if command.subcommands.is_empty() {
                let entry = (command.id, sub.to_vec());
                if !self.first_args.contains(&entry) {
                    self.first_args.push(entry);
                }
                self.keep_rule(allow, name);
                return Ok(());
            }
        }
        let command = introspect::by_full_name(name).ok_or(RuleError::Unknown)?;
        self.change(command, allow);
        self.keep_rule(allow, command.full_name.as_bytes());
        Ok(())
    }

    /// Containers stand for all that is in them.
    fn change(&mut self, spec: &Spec, allow: bool) {
        self.first_args.retain(|(id, _)| *id != spec.id);
        for id in std::iter::once(spec.id).chain(spec.subcommands.iter().map(|sub| sub.id)) {
            let (word, bit) = (id as usize / 64, 1 << (id as usize % 64));
            if allow {
                self.bits[word] |= bit;
            } else {
                self.bits[word] &= !bit;
            }
        }
        self.all = self.future && self.bits.iter().all(|&word| word == u64::MAX);
    }

    /// Remembers a rule. It takes the place of those about the same command or what is in it.
    fn keep_rule(&mut self, allow: bool, what: &[u8]) {
        let about = |rule: &[u8]| {
            rule[1..].strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"|"))
        };
        self.rules.retain(|rule| !about(rule));
        self.rules.push([if allow { b"+" } else { b"-" }, what].concat());
    }

    /// A rule about a command that this build does not have: told as it is, and without effect.
    pub(crate) fn keep_unknown(&mut self, rule: &[u8]) {
        self.keep_rule(rule[0] == b'+', &rule[1..].to_ascii_lowercase());
    }

    /// The rules that make this set, from nothing.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        let base: &[u8] = if self.future { b"+@all" } else { b"-@all" };
        std::iter::once(base).chain(self.rules.iter().map(Vec::as_slice))
    }
}
