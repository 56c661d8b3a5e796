//! What a script sees of the server.

use commands::Spec;
use resp::{Protocol, Reply};

/// The server, as one run sees it.
pub trait Host {
    /// Executes a command and answers its reply. A command that is refused or fails answers
    /// [`Reply::Error`] and leaves no effects of its own; those of earlier commands stay.
    fn call(&mut self, argv: &[&[u8]], call: Call) -> Reply;

    /// Whether the caller may execute the command; `None` if there is no such command.
    fn may_call(&mut self, argv: &[&[u8]]) -> Option<bool>;

    fn log(&mut self, level: LogLevel, text: &[u8]);
}

/// What the user may do for whom a script runs.
pub trait Rights {
    /// The text of the error if the command is not allowed; `args` exclude its name.
    fn check(&self, spec: &Spec, args: &[&[u8]]) -> Result<(), Vec<u8>>;

    /// The script tried, and was told that text.
    fn refused(&self, spec: &Spec, args: &[&[u8]]) {
        let _ = (spec, args);
    }
}

/// Circumstances of one command of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What the script has chosen by `redis.setresp`; not what its client speaks.
    pub protocol: Protocol,
    /// Commands that write are refused.
    pub read_only: bool,
    /// Keys of several slots may be touched.
    pub cross_slot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    Verbose,
    Notice,
    Warning,
}

impl LogLevel {
    pub(crate) fn of(number: f64) -> Option<Self> {
        match number as i64 {
            0 => Some(Self::Debug),
            1 => Some(Self::Verbose),
            2 => Some(Self::Notice),
            3 => Some(Self::Warning),
            _ => None,
        }
    }
}
