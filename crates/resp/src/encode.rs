//! Replies as bytes.

use crate::{Aggregate, Bulks, Protocol, Reply, number::put_double};

/// Appends `reply` as a client of `protocol` expects it.
pub fn encode(reply: &Reply, protocol: Protocol, out: &mut Vec<u8>) {
    let resp3 = protocol == Protocol::Resp3;
    match reply {
        Reply::Simple(text) => put_line(out, b'+', text.as_bytes()),
        Reply::Status(text) => put_line(out, b'+', text),
        Reply::Error(text) => put_line(out, b'-', text),
        Reply::Int(value) => put_int(out, *value),
        Reply::Bulk(bytes) => put_bulk(out, bytes),
        Reply::Null => put_null(out, protocol),
        Reply::NullArray => out.extend_from_slice(if resp3 { b"_\r\n" } else { b"*-1\r\n" }),
        Reply::Array(items) => put_items(out, b'*', items, protocol),
        Reply::Set(items) => put_items(out, if resp3 { b'~' } else { b'*' }, items, protocol),
        Reply::Push(items) => put_items(out, if resp3 { b'>' } else { b'*' }, items, protocol),
        Reply::Map(pairs) => put_map(out, pairs, protocol),
        Reply::Bulks(aggregate, bulks) => put_bulks(out, *aggregate, bulks, protocol),
        Reply::Double(value) if resp3 => put_line(out, b',', &double(*value)),
        Reply::Double(value) => put_double_bulk(out, *value),
        Reply::Bool(value) if resp3 => out.extend_from_slice(if *value { b"#t\r\n" } else { b"#f\r\n" }),
        Reply::Bool(value) => put_int(out, i64::from(*value)),
        Reply::BigNumber(digits) if resp3 => put_line(out, b'(', digits),
        Reply::BigNumber(digits) => put_bulk(out, digits),
        Reply::Verbatim(format, text) if resp3 => put_verbatim(out, *format, text),
        Reply::Verbatim(_, text) => put_bulk(out, text),
        Reply::Raw(bytes) => out.extend_from_slice(bytes),
    }
}

/// Appends `kind`, a count or length, and the line end.
pub fn put_head(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
pub fn put_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    put_head(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends a double as RESP2 has it.
pub(crate) fn put_double_bulk(out: &mut Vec<u8>, value: f64) {
    put_bulk(out, &double(value));
}

/// Appends an integer.
pub fn put_int(out: &mut Vec<u8>, value: i64) {
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a null.
pub fn put_null(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"$-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// A line cannot hold line ends: they become blanks, as in Redis.
fn put_line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    let start = out.len();
    out.extend_from_slice(text);
    for byte in &mut out[start..] {
        if matches!(*byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn put_items(out: &mut Vec<u8>, kind: u8, items: &[Reply], protocol: Protocol) {
    put_head(out, kind, items.len());
    for item in items {
        encode(item, protocol, out);
    }
}

fn put_map(out: &mut Vec<u8>, pairs: &[(Reply, Reply)], protocol: Protocol) {
    match protocol {
        Protocol::Resp2 => put_head(out, b'*', pairs.len() * 2),
        Protocol::Resp3 => put_head(out, b'%', pairs.len()),
    }
    for (key, value) in pairs {
        encode(key, protocol, out);
        encode(value, protocol, out);
    }
}

fn put_bulks(out: &mut Vec<u8>, aggregate: Aggregate, bulks: &Bulks, protocol: Protocol) {
    match (aggregate, protocol) {
        (Aggregate::Array, _) | (_, Protocol::Resp2) => put_head(out, b'*', bulks.len()),
        (Aggregate::Set, Protocol::Resp3) => put_head(out, b'~', bulks.len()),
        (Aggregate::Map, Protocol::Resp3) => put_head(out, b'%', bulks.len() / 2),
    }
    out.extend_from_slice(bulks.encoded());
}

fn double(value: f64) -> Vec<u8> {
    let mut text = Vec::with_capacity(32);
    put_double(&mut text, value);
    text
}

fn put_verbatim(out: &mut Vec<u8>, format: [u8; 3], text: &[u8]) {
    put_head(out, b'=', text.len() + 4);
    out.extend_from_slice(&format);
    out.push(b':');
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn both(reply: Reply) -> (String, String) {
        let [two, three] = [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
            let mut out = Vec::new();
            encode(&reply, protocol, &mut out);
            String::from_utf8(out).unwrap()
        });
        (two, three)
    }

    #[test]
    fn each_type_in_both_protocols() {
        let pair = || vec![(Reply::bulk("a"), Reply::Int(1))];
        let bulks = |aggregate| {
            let mut bulks = Bulks::default();
            ["a", "bc"].iter().for_each(|text| bulks.push(text.as_bytes()));
            Reply::Bulks(aggregate, bulks)
        };
        let two_bulks = "*2\r\n$1\r\na\r\n$2\r\nbc\r\n";
        for (reply, two, three) in [
            (Reply::OK, "+OK\r\n", "+OK\r\n"),
            (Reply::error("ERR two\r\nlines"), "-ERR two  lines\r\n", "-ERR two  lines\r\n"),
            (Reply::Int(-7), ":-7\r\n", ":-7\r\n"),
            (Reply::bulk(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (Reply::Null, "$-1\r\n", "_\r\n"),
            (Reply::NullArray, "*-1\r\n", "_\r\n"),
            (Reply::Map(pair()), "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n"),
            (Reply::Set(vec![Reply::Int(1)]), "*1\r\n:1\r\n", "~1\r\n:1\r\n"),
            (Reply::Push(vec![Reply::Int(1)]), "*1\r\n:1\r\n", ">1\r\n:1\r\n"),
            (bulks(Aggregate::Array), two_bulks, two_bulks),
            (bulks(Aggregate::Set), two_bulks, "~2\r\n$1\r\na\r\n$2\r\nbc\r\n"),
            (bulks(Aggregate::Map), two_bulks, "%1\r\n$1\r\na\r\n$2\r\nbc\r\n"),
            (Reply::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (Reply::Bool(true), ":1\r\n", "#t\r\n"),
            (Reply::BigNumber(Bytes::from_static(b"99")), "$2\r\n99\r\n", "(99\r\n"),
            (Reply::Verbatim(*b"txt", Bytes::from_static(b"hi")), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
        ] {
            assert_eq!(both(reply), (two.to_owned(), three.to_owned()));
        }
    }
}
