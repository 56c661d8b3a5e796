//! An array cut into its items, which stay encoded: nothing is lost, not even the order of a map.

use bytes::Bytes;
use memchr::memchr;

use crate::number::parse_i64;

/// The items of `reply`; `None` if it is no array, or not all of one.
pub fn items(reply: &Bytes) -> Option<Vec<Bytes>> {
    let (head, mut at) = line(reply, 0)?;
    let count = usize::try_from(parse_i64(head.strip_prefix(b"*")?)?).ok()?;
    let cut = |_| {
        let start = at;
        at = end_of(reply, start)?;
        Some(reply.slice(start..at))
    };
    (0..count).map(cut).collect()
}

/// Where the reply that begins at `at` ends.
fn end_of(encoded: &[u8], mut at: usize) -> Option<usize> {
    let mut left = 1u64;
    while left > 0 {
        left -= 1;
        let (head, next) = line(encoded, at)?;
        let (kind, rest) = head.split_first()?;
        at = next;
        match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => {}
            b'$' | b'=' | b'!' => {
                at = at.checked_add(text_bytes(rest)?).filter(|&end| end <= encoded.len())?
            }
            b'*' | b'~' | b'>' => left = left.checked_add(count(rest)?)?,
            b'%' => left = left.checked_add(count(rest)?.checked_mul(2)?)?,
            _ => return None,
        }
    }
    Some(at)
}

/// The line that begins at `at`, and what is behind its end.
fn line(encoded: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = encoded.get(at..)?;
    let end = memchr(b'\n', rest)?;
    Some((rest[..end].strip_suffix(b"\r")?, at + end + 1))
}

/// Of a text with its line end; a null has none.
fn text_bytes(length: &[u8]) -> Option<usize> {
    match parse_i64(length)? {
        -1 => Some(0),
        length => usize::try_from(length).ok()?.checked_add(2),
    }
}

/// A null has no items.
fn count(text: &[u8]) -> Option<u64> {
    Some(parse_i64(text)?.max(0).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Protocol, Reply, encode};

    fn encoded(reply: &Reply, protocol: Protocol) -> Bytes {
        let mut out = Vec::new();
        encode(reply, protocol, &mut out);
        out.into()
    }

    #[test]
    fn an_array_falls_into_its_items() {
        let pair = |key: &str| (Reply::bulk(key), Reply::Array(vec![Reply::Null, Reply::Double(0.5)]));
        let parts = [
            Reply::OK,
            Reply::error("ERR x"),
            Reply::Int(-3),
            Reply::bulk("a\r\nb"),
            Reply::bulk(""),
            Reply::Null,
            Reply::NullArray,
            Reply::Array(vec![]),
            Reply::Set(vec![Reply::Bool(true), Reply::BigNumber("1".into())]),
            Reply::Map(vec![pair("z"), pair("a"), pair("m")]),
            Reply::Verbatim(*b"txt", "some\r\ntext".into()),
            Reply::Push(vec![Reply::Int(1)]),
        ];
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let whole = encoded(&Reply::Array(parts.to_vec()), protocol);
            let expected: Vec<Bytes> = parts.iter().map(|part| encoded(part, protocol)).collect();
            assert_eq!(items(&whole), Some(expected));
            for short in 0..whole.len() {
                assert_eq!(items(&whole.slice(..short)), None, "{short} bytes of it");
            }
        }
    }

    #[test]
    fn what_is_no_array_has_no_items() {
        for text in [
            "",
            "*",
            "*-1\r\n",
            "_\r\n",
            "+OK\r\n",
            "*1\r\n$9999999999999999999\r\n",
            "*1\r\n?\r\n",
            "*x\r\n",
        ] {
            assert_eq!(items(&Bytes::from_static(text.as_bytes())), None, "{text:?}");
        }
        let huge = Bytes::from_static(b"*9223372036854775807\r\n%9223372036854775807\r\n");
        assert_eq!(items(&huge), None);
    }
}
