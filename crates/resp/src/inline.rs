//! Splitting of inline commands: the quoting rules of Redis's `sdssplitargs`.

/// The quotes of a line do not balance, or a closing quote is not followed by a blank.
#[derive(Debug, PartialEq, Eq)]
pub struct Unbalanced;

/// C's `isspace`.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Splits `line`, unescaping into `text`; `ends` receives the end of each argument inside `text`.
pub fn split(line: &[u8], text: &mut Vec<u8>, ends: &mut Vec<u32>) -> Result<(), Unbalanced> {
    let mut rest = line;
    loop {
        let blanks = rest.iter().take_while(|&&b| is_blank(b)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            return Ok(());
        }
        rest = take_token(rest, text)?;
        ends.push(text.len() as u32);
    }
}

/// Unescapes the token at the front of `input` and returns what follows it.
fn take_token<'a>(mut input: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match input {
            [] | [b' ' | b'\n' | b'\r' | b'\t' | 0, ..] => return Ok(input.get(1..).unwrap_or_default()),
            [b'"', rest @ ..] => return take_double_quoted(rest, text),
            [b'\'', rest @ ..] => return take_single_quoted(rest, text),
            [byte, rest @ ..] => {
                text.push(*byte);
                input = rest;
            }
        }
    }
}

fn take_double_quoted<'a>(mut input: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        input = match input {
            [] => return Err(Unbalanced),
            [b'"', rest @ ..] => return after_quote(rest),
            [b'\\', b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                text.push(hex(*high) << 4 | hex(*low));
                rest
            }
            [b'\\', byte, rest @ ..] => {
                text.push(unescape(*byte));
                rest
            }
            [byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
        }
    }
}

fn take_single_quoted<'a>(mut input: &'a [u8], text: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        input = match input {
            [] => return Err(Unbalanced),
            [b'\'', rest @ ..] => return after_quote(rest),
            [b'\\', b'\'', rest @ ..] => {
                text.push(b'\'');
                rest
            }
            [byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
        }
    }
}

fn after_quote(rest: &[u8]) -> Result<&[u8], Unbalanced> {
    match rest.first() {
        Some(&byte) if !is_blank(byte) => Err(Unbalanced),
        _ => Ok(rest),
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Result<Vec<Vec<u8>>, Unbalanced> {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        split(line.as_bytes(), &mut text, &mut ends)?;
        let mut start = 0;
        Ok(ends
            .into_iter()
            .map(|end| text[std::mem::replace(&mut start, end as usize)..end as usize].to_vec())
            .collect())
    }

    #[test]
    fn quoting_follows_redis() {
        for (line, expected) in [
            ("set key value", vec!["set", "key", "value"]),
            ("  set  \t key  ", vec!["set", "key"]),
            ("", vec![]),
            (r#"set "a b" 'c d'"#, vec!["set", "a b", "c d"]),
            (r#""\x41\n\"" 'it\'s \n'"#, vec!["A\n\"", "it's \\n"]),
            (r#""\xzz""#, vec!["xzz"]),
            (r#"a"b c" """#, vec!["ab c", ""]),
        ] {
            let expected: Vec<Vec<u8>> = expected.into_iter().map(|s| s.as_bytes().to_vec()).collect();
            assert_eq!(args(line), Ok(expected), "{line}");
        }
        for line in [r#""a"#, "'a", r#""a"b"#, "'a'b", r#""a\"#] {
            assert_eq!(args(line), Err(Unbalanced), "{line}");
        }
    }
}
