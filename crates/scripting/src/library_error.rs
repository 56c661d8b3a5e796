//! Why a library was not loaded, or a command on libraries not done.

use std::borrow::Cow;

use datatypes::rdb::RdbError;
use resp::Reply;

use crate::error::{ScriptError, quoting};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(&self.text()))]
pub enum LibraryError {
    NoMetadata,
    InvalidMetadata,
    UnknownMetadata(Vec<u8>),
    NamedTwice,
    NoName,
    InvalidName,
    /// The engine asked for.
    NoEngine(Vec<u8>),
    /// A library of this name is loaded.
    Exists(Vec<u8>),
    /// Likewise, when several are restored.
    RestoredExists(Vec<u8>),
    /// Another library has a function of this name.
    FunctionExists(Vec<u8>),
    NoFunctions,
    /// The compiler's message.
    Compile(Vec<u8>),
    /// What the code of the library failed with.
    Register(Vec<u8>),
    NotFound,
    /// A payload of FUNCTION DUMP.
    Payload(RdbError),
    PreGa,
    /// The payload holds something else.
    NotFunction,
    Run(ScriptError),
}

impl From<LibraryError> for Reply {
    fn from(error: LibraryError) -> Self {
        Reply::Error(error.text().into_owned().into())
    }
}

impl From<ScriptError> for LibraryError {
    fn from(error: ScriptError) -> Self {
        Self::Run(error)
    }
}

impl From<mlua::Error> for LibraryError {
    fn from(error: mlua::Error) -> Self {
        Self::Run(error.into())
    }
}

impl LibraryError {
    /// The text of the error reply, without the leading `-` and without line breaks.
    pub fn text(&self) -> Cow<'static, [u8]> {
        let named = |before: &str, name: &[u8], after: &str| {
            quoting("ERR ", &[before.as_bytes(), name, after.as_bytes()].concat())
        };
        let text: &'static str = match self {
            Self::UnknownMetadata(word) => return named("Invalid metadata value given: ", word, ""),
            Self::NoEngine(name) => return named("Engine '", name, "' not found"),
            Self::Exists(name) => return named("Library '", name, "' already exists"),
            Self::RestoredExists(name) => return named("Library ", name, " already exists"),
            Self::FunctionExists(name) => return named("Function ", name, " already exists"),
            Self::Compile(message) => return named("Error compiling function: ", message, ""),
            Self::Register(message) => return named("Error registering functions: ", message, ""),
            Self::Run(error) => return error.text(),
            Self::NoMetadata => "ERR Missing library metadata",
            Self::InvalidMetadata => "ERR Invalid library metadata",
            Self::NamedTwice => "ERR Invalid metadata value, name argument was given multiple times",
            Self::NoName => "ERR Library name was not given",
            Self::InvalidName => {
                "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least \
                 one character long"
            }
            Self::NoFunctions => "ERR No functions registered",
            Self::NotFound => "ERR Library not found",
            Self::Payload(RdbError::Footer) => "ERR DUMP payload version or checksum are wrong",
            Self::Payload(_) => "ERR failed loading the given functions payload",
            Self::PreGa => "ERR Pre-GA function format not supported",
            Self::NotFunction => "ERR given type is not a function",
        };
        Cow::Borrowed(text.as_bytes())
    }
}
