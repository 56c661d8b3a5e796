//! How commands and replies travel between proxy and storage node.
//!
//! A batch is the concatenation of its commands:
//!
//! ```text
//! command := id:u16le  flags:u8  db:u8  [ writer:u64le ]  argc:varint  argc × ( len:varint  bytes )
//! replies := n × ( len:varint  RESP bytes )
//! reads   := n × ( command:varint  len:varint  key )
//! ```
//!
//! The arguments exclude the command's name, which `id` stands for. Varints are LEB128, at most
//! five bytes. Decoding borrows from the batch and never allocates from a declared count.

use resp::Protocol;
use smallvec::SmallVec;

/// Bit 0 of `flags`: the client speaks RESP3.
pub const FLAG_RESP3: u8 = 1;

/// Bit 1: a command that cannot be served now answers nothing, or a zero and its arguments as they are
/// to be sent again, to wait.
pub const FLAG_TRY: u8 = 2;

/// Bit 2: the command, alone in its batch, waits until it can be served.
pub const FLAG_WAIT: u8 = 4;

/// Bit 3: the key is that of a namespace's shard.
pub const FLAG_SHARD: u8 = 8;
/// Bit 4: a script runs with the rights of a user, who is the last argument. Without it, there are no limits.
pub const FLAG_USER: u8 = 16;

/// Bit 5: the client is to be told when what it reads changes. `reads` in the reply of a batch names the
/// keys that are remembered for that, each with the number of its command in the batch.
pub const FLAG_TRACKED: u8 = 32;
/// Bit 6: eight bytes behind the head name the client, which is not to be told what it changes itself.
pub const FLAG_WRITER: u8 = 64;
/// Bit 7: for OBJECT IDLETIME the command uses no key, unless it is TOUCH.
pub const FLAG_NO_TOUCH: u8 = 128;

/// The flags of a command for a client that speaks `protocol`.
pub fn flags(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Resp2 => 0,
        Protocol::Resp3 => FLAG_RESP3,
    }
}

/// Arguments of one command, borrowed from the batch.
pub type ArgVec<'a> = SmallVec<[&'a [u8]; 8]>;

/// One decoded command.
#[derive(Debug, PartialEq, Eq)]
pub struct WireCommand<'a> {
    pub id: u16,
    pub flags: u8,
    pub db: u8,
    /// See [`FLAG_WRITER`]; 0 without it.
    pub writer: u64,
    pub args: ArgVec<'a>,
}

/// The batch is not well formed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed command batch")]
pub struct Malformed;

/// Starts a command; `argc` calls of [`put_bytes`] must follow.
pub fn put_command_head(out: &mut Vec<u8>, id: u16, flags: u8, db: u8, argc: usize) {
    out.extend_from_slice(&id.to_le_bytes());
    out.push(flags);
    out.push(db);
    put_varint(out, argc);
}

/// Appends a whole command.
pub fn put_command(out: &mut Vec<u8>, id: u16, flags: u8, db: u8, args: &[&[u8]]) {
    put_command_head(out, id, flags, db, args.len());
    for arg in args {
        put_bytes(out, arg);
    }
}

/// Likewise, for a client that is not to be told what it changes itself; 0: it is.
pub fn put_command_of(writer: u64, out: &mut Vec<u8>, id: u16, flags: u8, db: u8, args: &[&[u8]]) {
    if writer == 0 {
        return put_command(out, id, flags, db, args);
    }
    out.extend_from_slice(&id.to_le_bytes());
    out.push(flags | FLAG_WRITER);
    out.push(db);
    out.extend_from_slice(&writer.to_le_bytes());
    put_varint(out, args.len());
    args.iter().for_each(|arg| put_bytes(out, arg));
}

/// Whether an encoded command is of a client that tracks.
pub fn is_tracked(command: &[u8]) -> bool {
    command.get(2).is_some_and(|flags| flags & FLAG_TRACKED != 0)
}

/// Appends a key that the `command`th of a batch has read.
pub fn put_read(out: &mut Vec<u8>, command: usize, key: &[u8]) {
    put_varint(out, command);
    put_bytes(out, key);
}

/// Iterates over what [`put_read`] wrote; stops at what is malformed.
pub fn reads(mut rest: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    std::iter::from_fn(move || {
        let command = take_varint(&mut rest).ok()?;
        Some((command, take_bytes(&mut rest).ok()?))
    })
}

/// Appends a length-prefixed byte string (an argument, or a reply).
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends an unsigned LEB128 number.
pub fn put_varint(out: &mut Vec<u8>, value: usize) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Takes an unsigned LEB128 number off the front of `input`.
pub fn take_varint(input: &mut &[u8]) -> Result<usize, Malformed> {
    let mut value = 0u64;
    for shift in 0..5 {
        let (&byte, rest) = input.split_first().ok_or(Malformed)?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| Malformed);
        }
    }
    Err(Malformed)
}

/// Takes a length-prefixed byte string off the front of `input`.
pub fn take_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = take_varint(input)?;
    if len > input.len() {
        return Err(Malformed);
    }
    let (bytes, rest) = input.split_at(len);
    *input = rest;
    Ok(bytes)
}

/// Iterates over the commands of a batch; stops after the first malformed one.
pub fn commands(batch: &[u8]) -> impl Iterator<Item = Result<WireCommand<'_>, Malformed>> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let result = take_command(&mut rest);
        if result.is_err() {
            rest = &[];
        }
        Some(result)
    })
}

/// A key of a transaction that must not have changed since it was looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Watched<'a> {
    pub db: u8,
    /// What the group answered when the watching began.
    pub token: &'a [u8],
    pub key: &'a [u8],
}

/// Appends a watched key to the first argument of a transaction. (The second one holds its commands,
/// in the form of a batch.)
pub fn put_watched(out: &mut Vec<u8>, watched: &Watched<'_>) {
    out.push(watched.db);
    put_bytes(out, watched.token);
    put_bytes(out, watched.key);
}

/// Iterates over watched keys; stops after the first malformed one.
pub fn watched(mut rest: &[u8]) -> impl Iterator<Item = Result<Watched<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let result = take_watched(&mut rest);
        if result.is_err() {
            rest = &[];
        }
        Some(result)
    })
}

fn take_watched<'a>(input: &mut &'a [u8]) -> Result<Watched<'a>, Malformed> {
    let (&db, rest) = input.split_first().ok_or(Malformed)?;
    *input = rest;
    Ok(Watched { db, token: take_bytes(input)?, key: take_bytes(input)? })
}

fn take_command<'a>(input: &mut &'a [u8]) -> Result<WireCommand<'a>, Malformed> {
    let (head, rest) = input.split_at_checked(4).ok_or(Malformed)?;
    *input = rest;
    let writer = if head[2] & FLAG_WRITER == 0 { 0 } else { take_writer(input)? };
    let argc = take_varint(input)?;
    let mut args = ArgVec::new();
    for _ in 0..argc {
        args.push(take_bytes(input)?);
    }
    Ok(WireCommand { id: u16::from_le_bytes([head[0], head[1]]), flags: head[2], db: head[3], writer, args })
}

fn take_writer(input: &mut &[u8]) -> Result<u64, Malformed> {
    let (writer, rest) = input.split_first_chunk().ok_or(Malformed)?;
    *input = rest;
    Ok(u64::from_le_bytes(*writer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_the_round_trip() {
        let long = vec![7u8; 300];
        let mut batch = Vec::new();
        put_command(&mut batch, 513, FLAG_RESP3, 3, &[b"key", b"", &long]);
        put_command(&mut batch, 1, 0, 0, &[]);
        let decoded: Vec<_> = commands(&batch).collect::<Result<_, _>>().unwrap();
        assert_eq!(decoded.len(), 2);
        assert_eq!((decoded[0].id, decoded[0].flags, decoded[0].db), (513, 1, 3));
        assert_eq!(decoded[0].args.as_slice(), [b"key" as &[u8], b"", &long]);
        assert!(decoded[1].args.is_empty());
    }

    #[test]
    fn a_writer_goes_along_only_if_there_is_one() {
        let (mut plain, mut none, mut named) = (Vec::new(), Vec::new(), Vec::new());
        put_command(&mut plain, 9, FLAG_RESP3, 1, &[b"key"]);
        put_command_of(0, &mut none, 9, FLAG_RESP3, 1, &[b"key"]);
        put_command_of(77, &mut named, 9, FLAG_RESP3, 1, &[b"key"]);
        assert_eq!(plain, none);
        let decoded = commands(&named).next().unwrap().unwrap();
        assert_eq!((decoded.writer, decoded.flags, decoded.db), (77, FLAG_RESP3 | FLAG_WRITER, 1));
        assert_eq!(decoded.args.as_slice(), [b"key"]);
        assert!((1..named.len()).all(|cut| commands(&named[..cut]).any(|c| c.is_err())));
    }

    #[test]
    fn reads_survive_the_round_trip() {
        let mut bytes = Vec::new();
        put_read(&mut bytes, 3, b"a");
        put_read(&mut bytes, 300, b"");
        assert_eq!(reads(&bytes).collect::<Vec<_>>(), [(3, &b"a"[..]), (300, b"")]);
        assert_eq!(reads(&bytes[..bytes.len() - 1]).count(), 1);
    }

    #[test]
    fn every_truncation_is_refused_or_shorter() {
        let mut batch = Vec::new();
        put_command(&mut batch, 9, 0, 0, &[b"alpha", b"beta"]);
        for cut in 1..batch.len() {
            assert!(commands(&batch[..cut]).any(|c| c.is_err()), "cut at {cut}");
        }
    }
}
