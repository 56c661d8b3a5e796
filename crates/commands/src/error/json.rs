//! The texts of errors of JSON commands, which are RedisJSON's: some without a code.

use std::borrow::Cow;

use datatypes::json::{JsonError, PathError};

use super::one_line;

pub(super) fn text(error: &JsonError) -> Cow<'static, [u8]> {
    let text = match error {
        JsonError::Syntax(reason) => reason.clone(),
        JsonError::BadOperand(reason) => format!("ERR {reason}"),
        JsonError::Path(error) => path(error),
        JsonError::NoPath(path) => format!("ERR Path '{path}' does not exist"),
        JsonError::NoPathOr(path, wanted) => format!("ERR Path '{path}' does not exist or {wanted}"),
        JsonError::WrongType { expected, found } => {
            format!("WRONGTYPE wrong type of path value - expected {expected} but found {found}")
        }
        other => fixed(other).to_owned(),
    };
    one_line([text.as_bytes(), b"", b""])
}

fn fixed(error: &JsonError) -> &'static str {
    match error {
        JsonError::NotJson => "Existing key has wrong Redis type",
        JsonError::NoKey => "ERR could not perform this operation on a key that doesn't exist",
        JsonError::NotUtf8 => "Couldn't parse as UTF-8 string",
        JsonError::PathGone => "ERR Path does not exist",
        JsonError::NotInteger => "Couldn't parse as integer",
        JsonError::NotNumber => "bad input number",
        JsonError::NotFinite => "result is not a number",
        JsonError::NotAtRoot => "ERR new objects must be created at the root",
        JsonError::NotStatic => "Err wrong static path",
        JsonError::NoName => "Err path must end with object key to set",
        JsonError::IndexOutOfRange => "ERR array index out of range",
        JsonError::InsertOutOfBounds => "ERR index out of bounds",
        JsonError::Format => "ERR wrong format",
        JsonError::ReplyFormat => "ERR wrong reply format",
        JsonError::FormatNeedsResp3 => "ERR FORMAT argument is not supported on RESP2",
        JsonError::FormatNeedsPath => "Legacy paths are supported only with FORMAT STRINGS",
        JsonError::TooDeep => "ERR the document would nest too deep",
        JsonError::TooLarge => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        JsonError::TooMuchWork => "ERR the path covers too much of the document",
        _ => unreachable!("its text is not fixed"),
    }
}

fn path(error: &PathError) -> String {
    let PathError { path, at, expected } = error;
    let (before, behind) = path.split_at_checked(*at).unwrap_or((path, ""));
    let shown = match behind {
        "" => format!("{before} <<<<----"),
        _ => format!("{before} ---->>>> {behind}"),
    };
    format!("Error occurred on position {at}, \"{shown}\", expected one of the following: {expected}.")
}
