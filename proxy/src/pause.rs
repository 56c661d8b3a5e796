//! CLIENT PAUSE: until when which commands are held back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use commands::{Id, Spec, flags::flag};

/// Which commands CLIENT PAUSE holds back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    Writes,
    All,
}

/// CLIENT PAUSE: until when, and what.
#[derive(Debug, Default)]
pub struct Pause {
    /// Milliseconds since the start; 0: no pause.
    until_ms: AtomicU64,
    /// 1: everything.
    all: AtomicU64,
}

impl Pause {
    /// A pause that is on does not become shorter, nor hold back less.
    pub fn begin(&self, now_ms: u64, until_ms: u64, what: Paused) {
        let before_ms = self.until_ms.load(Relaxed);
        let is_on = now_ms < before_ms;
        let holds_all = is_on && self.all.load(Relaxed) == 1;
        self.all.store(u64::from(holds_all || what == Paused::All), Relaxed);
        self.until_ms.store(if is_on { before_ms.max(until_ms) } else { until_ms }, Relaxed);
    }

    pub fn end(&self) {
        self.until_ms.store(0, Relaxed);
    }

    /// When the pause ends that holds back a command now; `None`: it may run.
    pub fn holds(&self, writes: impl FnOnce() -> bool, now_ms: impl FnOnce() -> u64) -> Option<u64> {
        let until_ms = self.until_ms.load(Relaxed);
        if until_ms == 0 || now_ms() >= until_ms {
            return None;
        }
        (self.holds_all() || writes()).then_some(until_ms)
    }

    /// The pause that is on, or was last, is not of writes alone.
    pub fn holds_all(&self) -> bool {
        self.all.load(Relaxed) == 1
    }
}

/// Whether CLIENT PAUSE WRITE holds the command back: it writes, or tells others something.
pub fn replicates(spec: &Spec, args: &[&[u8]]) -> bool {
    match spec.id {
        Id::Publish | Id::Spublish => true,
        // For EVALSHA and FCALL see `promises`.
        Id::Eval => !args.first().is_some_and(|script| promises_no_writes(script)),
        _ => spec.is_write() || spec.flags.has(flag::WRITE),
    }
}

/// The first line of the script says so: `#!lua flags=no-writes`.
pub fn promises_no_writes(script: &[u8]) -> bool {
    let line = script.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    words.next().is_some_and(|engine| engine.starts_with(b"#!"))
        && words
            .filter_map(|word| word.trim_ascii().strip_prefix(b"flags="))
            .any(|flags| flags.split(|&byte| byte == b',').any(|name| name == b"no-writes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_not_softened_by_another() {
        let pause = Pause::default();
        let holds = |writes: bool, now_ms: u64| pause.holds(|| writes, || now_ms);
        assert_eq!(holds(true, 0), None);
        pause.begin(0, 200, Paused::All);
        pause.begin(10, 30, Paused::Writes);
        assert_eq!((holds(false, 50), holds(false, 200)), (Some(200), None));
        pause.begin(300, 310, Paused::Writes);
        assert_eq!((holds(false, 305), holds(true, 305)), (None, Some(310)));
        pause.begin(305, 400, Paused::All);
        assert_eq!(holds(false, 399), Some(400));
        pause.end();
        assert_eq!(holds(true, 399), None);
    }

    #[test]
    fn a_pause_of_writes_lets_scripts_pass_that_promise_not_to_write() {
        let held = |argv: &[&[u8]]| replicates(commands::named(argv).unwrap(), &argv[1..]);
        for (script, expected) in [
            ("return 1", true),
            ("#!lua\nreturn 1", true),
            ("#!lua flags=no-writes\nreturn 1", false),
            ("#!lua name=x flags=allow-stale,no-writes \nreturn 1", false),
            ("#!lua\nflags=no-writes", true),
        ] {
            assert_eq!(held(&[b"eval", script.as_bytes(), b"0"]), expected, "{script}");
        }
        assert!(held(&[b"pfcount", b"k"]) && held(&[b"publish", b"c", b"m"]) && held(&[b"set", b"k", b"v"]));
        assert!(!held(&[b"get", b"k"]) && !held(&[b"info"]) && !held(&[b"multi"]));
    }
}
