//! Messages of Luau in the words of Lua 5.1, which clients look for.
//!
//! What Luau does not tell stays away: which variable it was.

/// The words that Lua 5.1 has for `message`, which may begin with a place (`source:line: `).
pub fn translate(message: &str) -> Option<String> {
    let at = place_end(message);
    let (place, text) = message.split_at(at);
    let words = readonly(text)
        .or_else(|| index(text))
        .or_else(|| arithmetic(text))
        .or_else(|| concatenation(text))
        .or_else(|| comparison(text))
        .or_else(|| argument(text))?;
    Some(format!("{place}{words}"))
}

/// What an error of the machine says, without what mlua puts around it.
pub fn message(error: &mlua::Error) -> String {
    match error {
        mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => {
            let first = text.split("\nstack traceback:").next().unwrap_or(text);
            translate(first).unwrap_or_else(|| first.to_owned())
        }
        mlua::Error::MemoryError(_) => "not enough memory".to_owned(),
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => message(cause),
        other => other.to_string(),
    }
}

/// Where the text begins behind `source:line: `.
fn place_end(message: &str) -> usize {
    let Some((source, rest)) = message.split_once(':') else { return 0 };
    let Some((line, _)) = rest.split_once(": ") else { return 0 };
    let is_line = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    if is_line { source.len() + 1 + line.len() + 2 } else { 0 }
}

fn readonly(text: &str) -> Option<String> {
    (text == "attempt to modify a readonly table").then(|| "Attempt to modify a readonly table".to_owned())
}

fn index(text: &str) -> Option<String> {
    let (kind, _) = text.strip_prefix("attempt to index ")?.split_once(" with ")?;
    is_type(kind).then(|| format!("attempt to index a {kind} value"))
}

fn arithmetic(text: &str) -> Option<String> {
    let (_, operands) = text.strip_prefix("attempt to perform arithmetic (")?.split_once(") on ")?;
    let (left, right) = operands.split_once(" and ").unwrap_or((operands, operands));
    let kind = if is_operand(left) { right } else { left };
    Some(format!("attempt to perform arithmetic on a {kind} value"))
}

fn concatenation(text: &str) -> Option<String> {
    let (left, right) = text.strip_prefix("attempt to concatenate ")?.split_once(" with ")?;
    let kind = if is_operand(left) { right } else { left };
    Some(format!("attempt to concatenate a {kind} value"))
}

fn comparison(text: &str) -> Option<String> {
    let operands = text.strip_prefix("attempt to compare ")?;
    let (left, right) = [" <= ", " < ", " == "].iter().find_map(|sign| operands.split_once(sign))?;
    if left == right {
        return Some(format!("attempt to compare two {left} values"));
    }
    Some(format!("attempt to compare {left} with {right}"))
}

fn argument(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("invalid argument #") {
        return Some(format!("bad argument #{rest}"));
    }
    let (head, expected) = text.strip_prefix("missing argument #")?.split_once(" (")?;
    let expected = expected.strip_suffix(" expected)")?;
    Some(format!("bad argument #{head} ({expected} expected, got no value)"))
}

/// What arithmetic and concatenation may take.
fn is_operand(kind: &str) -> bool {
    matches!(kind, "number" | "string")
}

fn is_type(kind: &str) -> bool {
    matches!(kind, "nil" | "boolean" | "number" | "string" | "function" | "userdata" | "thread")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_lua() {
        for (luau, lua) in [
            (
                "user_script:1: attempt to modify a readonly table",
                "user_script:1: Attempt to modify a readonly table",
            ),
            ("f:12: attempt to index nil with 'x'", "f:12: attempt to index a nil value"),
            ("attempt to index number with 1", "attempt to index a number value"),
            (
                "attempt to perform arithmetic (add) on nil and number",
                "attempt to perform arithmetic on a nil value",
            ),
            (
                "attempt to perform arithmetic (add) on number and table",
                "attempt to perform arithmetic on a table value",
            ),
            ("attempt to perform arithmetic (unm) on nil", "attempt to perform arithmetic on a nil value"),
            ("attempt to concatenate string with nil", "attempt to concatenate a nil value"),
            ("attempt to compare number < nil", "attempt to compare number with nil"),
            ("attempt to compare nil <= nil", "attempt to compare two nil values"),
            (
                "invalid argument #1 to 'rep' (string expected, got nil)",
                "bad argument #1 to 'rep' (string expected, got nil)",
            ),
            (
                "missing argument #2 to 'rep' (number expected)",
                "bad argument #2 to 'rep' (number expected, got no value)",
            ),
        ] {
            assert_eq!(translate(luau).as_deref(), Some(lua));
        }
        for text in ["", ":", "a:1", "my own error", "attempt to call a nil value"] {
            assert_eq!(translate(text), None);
        }
    }
}
