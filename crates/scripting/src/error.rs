//! Why a script was not run, or not to its end.

use std::borrow::Cow;

use resp::Reply;

/// What leaves no effects. (A script that fails by itself answers an error reply instead, and what it
/// had done before stays, as in Redis.)
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(&self.text()))]
pub enum ScriptError {
    /// No script of this digest is known.
    NoScript,
    NoFunction,
    InvalidShebang,
    InvalidEngine,
    /// The first word of the script.
    UnexpectedEngine(Vec<u8>),
    UnexpectedFlag(Vec<u8>),
    UnknownOption(Vec<u8>),
    /// The compiler's message.
    Compile(Vec<u8>),
    NegativeKeys,
    TooManyKeys,
    /// FCALL's number of keys is none.
    BadKeys,
    /// EVAL's is none.
    NotInteger,
    /// Declared `no-cluster`.
    NoCluster,
    /// May write, but was called by a command that does not.
    MayWrite,
    Stopped(Stopped),
    /// The machine itself failed.
    Machine(String),
}

/// A run was ended from outside; the caller must discard what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    pub why: StopReason,
    /// Digest of the script, or name of the function.
    pub name: String,
    /// `source:line`, if it is known.
    pub place: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// [`crate::Watch::keep_going`] said no.
    Killed,
    /// More steps than [`crate::Limits::steps_max`], or more time than its caller has.
    Limit,
}

impl StopReason {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Killed => "Script killed by user with SCRIPT KILL...",
            Self::Limit => "Script stopped: it ran for too long",
        }
    }
}

impl From<ScriptError> for Reply {
    fn from(error: ScriptError) -> Self {
        Reply::Error(error.text().into_owned().into())
    }
}

impl From<mlua::Error> for ScriptError {
    fn from(error: mlua::Error) -> Self {
        Self::Machine(crate::dialect::message(&error))
    }
}

impl ScriptError {
    /// The text of the error reply, without the leading `-` and without line breaks.
    pub fn text(&self) -> Cow<'static, [u8]> {
        let text: &'static str = match self {
            Self::UnexpectedEngine(word) => {
                return quoting("ERR Unexpected engine in script shebang: ", word);
            }
            Self::UnexpectedFlag(flag) => return quoting("ERR Unexpected flag in script shebang: ", flag),
            Self::UnknownOption(word) => return quoting("ERR Unknown lua shebang option: ", word),
            Self::Compile(message) => {
                return quoting("ERR Error compiling script (new function): ", message);
            }
            Self::Stopped(stopped) => return quoting("ERR ", stopped.text().as_bytes()),
            Self::Machine(message) => return quoting("ERR ", message.as_bytes()),
            Self::NoScript => "NOSCRIPT No matching script. Please use EVAL.",
            Self::NoFunction => "ERR Function not found",
            Self::InvalidShebang => "ERR Invalid script shebang",
            Self::InvalidEngine => "ERR Invalid engine in script shebang",
            Self::NegativeKeys => "ERR Number of keys can't be negative",
            Self::TooManyKeys => "ERR Number of keys can't be greater than number of args",
            Self::BadKeys => "ERR Bad number of keys provided",
            Self::NotInteger => "ERR value is not an integer or out of range",
            Self::NoCluster => "ERR Can not run script on cluster, 'no-cluster' flag is set.",
            Self::MayWrite => "ERR Can not execute a script with write flag using *_ro command.",
        };
        Cow::Borrowed(text.as_bytes())
    }
}

impl Stopped {
    fn text(&self) -> String {
        match &self.place {
            Some(place) => format!("{} script: {}, on {place}.", self.why.text(), self.name),
            None => format!("{} script: {}", self.why.text(), self.name),
        }
    }
}

/// One line of both.
pub(crate) fn quoting(text: &str, quoted: &[u8]) -> Cow<'static, [u8]> {
    let mut line = [text.as_bytes(), quoted].concat();
    flatten(&mut line);
    Cow::Owned(line)
}

/// Line ends become blanks.
pub(crate) fn flatten(line: &mut [u8]) {
    for byte in line {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
}
