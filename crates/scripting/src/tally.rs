//! What a script has called, for whoever keeps figures of commands.

use commands::{Id, Spec};
use resp::Reply;

/// Codes of errors that are told apart.
const CODES_MAX: usize = 64;
/// Errors are counted by their first word, up to so long.
const CODE_BYTES_MAX: usize = 64;

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called {
    pub id: Id,
    pub calls: u64,
    /// Refused before they were executed; not among `calls`.
    pub rejected: u64,
    pub failed: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Tally {
    pub commands: Vec<Called>,
    /// Errors by their first word.
    pub errors: Vec<(Vec<u8>, u64)>,
}

impl Tally {
    pub(crate) fn rejected(&mut self, spec: &Spec, reply: &Reply) {
        self.of(spec).rejected += 1;
        self.error(reply);
    }

    pub(crate) fn executed(&mut self, spec: &Spec, reply: &Reply) {
        let called = self.of(spec);
        called.calls += 1;
        called.failed += u64::from(matches!(reply, Reply::Error(_)));
        self.error(reply);
    }

    /// Adds what another one has.
    pub fn add(&mut self, other: Self) {
        for Called { id, calls, rejected, failed } in other.commands {
            let called = self.of(id.spec());
            called.calls += calls;
            called.rejected += rejected;
            called.failed += failed;
        }
        other.errors.into_iter().for_each(|(code, count)| self.count(&code, count));
    }

    fn of(&mut self, spec: &Spec) -> &mut Called {
        // The last one is most often the next.
        let at = self.commands.iter().rposition(|called| called.id == spec.id).unwrap_or_else(|| {
            self.commands.push(Called { id: spec.id, calls: 0, rejected: 0, failed: 0 });
            self.commands.len() - 1
        });
        &mut self.commands[at]
    }

    fn error(&mut self, reply: &Reply) {
        if let Reply::Error(text) = reply {
            self.count(code(text), 1);
        }
    }

    /// What its client is told. An error that a command answered is counted there.
    pub fn told(&mut self, reply: &Reply) {
        if let Reply::Error(text) = reply
            && let Some((_, count)) = self.errors.iter_mut().find(|(known, _)| known == code(text))
        {
            *count -= 1;
        }
        self.errors.retain(|(_, count)| *count > 0);
    }

    fn count(&mut self, code: &[u8], count: u64) {
        let has_room = self.errors.len() < CODES_MAX;
        match self.errors.iter_mut().find(|(known, _)| known == code) {
            Some((_, counted)) => *counted += count,
            None if has_room => self.errors.push((code.to_vec(), count)),
            None => {}
        }
    }
}

/// The first word and the blank behind it.
fn code(text: &[u8]) -> &[u8] {
    let end = text.iter().take(CODE_BYTES_MAX).position(|&byte| byte == b' ');
    &text[..end.map_or(0, |end| end + 1)]
}
