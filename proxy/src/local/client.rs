//! CLIENT and its subcommands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use commands::{ProxyCommand, blocking::block_ms, wire};
use resp::Reply;
use tokio::time::timeout;

use super::{Outcome, integer, is, surplus, syntax_error};
use crate::{
    accounts::Table,
    clients::{ClientInfo, Unblocked},
    connection::{Call, Replies},
    execute::Front,
    pause::Paused,
};

/// How long CLIENT UNBLOCK waits for its effect.
const UNBLOCK_PATIENCE: Duration = Duration::from_secs(1);

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]]) -> Outcome {
    use ProxyCommand as P;
    let info = front.conn.info.clone();
    match command {
        P::ClientId => Ok(Reply::Int(info.id as i64)),
        P::ClientGetName => Ok(match info.names.lock().name.clone() {
            name if name.is_empty() => Reply::Null,
            name => Reply::Bulk(name),
        }),
        P::ClientSetName => {
            check_name(args[1], "Client names")?;
            info.names.lock().name = Bytes::copy_from_slice(args[1]);
            Ok(Reply::OK)
        }
        P::ClientSetInfo => set_info(&info, args[1], args[2]),
        P::ClientInfo => {
            publish_myself(front, args);
            Ok(text(info.describe(front.conn.worker.shared.now_ms()) + "\n"))
        }
        P::ClientList => list(front, args),
        P::ClientKill => kill(front, args),
        P::ClientNoEvict => set_flag(&info.no_evict, args[1]),
        P::ClientNoTouch => no_touch(front, args[1]),
        P::ClientPause => pause(front, args),
        P::ClientUnpause => {
            let shared = &front.conn.worker.shared;
            shared.pause.end();
            shared.wake_all();
            Ok(Reply::OK)
        }
        P::ClientUnblock => begin_unblock(front, args).map(|client| Reply::Int(client.is_some().into())),
        _ => Err(syntax_error()),
    }
}

/// CLIENT REPLY decides itself whether it is answered.
pub fn reply_mode(front: &mut Front, args: &[&[u8]]) {
    match args[1] {
        word if is(word, "ON") => {
            front.session.replies = Replies::On;
            front.reply(&Reply::OK);
        }
        word if is(word, "OFF") => front.session.replies = Replies::Off,
        word if is(word, "SKIP") => {
            if front.session.replies != Replies::Off {
                front.session.replies = Replies::SkipNext;
            }
        }
        _ => front.reply(&syntax_error()),
    }
}

fn text(lines: String) -> Reply {
    Reply::Verbatim(*b"txt", lines.into())
}

/// `what` cannot contain what would break the lines of CLIENT LIST.
pub fn check_name(name: &[u8], what: &str) -> Result<(), Reply> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err(Reply::error(format!("ERR {what} cannot contain spaces, newlines or special characters.")))
}

fn set_info(info: &ClientInfo, attribute: &[u8], value: &[u8]) -> Outcome {
    let mut names = info.names.lock();
    let shown = String::from_utf8_lossy(attribute);
    let place = match attribute {
        a if is(a, "lib-name") => &mut names.lib_name,
        a if is(a, "lib-ver") => &mut names.lib_ver,
        _ => return Err(Reply::error(format!("ERR Unrecognized option '{shown}'"))),
    };
    check_name(value, &shown)?;
    *place = Bytes::copy_from_slice(value);
    Ok(Reply::OK)
}

fn set_flag(flag: &AtomicBool, word: &[u8]) -> Outcome {
    match word {
        w if is(w, "ON") => flag.store(true, Relaxed),
        w if is(w, "OFF") => flag.store(false, Relaxed),
        _ => return Err(syntax_error()),
    }
    Ok(Reply::OK)
}

fn no_touch(front: &mut Front, word: &[u8]) -> Outcome {
    let set = set_flag(&front.conn.info.no_touch, word)?;
    let flags = &mut front.session.wire_flags;
    match front.conn.info.no_touch.load(Relaxed) {
        true => *flags |= wire::FLAG_NO_TOUCH,
        false => *flags &= !wire::FLAG_NO_TOUCH,
    }
    Ok(set)
}

/// Types of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Normal,
    /// Subscribes to something.
    PubSub,
    /// Replication is not done by clients.
    None,
}

impl Type {
    fn includes(self, client: &ClientInfo) -> bool {
        match self {
            Self::Normal => !client.is_subscribed(),
            Self::PubSub => client.is_subscribed(),
            Self::None => false,
        }
    }
}

fn parse_type(kind: &[u8]) -> Result<Type, Reply> {
    match kind {
        k if is(k, "normal") => Ok(Type::Normal),
        k if is(k, "pubsub") => Ok(Type::PubSub),
        k if ["master", "replica", "slave"].iter().any(|word| is(k, word)) => Ok(Type::None),
        k => Err(Reply::error(format!("ERR Unknown client type '{}'", String::from_utf8_lossy(k)))),
    }
}

/// What the others learn when this client comes to rest.
fn publish_myself(front: &Front, args: &[&[u8]]) {
    front.publish_last();
    front.conn.info.query_bytes.store(request_bytes(args), Relaxed);
}

/// Bytes of the request that is being executed: CLIENT with these arguments.
fn request_bytes(args: &[&[u8]]) -> usize {
    let line = |number: usize| number.to_string().len() + 3;
    let words = args.iter().map(|arg| arg.len()).chain(["client".len()]);
    line(args.len() + 1) + words.map(|len| line(len) + len + 2).sum::<usize>()
}

fn list(front: &Front, args: &[&[u8]]) -> Outcome {
    publish_myself(front, args);
    let shared = &front.conn.worker.shared;
    let clients = match args {
        [_] => shared.clients.all(),
        [_, word, kind] if is(word, "TYPE") => {
            let kind = parse_type(kind)?;
            shared.clients.all().into_iter().filter(|client| kind.includes(client)).collect()
        }
        [_, word, ids @ ..] if is(word, "ID") && !ids.is_empty() => {
            let mut found = Vec::new();
            for id in ids {
                let id = resp::number::parse_i64(id).ok_or_else(|| Reply::error("ERR Invalid client ID"))?;
                found.extend(u64::try_from(id).ok().and_then(|id| shared.clients.get(id)));
            }
            found
        }
        _ => return Err(syntax_error()),
    };
    let now_ms = shared.now_ms();
    Ok(text(clients.iter().map(|client| client.describe(now_ms) + "\n").collect()))
}

/// Which clients CLIENT KILL means; what is not given does not matter.
#[derive(Default)]
struct Victims<'a> {
    id: Option<u64>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    kind: Option<Type>,
    user: Option<&'a [u8]>,
    /// Connected for at least so long.
    age_min_ms: Option<u64>,
    spare_me: bool,
}

impl Victims<'_> {
    fn include(&self, client: &ClientInfo, now_ms: u64) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self.addr.is_none_or(|addr| addr == client.peer.to_string().as_bytes())
            && self.laddr.is_none_or(|addr| addr == client.local.to_string().as_bytes())
            && self.kind.is_none_or(|kind| kind.includes(client))
            && self.user.is_none_or(|user| user == &client.account().name[..])
            && self.age_min_ms.is_none_or(|age| now_ms.saturating_sub(client.created_ms) >= age)
    }
}

fn kill(front: &mut Front, args: &[&[u8]]) -> Outcome {
    let old_style = args.len() == 2;
    let victims = match *args {
        [_, addr] => Victims { addr: Some(addr), ..Victims::default() },
        _ => victims(&args[1..], &front.conn.worker.shared.accounts.table())?,
    };
    let me = front.conn.info.id;
    let now_ms = front.conn.worker.shared.now_ms();
    let mut killed = 0;
    for client in front.conn.worker.shared.clients.all() {
        if !victims.include(&client, now_ms) || victims.spare_me && client.id == me {
            continue;
        }
        killed += 1;
        match client.id == me {
            // The reply comes first.
            true => front.session.closing = true,
            false => client.kill(),
        }
    }
    match (old_style, killed) {
        (true, 0) => Err(Reply::error("ERR No such client")),
        (true, _) => Ok(Reply::OK),
        (false, _) => Ok(Reply::Int(killed)),
    }
}

fn victims<'a>(args: &[&'a [u8]], users: &Table) -> Result<Victims<'a>, Reply> {
    let mut victims = Victims { spare_me: true, ..Victims::default() };
    let (pairs, rest) = args.as_chunks::<2>();
    for &[option, value] in pairs {
        match option {
            o if is(o, "ID") => {
                let id =
                    resp::number::parse_i64(value).and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0);
                let id = id.ok_or_else(|| Reply::error("ERR client-id should be greater than 0"))?;
                victims.id = Some(id);
            }
            o if is(o, "TYPE") => victims.kind = Some(parse_type(value)?),
            o if is(o, "ADDR") => victims.addr = Some(value),
            o if is(o, "LADDR") => victims.laddr = Some(value),
            o if is(o, "MAXAGE") => {
                let age = resp::number::parse_i64(value)
                    .ok_or_else(|| Reply::error("ERR maxage is not an integer or out of range"))?;
                let age = u64::try_from(age).ok().filter(|age| *age > 0);
                let age = age.ok_or_else(|| Reply::error("ERR maxage should be greater than 0"))?;
                victims.age_min_ms = Some(age.saturating_mul(1000));
            }
            o if is(o, "USER") && users.get(value).is_some() => victims.user = Some(value),
            o if is(o, "USER") => {
                let user = String::from_utf8_lossy(value);
                return Err(Reply::error(format!("ERR No such user '{user}'")));
            }
            o if is(o, "SKIPME") && is(value, "YES") => victims.spare_me = true,
            o if is(o, "SKIPME") && is(value, "NO") => victims.spare_me = false,
            _ => return Err(syntax_error()),
        }
    }
    if rest.is_empty() { Ok(victims) } else { Err(syntax_error()) }
}

fn pause(front: &Front, args: &[&[u8]]) -> Outcome {
    let what = match args[2..] {
        [] => Paused::All,
        [word] if is(word, "ALL") => Paused::All,
        [word] if is(word, "WRITE") => Paused::Writes,
        [_, _, ..] => return Err(surplus("client", args)),
        [_] => return Err(Reply::error("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let shared = &front.conn.worker.shared;
    let timeout = block_ms(args[1], shared.env.clock.now_ms())?;
    let now_ms = shared.now_ms();
    shared.pause.begin(now_ms, now_ms.saturating_add(timeout), what);
    Ok(Reply::OK)
}

/// CLIENT UNBLOCK answers once the client has its reply, or was served before.
pub fn unblock(front: &mut Front, args: &[&[u8]], call: Call) {
    match begin_unblock(front, args) {
        Ok(Some(client)) => {
            let token = front.open(call);
            front.conn.run_later(token, front.session.protocol, async move {
                // Its group may have no leader that could tell; it is unblocked all the same.
                let _ = timeout(UNBLOCK_PATIENCE, client.until_unblocked()).await;
                Reply::Int(1)
            });
        }
        Ok(None) => front.reply(&Reply::Int(0)),
        Err(refusal) => front.reply(&refusal),
    }
}

/// The client whose waiting ends, if it waits.
fn begin_unblock(front: &Front, args: &[&[u8]]) -> Result<Option<Arc<ClientInfo>>, Reply> {
    let reason = match args[2..] {
        [] => Unblocked::Timeout,
        [word] if is(word, "TIMEOUT") => Unblocked::Timeout,
        [word] if is(word, "ERROR") => Unblocked::Error,
        [_, _, ..] => return Err(surplus("client", args)),
        [_] => return Err(Reply::error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let id = u64::try_from(integer(args[1])?).ok();
    let client = id.and_then(|id| front.conn.worker.shared.clients.get(id));
    Ok(client.filter(|client| client.unblock(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_as_it_was_sent() {
        assert_eq!(request_bytes(&[b"list"]), b"*2\r\n$6\r\nclient\r\n$4\r\nlist\r\n".len());
    }
}
