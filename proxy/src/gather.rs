//! One reply made of several: the parts of a split command, or the answers of all groups.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use bytes::Bytes;
use commands::Merge;
use resp::{
    Protocol, Reply,
    encode::{put_head, put_int, put_null},
};
use smallvec::SmallVec;

use crate::backend_api::{ReplyTarget, RouteError};

/// For each part, which elements of the whole its elements are (only for `Merge::ByKeyOrder`).
pub type Positions = SmallVec<[u32; 12]>;

/// Collects the replies of all parts, then hands the merged one to `to`.
pub struct Gather {
    to: Rc<dyn ReplyTarget>,
    token: u64,
    merge: Merge,
    protocol: Protocol,
    missing: Cell<usize>,
    parts: RefCell<Vec<Part>>,
    /// Chooses among equals.
    seed: u64,
}

#[derive(Default)]
struct Part {
    positions: Positions,
    reply: Bytes,
    error: Option<RouteError>,
}

impl Gather {
    /// The sinks of the parts are `(gather, index)`.
    pub fn new(
        to: Rc<dyn ReplyTarget>,
        token: u64,
        merge: Merge,
        protocol: Protocol,
        parts: impl IntoIterator<Item = Positions>,
        seed: u64,
    ) -> Rc<Self> {
        let parts: Vec<Part> =
            parts.into_iter().map(|positions| Part { positions, ..Part::default() }).collect();
        let missing = Cell::new(parts.len());
        Rc::new(Self { to, token, merge, protocol, missing, parts: RefCell::new(parts), seed })
    }

    fn merged(&self) -> Result<Bytes, RouteError> {
        let mut parts = self.parts.borrow_mut();
        if let Some(error) = parts.iter_mut().find_map(|p| p.error.take()) {
            return Err(error);
        }
        if let Some(error) = parts.iter().find(|p| p.reply.starts_with(b"-")) {
            return Ok(error.reply.clone());
        }
        Ok(match self.merge {
            Merge::AllOk => parts.first().map_or(Bytes::from_static(b"+OK\r\n"), |p| p.reply.clone()),
            Merge::Sum => sum(parts.iter().map(|p| &p.reply)),
            Merge::Concat => concat(parts.iter().map(|p| &p.reply)),
            Merge::RandomKey => self.any_key(&parts),
            Merge::ByKeyOrder => by_key_order(&parts),
            // Goes from group to group instead (`scan`).
            Merge::Scan => malformed(),
        })
    }

    fn any_key(&self, parts: &[Part]) -> Bytes {
        let found: Vec<_> =
            parts.iter().filter(|p| p.reply.starts_with(b"$") && !p.reply.starts_with(b"$-")).collect();
        match found.len() {
            0 => null(self.protocol),
            count => found[(self.seed % count as u64) as usize].reply.clone(),
        }
    }
}

impl ReplyTarget for Gather {
    fn reply(&self, token: u64, result: Result<Bytes, RouteError>) -> bool {
        let at = usize::try_from(token).unwrap_or(usize::MAX);
        if let Some(part) = self.parts.borrow_mut().get_mut(at) {
            match result {
                Ok(bytes) => part.reply = bytes,
                Err(error) => part.error = Some(error),
            }
            self.missing.set(self.missing.get().saturating_sub(1));
        }
        self.missing.get() == 0 && self.to.reply(self.token, self.merged())
    }

    fn flush(self: Rc<Self>) {
        self.to.clone().flush();
    }
}

/// The reply where there is nobody to ask.
pub fn of_nothing(merge: Merge, protocol: Protocol) -> Reply {
    match merge {
        Merge::Sum => Reply::Int(0),
        Merge::AllOk => Reply::OK,
        Merge::Concat | Merge::ByKeyOrder => Reply::Array(Vec::new()),
        Merge::RandomKey => Reply::Raw(null(protocol)),
        Merge::Scan => Reply::Array(vec![Reply::bulk("0"), Reply::Array(Vec::new())]),
    }
}

fn null(protocol: Protocol) -> Bytes {
    let mut out = Vec::new();
    put_null(&mut out, protocol);
    out.into()
}

/// A storage node answered what its row in the table does not promise.
fn malformed() -> Bytes {
    Bytes::from_static(b"-ERR a storage node sent a malformed reply\r\n")
}

fn sum<'a>(replies: impl Iterator<Item = &'a Bytes>) -> Bytes {
    let mut total = 0i64;
    for reply in replies {
        let number = reply.strip_prefix(b":").and_then(|r| r.strip_suffix(b"\r\n"));
        let Some(number) = number.and_then(resp::number::parse_i64) else { return malformed() };
        total = total.saturating_add(number);
    }
    let mut out = Vec::new();
    put_int(&mut out, total);
    out.into()
}

fn concat<'a>(replies: impl Iterator<Item = &'a Bytes> + Clone) -> Bytes {
    let mut count = 0;
    let mut bodies = Vec::new();
    for reply in replies {
        let Some((items, body)) = split_array(reply) else { return malformed() };
        count += items;
        bodies.push(body);
    }
    let mut out = Vec::with_capacity(bodies.iter().map(|b| b.len()).sum::<usize>() + 16);
    put_head(&mut out, b'*', count);
    bodies.into_iter().for_each(|body| out.extend_from_slice(body));
    out.into()
}

/// Number of elements of an array, and the elements.
pub fn split_array(reply: &[u8]) -> Option<(usize, &[u8])> {
    let end = reply.iter().position(|&b| b == b'\r')?;
    let count = resp::number::parse_i64(reply.strip_prefix(b"*")?.get(..end - 1)?)?;
    Some((usize::try_from(count).ok()?, reply.get(end + 2..)?))
}

fn by_key_order(parts: &[Part]) -> Bytes {
    let total: usize = parts.iter().map(|p| p.positions.len()).sum();
    let mut whole = vec![Bytes::new(); total];
    for part in parts {
        let Some(items) = resp::items(&part.reply).filter(|items| items.len() == part.positions.len()) else {
            return malformed();
        };
        for (&at, item) in part.positions.iter().zip(items) {
            whole[at as usize] = item;
        }
    }
    let mut out = Vec::with_capacity(whole.iter().map(Bytes::len).sum::<usize>() + 16);
    put_head(&mut out, b'*', total);
    whole.iter().for_each(|item| out.extend_from_slice(item));
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Client(RefCell<Vec<(u64, Result<Bytes, RouteError>)>>);

    impl ReplyTarget for Client {
        fn reply(&self, token: u64, result: Result<Bytes, RouteError>) -> bool {
            self.0.borrow_mut().push((token, result));
            true
        }

        fn flush(self: Rc<Self>) {}
    }

    fn merged(merge: Merge, parts: &[(&[u32], &str)]) -> Result<String, RouteError> {
        let client = Rc::new(Client::default());
        let positions = parts.iter().map(|(at, _)| at.iter().copied().collect());
        let gather = Gather::new(client.clone(), 7, merge, Protocol::Resp2, positions, 1);
        for (at, (_, reply)) in parts.iter().enumerate().rev() {
            let is_last = gather.reply(at as u64, Ok(Bytes::copy_from_slice(reply.as_bytes())));
            assert_eq!(is_last, at == 0);
        }
        let (token, result) = client.0.borrow_mut().remove(0);
        assert_eq!(token, 7);
        result.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn each_kind_of_merge() {
        for (merge, parts, expected) in [
            (Merge::Sum, [":2\r\n", ":40\r\n"], ":42\r\n"),
            (Merge::Sum, [":2\r\n", "-ERR no\r\n"], "-ERR no\r\n"),
            (Merge::AllOk, ["+OK\r\n", "+OK\r\n"], "+OK\r\n"),
            (Merge::AllOk, ["-OOM\r\n", "+OK\r\n"], "-OOM\r\n"),
            (Merge::Concat, ["*1\r\n$1\r\na\r\n", "*2\r\n:1\r\n:2\r\n"], "*3\r\n$1\r\na\r\n:1\r\n:2\r\n"),
            (Merge::RandomKey, ["$-1\r\n", "$1\r\nk\r\n"], "$1\r\nk\r\n"),
            (Merge::RandomKey, ["$-1\r\n", "$-1\r\n"], "$-1\r\n"),
        ] {
            assert_eq!(merged(merge, &[(&[], parts[0]), (&[], parts[1])]), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn elements_return_to_the_places_of_their_keys() {
        let parts: [(&[u32], &str); 2] =
            [(&[0, 2], "*2\r\n$1\r\na\r\n$1\r\nc\r\n"), (&[1, 3], "*2\r\n$-1\r\n$1\r\nd\r\n")];
        let expected = "*4\r\n$1\r\na\r\n$-1\r\n$1\r\nc\r\n$1\r\nd\r\n";
        assert_eq!(merged(Merge::ByKeyOrder, &parts), Ok(expected.to_owned()));
        let short: [(&[u32], &str); 1] = [(&[0, 1], "*1\r\n$1\r\na\r\n")];
        assert!(merged(Merge::ByKeyOrder, &short).unwrap().starts_with('-'));
    }

    #[test]
    fn a_part_without_a_reply_fails_the_whole() {
        let client = Rc::new(Client::default());
        let gather =
            Gather::new(client.clone(), 1, Merge::Sum, Protocol::Resp2, vec![Positions::new(); 2], 0);
        assert!(!gather.reply(0, Ok(Bytes::from_static(b":1\r\n"))));
        assert!(gather.reply(1, Err(RouteError::Timeout)));
        assert_eq!(client.0.borrow()[0].1, Err(RouteError::Timeout));
    }
}
