//! The lines that MONITOR shows.

use std::fmt::Display;

use crate::redact;

/// `+<seconds>.<micros> [<db> <caller>] "name" "argument" …`; secrets are not shown. `caller` is the address
/// of a client, or `lua`.
pub fn line(time_ms: u64, db: u8, caller: &dyn Display, argv: &[&[u8]]) -> Vec<u8> {
    let seconds = time_ms / 1000;
    let micros = time_ms % 1000 * 1000;
    let mut out = format!("+{seconds}.{micros:06} [{db} {caller}]").into_bytes();
    for word in redact::shown(argv) {
        out.push(b' ');
        quote(word, &mut out);
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// As Redis quotes (`sdscatrepr`).
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    fn shown(argv: &[&[u8]]) -> String {
        String::from_utf8(line(1_700_000_000_123, 3, &"127.0.0.1:6000", argv)).unwrap()
    }

    #[test]
    fn lines_look_like_those_of_redis() {
        let line = shown(&[b"SET", b"k\n\"", b"\xff"]);
        assert_eq!(line, "+1700000000.123000 [3 127.0.0.1:6000] \"SET\" \"k\\n\\\"\" \"\\xff\"\r\n");
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!shown(&[b"AUTH", b"hush"]).contains("hush"));
    }
}
