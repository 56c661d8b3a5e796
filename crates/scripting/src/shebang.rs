//! The first line of a script or library: `#!lua name=… flags=…`.

use crate::error::ScriptError;
use crate::flags::ScriptFlags;
use crate::library_error::LibraryError;

/// A script's first line: what it declares, and where its code begins.
///
/// The line end stays with the code, so that lines are counted right. Without a first line of this kind
/// there are no flags, and Redis's rules of old apply.
pub fn of_script(body: &[u8]) -> Result<(Option<ScriptFlags>, &[u8]), ScriptError> {
    if !body.starts_with(b"#!") {
        return Ok((None, body));
    }
    let end = line_end(body).ok_or(ScriptError::InvalidShebang)?;
    let (line, code) = body.split_at(end);
    let words = words(line).ok_or(ScriptError::InvalidEngine)?;
    let (engine, options) = words.split_first().ok_or(ScriptError::InvalidEngine)?;
    if engine != b"#!lua" {
        return Err(ScriptError::UnexpectedEngine(engine.clone()));
    }
    let mut flags = ScriptFlags::default();
    for option in options {
        let Some(names) = option.strip_prefix(b"flags=") else {
            return Err(ScriptError::UnknownOption(option.clone()));
        };
        if names.is_empty() {
            continue;
        }
        for name in names.split(|&byte| byte == b',') {
            let flag = ScriptFlags::named(name);
            flags = flags.with(flag.ok_or_else(|| ScriptError::UnexpectedFlag(name.to_vec()))?);
        }
    }
    Ok((Some(flags), code))
}

/// A library's first line: its name, and where its code begins.
pub fn of_library(body: &[u8]) -> Result<(Vec<u8>, &[u8]), LibraryError> {
    if !body.starts_with(b"#!") {
        return Err(LibraryError::NoMetadata);
    }
    let end = line_end(body).ok_or(LibraryError::InvalidMetadata)?;
    let (line, code) = body.split_at(end);
    let words = words(line).ok_or(LibraryError::InvalidMetadata)?;
    let (engine, options) = words.split_first().ok_or(LibraryError::InvalidMetadata)?;
    let mut name = None;
    for option in options {
        match option.get(..5).filter(|key| key.eq_ignore_ascii_case(b"name=")) {
            None => return Err(LibraryError::UnknownMetadata(option.clone())),
            Some(_) if name.is_some() => return Err(LibraryError::NamedTwice),
            Some(_) => name = Some(option[5..].to_vec()),
        }
    }
    let name = name.ok_or(LibraryError::NoName)?;
    if !is_name(&name) {
        return Err(LibraryError::InvalidName);
    }
    // The name of the engine is not cased.
    if !engine[2..].eq_ignore_ascii_case(b"lua") {
        return Err(LibraryError::NoEngine(engine[2..].to_vec()));
    }
    Ok((name, code))
}

/// Whether a library or function may be called so.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// C's strings end at a zero byte; there is no line end behind it.
fn line_end(body: &[u8]) -> Option<usize> {
    body.iter().position(|&byte| byte == b'\n' || byte == 0).filter(|&at| body[at] == b'\n')
}

/// The words of a line, quoted as in redis-cli.
fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut text, mut ends) = (Vec::new(), Vec::new());
    resp::inline::split(line, &mut text, &mut ends).ok()?;
    let mut start = 0;
    let ends = ends.into_iter().map(|end| end as usize);
    Some(ends.map(|end| text[std::mem::replace(&mut start, end)..end].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_declare_flags() {
        let (flags, code) = of_script(b"#!lua flags=no-writes,allow-oom\nreturn 1").unwrap();
        assert_eq!(flags.unwrap().names().collect::<Vec<_>>(), ["no-writes", "allow-oom"]);
        assert_eq!(code, b"\nreturn 1");
        assert_eq!(of_script(b"#!lua\nx").unwrap().0, Some(ScriptFlags::default()));
        assert_eq!(of_script(b"return 1").unwrap(), (None, &b"return 1"[..]));
        let text = |body: &[u8]| of_script(body).unwrap_err().to_string();
        assert_eq!(text(b"#!lua"), "ERR Invalid script shebang");
        assert_eq!(text(b"#!js\n"), "ERR Unexpected engine in script shebang: #!js");
        assert_eq!(text(b"#!lua flags=a\n"), "ERR Unexpected flag in script shebang: a");
        assert_eq!(text(b"#!lua x=1\n"), "ERR Unknown lua shebang option: x=1");
        assert_eq!(text(b"#!lua \"\n"), "ERR Invalid engine in script shebang");
    }

    #[test]
    fn libraries_have_a_name() {
        assert_eq!(of_library(b"#!LUA NAME=ab_1\ncode").unwrap(), (b"ab_1".to_vec(), &b"\ncode"[..]));
        let text = |body: &[u8]| of_library(body).unwrap_err().to_string();
        assert_eq!(text(b"code"), "ERR Missing library metadata");
        assert_eq!(text(b"#!lua name=a"), "ERR Invalid library metadata");
        assert_eq!(text(b"#!lua\n"), "ERR Library name was not given");
        assert_eq!(text(b"#!lua foo=bar\n"), "ERR Invalid metadata value given: foo=bar");
        assert_eq!(text(b"#! name=a\n"), "ERR Engine '' not found");
        assert_eq!(
            text(b"#!lua name=a name=b\n"),
            "ERR Invalid metadata value, name argument was given multiple times"
        );
    }
}
