//! MIGRATE: keys go to another server, and are deleted here once that one has them.
//!
//! A key is deleted only as it was when it was sent: one that is changed meanwhile is sent again.

mod target;

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use commands::{Args, CommandError, Id, wire};
use resp::{Protocol, Reply};
use topology::{Slot, slot_of};

use self::target::{Destination, Moved, Restore};
use super::{is, syntax_error, watch::ask_tokens};
use crate::{
    ask::{Asker, Question, ask_this, malformed},
    backend_api::{RouteError, Submit, Target},
    clients::Side,
    connection::Call,
    execute::Front,
    namespaces,
};

/// Keys whose values are in memory at a time.
const KEYS_AT_A_TIME: usize = 16;
/// How often keys are sent that change all the time.
const ATTEMPTS_MAX: usize = 16;
const TIMEOUT_DEFAULT: Duration = Duration::from_millis(1000);

pub fn run(front: &mut Front, args: &[&[u8]], call: Call) {
    let wish = match Wish::parse(args) {
        Ok(wish) => wish,
        Err(refusal) => return front.reply(&refusal),
    };
    let refusal = front.elsewhere(args, call.spec);
    if let Some(refusal) = refusal.or_else(|| namespaces::refusal(front, args, call.spec)) {
        return front.reject(&refusal);
    }
    let slot = match slot_of_all(&wish.keys) {
        Ok(Some(slot)) => slot,
        Ok(None) => return front.reply(&NO_KEY),
        Err(error) => return front.reject(&error.into()),
    };
    if !wish.copies {
        front.session.written.note(Target::Slot(slot));
    }
    let asker = Asker { protocol: Protocol::Resp2, ..front.asker() };
    let net = front.conn.worker.shared.env.net.clone();
    let asking = front.session.side == Side::Cluster;
    let here = Here { backend: front.conn.worker.backend.clone(), asker, slot };
    let token = front.open(call);
    front.hold_changes(token);
    front.conn.run_later(token, front.session.protocol, async move {
        let destination = Destination::new(&*net, &wish, asking);
        move_all(&here, destination, &wish).await.unwrap_or_else(|refusal| refusal)
    });
}

const NO_KEY: Reply = Reply::Simple("NOKEY");

/// What a client asks for.
struct Wish {
    host: String,
    port: String,
    db: i64,
    /// For each step of the conversation with the other server.
    timeout: Duration,
    copies: bool,
    replaces: bool,
    /// Arguments of AUTH; none: the client is not to log in.
    login: Vec<Bytes>,
    keys: Vec<Bytes>,
}

impl Wish {
    fn parse(args: &[&[u8]]) -> Result<Self, Reply> {
        let text = |at: usize| String::from_utf8_lossy(args[at]).into_owned();
        let copy = |words: &[&[u8]]| words.iter().map(|word| Bytes::copy_from_slice(word)).collect();
        let mut wish = Self {
            host: text(0),
            port: text(1),
            db: 0,
            timeout: TIMEOUT_DEFAULT,
            copies: false,
            replaces: false,
            login: Vec::new(),
            keys: copy(&args[2..3]),
        };
        let mut options = &args[5..];
        loop {
            options = match options {
                [] => break,
                [word, rest @ ..] if is(word, "COPY") => {
                    wish.copies = true;
                    rest
                }
                [word, rest @ ..] if is(word, "REPLACE") => {
                    wish.replaces = true;
                    rest
                }
                [word, _password, rest @ ..] if is(word, "AUTH") => {
                    wish.login = copy(&options[1..2]);
                    rest
                }
                [word, _user, _password, rest @ ..] if is(word, "AUTH2") => {
                    wish.login = copy(&options[1..3]);
                    rest
                }
                [word, keys @ ..] if is(word, "KEYS") => {
                    if !args[2].is_empty() {
                        return Err(Reply::error(
                            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                        ));
                    }
                    wish.keys = copy(keys);
                    break;
                }
                _ => return Err(syntax_error()),
            };
        }
        let numbers = Args::new(args);
        let timeout_ms = numbers.int(4)?;
        wish.db = numbers.int(3)?;
        if let Some(ms) = u64::try_from(timeout_ms).ok().filter(|&ms| ms > 0) {
            wish.timeout = Duration::from_millis(ms);
        }
        Ok(wish)
    }
}

fn slot_of_all(keys: &[Bytes]) -> Result<Option<Slot>, CommandError> {
    let mut slots = keys.iter().map(|key| slot_of(key));
    let first = slots.next();
    if slots.all(|slot| Some(slot) == first) { Ok(first) } else { Err(CommandError::CrossSlot) }
}

/// The refusal, or what the client is told otherwise.
async fn move_all(here: &Here, mut destination: Destination<'_>, wish: &Wish) -> Result<Reply, Reply> {
    let mut any = false;
    for keys in wish.keys.chunks(KEYS_AT_A_TIME) {
        any |= move_some(here, &mut destination, wish, keys).await?;
    }
    Ok(if any { Reply::OK } else { NO_KEY })
}

/// Whether there was any of the keys.
async fn move_some(
    here: &Here,
    destination: &mut Destination<'_>,
    wish: &Wish,
    keys: &[Bytes],
) -> Result<bool, Reply> {
    let mut replaces = wish.replaces;
    for attempt in 0..ATTEMPTS_MAX {
        let tokens = ask_tokens(&*here.backend, here.asker, keys.to_vec()).await?;
        let restores = here.values(keys, replaces).await?;
        if restores.is_empty() {
            return Ok(attempt > 0);
        }
        let Moved { keys: moved, refusal } = destination.restore(&restores).await;
        let watched: Vec<_> = keys.iter().zip(&tokens).filter(|(key, _)| moved.contains(key)).collect();
        let settled = wish.copies || watched.is_empty() || here.delete(&watched).await?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        if settled {
            return Ok(true);
        }
        // What is there by now was sent from here.
        replaces = true;
    }
    Err(Reply::error("IOERR keys were changed while they were sent, again and again; both servers have them"))
}

/// The group that has the keys.
struct Here {
    backend: Rc<dyn Submit>,
    asker: Asker,
    slot: Slot,
}

impl Here {
    async fn execute(&self, watched: Vec<u8>, commands: Vec<u8>, writes: bool) -> Result<Reply, Reply> {
        // Each of the commands names its database.
        let (asker, spec) = (Asker { db: 0, ..self.asker }, Id::Transaction.spec());
        let args = vec![watched.into(), commands.into()];
        let question = Question { asker, target: Target::Slot(self.slot), spec, args, writes };
        let told = |error: RouteError| Reply::error(error.to_string());
        let bytes = ask_this(&*self.backend, &question, 0).await.map_err(told)?;
        match resp::parse(&bytes, Protocol::Resp2) {
            Ok(Some((Reply::Error(_), _))) | Ok(None) | Err(_) => Err(Reply::Raw(bytes)),
            Ok(Some((reply, _))) => Ok(reply),
        }
    }

    /// What there is of the keys, at one moment.
    async fn values(&self, keys: &[Bytes], replaces: bool) -> Result<Vec<Restore>, Reply> {
        let mut commands = Vec::new();
        for key in keys {
            self.put(&mut commands, Id::Dump, &[key]);
            self.put(&mut commands, Id::Pttl, &[key]);
        }
        let Reply::Array(replies) = self.execute(Vec::new(), commands, false).await? else {
            return Err(malformed());
        };
        let (pairs, _) = replies.as_chunks();
        let mut restores = Vec::new();
        for (key, pair) in keys.iter().zip(pairs) {
            match pair {
                [Reply::Bulk(payload), Reply::Int(ttl_ms)] => restores.push(Restore {
                    key: key.clone(),
                    // 0: it does not expire.
                    ttl_ms: if *ttl_ms < 0 { 0 } else { (*ttl_ms).max(1) },
                    payload: payload.clone(),
                    replaces,
                }),
                [Reply::Error(refusal), _] => return Err(Reply::Error(refusal.clone())),
                _ => {}
            }
        }
        Ok(restores)
    }

    /// False if one of the keys was changed since it was watched: then all stay.
    async fn delete(&self, watched: &[(&Bytes, &Bytes)]) -> Result<bool, Reply> {
        let (mut tokens, mut commands) = (Vec::new(), Vec::new());
        for (key, token) in watched {
            wire::put_watched(&mut tokens, &wire::Watched { db: self.asker.db, token, key });
        }
        let keys: Vec<&[u8]> = watched.iter().map(|(key, _)| &key[..]).collect();
        self.put(&mut commands, Id::Del, &keys);
        Ok(matches!(self.execute(tokens, commands, true).await?, Reply::Array(_)))
    }

    fn put<T: AsRef<[u8]>>(&self, commands: &mut Vec<u8>, id: Id, args: &[T]) {
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        wire::put_command(commands, id as u16, wire::flags(Protocol::Resp2), self.asker.db, &args);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wish, String> {
        let args: Vec<&[u8]> =
            line.split(' ').map(|word| if word == "''" { &b""[..] } else { word.as_bytes() }).collect();
        Wish::parse(&args).map_err(|reply| match reply {
            Reply::Error(text) => String::from_utf8_lossy(&text).into_owned(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn options_are_read_in_any_order() {
        let wish = parsed("host 6379 '' 2 0 replace AUTH2 user KEYS copy KEYS a copy").ok().unwrap();
        assert!(wish.copies && wish.replaces);
        assert_eq!((wish.db, wish.timeout), (2, TIMEOUT_DEFAULT));
        assert_eq!(wish.login, ["user", "KEYS"]);
        assert_eq!(wish.keys, ["a", "copy"]);
        let wish = parsed("host 6379 key 0 50 AUTH hush").ok().unwrap();
        assert_eq!(
            (wish.keys, wish.login, wish.timeout),
            (vec!["key".into()], vec!["hush".into()], Duration::from_millis(50))
        );
    }

    #[test]
    fn wrong_options_are_refused_as_redis_does() {
        for (line, expected) in [
            ("h 1 k 0 0 AUTH", "ERR syntax error"),
            ("h 1 k 0 0 AUTH2 user", "ERR syntax error"),
            ("h 1 k 0 0 MOVE", "ERR syntax error"),
            ("h 1 k x 0", "ERR value is not an integer or out of range"),
            ("h 1 k 0 x", "ERR value is not an integer or out of range"),
            (
                "h 1 k 0 0 KEYS a",
                "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
            ),
        ] {
            assert_eq!(parsed(line).err().as_deref(), Some(expected), "{line}");
        }
    }
}
