//! Colours, where they are wanted: on a terminal, unless `NO_COLOR` says no (no-color.org).

use std::io::IsTerminal as _;

/// What a word means to the reader; how it looks follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Heading,
    Good,
    Doubtful,
    Bad,
    Faint,
}

/// Whether to colour at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    #[cfg(test)]
    pub const OFF: Self = Self(false);

    pub fn of_stdout() -> Self {
        Self(std::io::stdout().is_terminal() && wanted())
    }

    pub fn apply(self, tone: Tone, text: &str) -> String {
        match code(tone) {
            Some(code) if self.0 && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

fn wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !set("NO_COLOR") && !dumb
}

fn code(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Heading => Some("1"),
        Tone::Good => Some("32"),
        Tone::Doubtful => Some("33"),
        Tone::Bad => Some("31"),
        Tone::Faint => Some("2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_coloured_unless_wanted() {
        assert_eq!(Paint::OFF.apply(Tone::Bad, "dead"), "dead");
        assert_eq!(Paint(true).apply(Tone::Bad, "dead"), "\x1b[31mdead\x1b[0m");
        assert_eq!(Paint(true).apply(Tone::Plain, "fine"), "fine");
        assert_eq!(Paint(true).apply(Tone::Bad, ""), "");
    }
}
