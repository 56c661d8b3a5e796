//! Replies looked into, by the `redis-protocol` crate: for the proxy, where it acts by them, and
//! for tests. Not for untrusted peers: nesting costs stack, and a RESP3 map loses its order.

use bytes::Bytes;
use redis_protocol::{
    resp2::{decode as resp2, types::BytesFrame as Frame2},
    resp3::{
        decode::complete as resp3,
        types::{BytesFrame as Frame3, VerbatimStringFormat},
    },
};

use crate::{Protocol, Reply};

/// The bytes are not a reply of that protocol.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    #[error("malformed reply: {0}")]
    Malformed(#[from] redis_protocol::error::RedisProtocolError),
    #[error("a reply of a kind that servers do not send")]
    Unexpected,
}

/// Takes the reply at the front of `bytes`; `None` if it is not complete. Also returns how many
/// bytes it takes.
pub fn parse(bytes: &Bytes, protocol: Protocol) -> Result<Option<(Reply, usize)>, ParseError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    match protocol {
        Protocol::Resp2 => {
            let Some((frame, size)) = resp2::decode_bytes(bytes)? else { return Ok(None) };
            let is_null_array = bytes.starts_with(b"*-1");
            let reply = if is_null_array { Reply::NullArray } else { from_resp2(frame) };
            Ok(Some((reply, size)))
        }
        Protocol::Resp3 => {
            let Some((frame, size)) = resp3::decode_bytes(bytes)? else { return Ok(None) };
            Ok(Some((from_resp3(frame)?, size)))
        }
    }
}

fn from_resp2(frame: Frame2) -> Reply {
    match frame {
        Frame2::SimpleString(text) => Reply::Status(text),
        Frame2::Error(text) => Reply::Error(text.into_inner()),
        Frame2::Integer(value) => Reply::Int(value),
        Frame2::BulkString(bytes) => Reply::Bulk(bytes),
        Frame2::Array(items) => Reply::Array(items.into_iter().map(from_resp2).collect()),
        Frame2::Null => Reply::Null,
    }
}

fn from_resp3(frame: Frame3) -> Result<Reply, ParseError> {
    Ok(match frame {
        Frame3::BlobString { data, .. } => Reply::Bulk(data),
        Frame3::BlobError { data, .. } => Reply::Error(data),
        Frame3::SimpleString { data, .. } => Reply::Status(data),
        Frame3::SimpleError { data, .. } => Reply::Error(data.into_inner()),
        Frame3::Boolean { data, .. } => Reply::Bool(data),
        Frame3::Null => Reply::Null,
        Frame3::Number { data, .. } => Reply::Int(data),
        Frame3::Double { data, .. } => Reply::Double(data),
        Frame3::BigNumber { data, .. } => Reply::BigNumber(data),
        Frame3::VerbatimString { data, format, .. } => Reply::Verbatim(
            match format {
                VerbatimStringFormat::Text => *b"txt",
                VerbatimStringFormat::Markdown => *b"mkd",
            },
            data,
        ),
        Frame3::Array { data, .. } => Reply::Array(all_resp3(data)?),
        Frame3::Push { data, .. } => Reply::Push(all_resp3(data)?),
        Frame3::Set { data, .. } => Reply::Set(all_resp3(data)?),
        Frame3::Map { data, .. } => Reply::Map(
            data.into_iter()
                .map(|(k, v)| Ok((from_resp3(k)?, from_resp3(v)?)))
                .collect::<Result<_, ParseError>>()?,
        ),
        Frame3::Hello { .. } | Frame3::ChunkedString(_) => return Err(ParseError::Unexpected),
    })
}

fn all_resp3(frames: impl IntoIterator<Item = Frame3>) -> Result<Vec<Reply>, ParseError> {
    frames.into_iter().map(from_resp3).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode;

    fn reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            "[a-zA-Z ]{0,12}".prop_map(|text| Reply::Status(text.into())),
            "[A-Z]{3} [a-z ]{0,12}".prop_map(|text| Reply::Error(text.into())),
            any::<i64>().prop_map(Reply::Int),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Reply::Bulk(bytes.into())),
            Just(Reply::Null),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| prop::collection::vec(inner, 0..5).prop_map(Reply::Array))
    }

    proptest! {
        #[test]
        fn replies_survive_the_round_trip(reply in reply(), resp3 in any::<bool>()) {
            let protocol = if resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
            let mut out = Vec::new();
            encode(&reply, protocol, &mut out);
            let bytes = Bytes::from(out);
            let (parsed, size) = parse(&bytes, protocol).unwrap().unwrap();
            prop_assert_eq!(size, bytes.len());
            prop_assert_eq!(parsed, reply);
            prop_assert!(parse(&bytes.slice(..bytes.len() - 1), protocol).unwrap().is_none());
        }
    }

    #[test]
    fn resp3_types_are_understood() {
        for (bytes, expected) in [
            (&b",1.5\r\n"[..], Reply::Double(1.5)),
            (b"#t\r\n", Reply::Bool(true)),
            (b"(123\r\n", Reply::BigNumber("123".into())),
            (b"=6\r\ntxt:hi\r\n", Reply::Verbatim(*b"txt", "hi".into())),
            (b"%1\r\n+a\r\n:1\r\n", Reply::Map(vec![(Reply::Status("a".into()), Reply::Int(1))])),
            (b">1\r\n:1\r\n", Reply::Push(vec![Reply::Int(1)])),
        ] {
            let bytes = Bytes::copy_from_slice(bytes);
            assert_eq!(parse(&bytes, Protocol::Resp3).unwrap().unwrap().0, expected);
        }
        assert_eq!(parse(&"*-1\r\n".into(), Protocol::Resp2).unwrap().unwrap().0, Reply::NullArray);
    }
}
