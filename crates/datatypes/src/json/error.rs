//! Why a command on documents is refused. What clients are told is decided in `commands`.

/// Why a command on documents is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonError {
    /// What is under the key is no document.
    NotJson,
    /// There is nothing under the key.
    NoKey,
    NotUtf8,
    /// Not JSON: what serde_json says.
    Syntax(String),
    /// Likewise, of an argument that a command needs only when it found something to change.
    BadOperand(String),
    Path(PathError),
    /// The path, which leads nowhere.
    NoPath(String),
    /// The path, which leads nowhere or to something of another type, and what that would be.
    NoPathOr(String, &'static str),
    /// What was found is there no more.
    PathGone,
    WrongType {
        expected: &'static str,
        found: String,
    },
    NotInteger,
    /// The operand of an arithmetic command is JSON, but no number.
    NotNumber,
    /// The result of an arithmetic command is not finite.
    NotFinite,
    /// There is no document yet, and the path is not the root.
    NotAtRoot,
    /// A path that could match several places cannot add one.
    NotStatic,
    /// A path without a last name cannot add one.
    NoName,
    IndexOutOfRange,
    InsertOutOfBounds,
    Format,
    ReplyFormat,
    FormatNeedsResp3,
    FormatNeedsPath,
    TooDeep,
    TooLarge,
    /// The path would visit, or find, more of the document than a command may.
    TooMuchWork,
}

/// A path that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError {
    pub path: String,
    /// Where, in bytes.
    pub at: usize,
    /// What could have stood there.
    pub expected: &'static str,
}
