//! AUTH, HELLO, PING, QUIT, RESET, SELECT, ASKING, READONLY, READWRITE.

use std::sync::atomic::Ordering::Relaxed;

use acl::DEFAULT;
use bytes::Bytes;
use commands::{
    CommandError, ProxyCommand,
    args::{self, int32},
};
use resp::{Protocol, Reply, number::parse_i64};

use super::{Outcome, client, is, syntax_error};
use crate::{
    accounts::{Access, Context, Reason},
    clients::{Names, Side},
    cluster::Role,
    connection::{Call, Rest, Session},
    execute::Front,
    rights,
};

/// Version of Redis whose behaviour is followed.
pub const REDIS_VERSION: &str = "7.2.6";

/// AUTH and HELLO: decided by the users of the whole cluster, as far as meta can be asked.
pub fn log_in(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    let asks = command == ProxyCommand::Auth || args.iter().any(|word| is(word, "AUTH"));
    let answer = move |front: &mut Front, args: &[&[u8]]| match command {
        ProxyCommand::Auth => auth(front, args),
        _ => hello(front, args),
    };
    let cluster = &front.conn.worker.cluster;
    if !asks || cluster.is_sure() {
        let reply = answer(front, args).unwrap_or_else(|error| error);
        return front.reply(&reply);
    }
    let cluster = cluster.clone();
    let args: Vec<Bytes> = args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect();
    let token = front.open(call);
    front.conn.run_then(token, async move {
        // Without meta, the users that are known here have to do.
        let _ = cluster.sure().await;
        let rest: Rest = Box::new(move |front| {
            let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
            answer(front, &args).unwrap_or_else(|error| error)
        });
        rest
    });
}

/// By the users as they are known here.
pub fn auth(front: &mut Front, args: &[&[u8]]) -> Outcome {
    let (user, password) = match *args {
        [password] => (DEFAULT, password),
        [user, password] => (user, password),
        _ => return Err(syntax_error()),
    };
    if args.len() == 1 && front.conn.worker.shared.accounts.are_open() {
        return Err(Reply::error(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure \
             your configuration is correct?",
        ));
    }
    authenticate(front, user, password, b"AUTH")?;
    Ok(Reply::OK)
}

/// `command` is how the client asked.
fn authenticate(front: &mut Front, user: &[u8], password: &[u8], command: &[u8]) -> Result<(), Reply> {
    let shared = &front.conn.worker.shared;
    let info = &front.conn.info;
    if !front.session.access.log_in(&shared.accounts, user, password) {
        rights::note(shared, info, Reason::Auth, Context::Toplevel, command, Bytes::copy_from_slice(user));
        return Err(Reply::error("WRONGPASS invalid username-password pair or user is disabled."));
    }
    info.set_account(front.session.access.account().clone());
    Ok(())
}

pub fn hello(front: &mut Front, args: &[&[u8]]) -> Outcome {
    let mut protocol = front.session.protocol;
    if let Some(version) = args.first() {
        protocol = match parse_i64(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err(Reply::error("NOPROTO unsupported protocol version")),
            None => return Err(Reply::error("ERR Protocol version is not an integer or out of range")),
        };
    }
    let options = hello_options(args.get(1..).unwrap_or_default())?;
    if let Some((user, password)) = options.credentials {
        authenticate(front, user, password, b"HELLO")?;
    }
    if front.session.access.needs_login() {
        return Err(Reply::error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time",
        ));
    }
    if let Some(name) = options.name {
        front.conn.info.names.lock().name = Bytes::copy_from_slice(name);
    }
    front.session.protocol = protocol;
    front.conn.info.resp3.store(protocol == Protocol::Resp3, Relaxed);
    Ok(greeting(front))
}

#[derive(Default)]
struct HelloOptions<'a> {
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

fn hello_options<'a>(mut args: &[&'a [u8]]) -> Result<HelloOptions<'a>, Reply> {
    let mut options = HelloOptions::default();
    loop {
        args = match args {
            [] => return Ok(options),
            [word, user, password, rest @ ..] if is(word, "AUTH") => {
                options.credentials = Some((user, password));
                rest
            }
            [word, name, rest @ ..] if is(word, "SETNAME") => {
                client::check_name(name, "Client names")?;
                options.name = Some(name);
                rest
            }
            [word, ..] => {
                let word = String::from_utf8_lossy(word);
                return Err(Reply::error(format!("ERR Syntax error in HELLO option '{word}'")));
            }
        };
    }
}

fn greeting(front: &Front) -> Reply {
    let text = |t: &str| Reply::bulk(t);
    let mode = match front.session.side {
        Side::Cluster => "cluster",
        Side::Plain => "standalone",
    };
    let is_master = front.session.side == Side::Plain || front.conn.worker.cluster.is_master();
    let proto = if front.session.protocol == Protocol::Resp3 { 3 } else { 2 };
    Reply::Map(vec![
        (text("server"), text("redis")),
        (text("version"), text(REDIS_VERSION)),
        (text("proto"), Reply::Int(proto)),
        (text("id"), Reply::Int(front.conn.info.id as i64)),
        (text("mode"), text(mode)),
        (text("role"), text(if is_master { "master" } else { "replica" })),
        (text("modules"), Reply::Array(Vec::new())),
    ])
}

/// What the client is told that this proxy is.
pub fn role(front: &Front) -> Role {
    front.conn.worker.cluster.role(front.session.side)
}

pub fn ping(args: &[&[u8]]) -> Outcome {
    match *args {
        [] => Ok(Reply::Simple("PONG")),
        [text] => Ok(Reply::bulk(text)),
        _ => Err(CommandError::WrongArity("ping").into()),
    }
}

pub fn quit(front: &mut Front) {
    front.refuse(&Reply::OK);
}

/// Back to how it was when the client came; only what it said about its library remains.
pub fn reset(front: &mut Front) -> Outcome {
    if let Some(feed) = front.session.feed.take() {
        front.conn.worker.shared.monitors.leave(&feed);
    }
    super::leave_tracking(front);
    super::leave_pubsub(front);
    front.conn.info.queued.store(-1, Relaxed);
    front.conn.info.watched.store(0, Relaxed);
    let access = Access::new(&front.conn.worker.shared.accounts);
    front.conn.info.set_account(access.account().clone());
    front.session = Session::new(front.session.side, access);
    let info = &front.conn.info;
    let mut names = info.names.lock();
    *names = Names { name: Bytes::new(), ..names.clone() };
    drop(names);
    for flag in [&info.resp3, &info.monitor, &info.no_evict, &info.no_touch, &info.readonly] {
        flag.store(false, Relaxed);
    }
    info.db.store(0, Relaxed);
    Ok(Reply::Simple("RESET"))
}

/// The database that SELECT names.
pub fn database(side: Side, index: &[u8]) -> Result<u8, Reply> {
    if side == Side::Cluster && int32(index)? != 0 {
        return Err(CommandError::NotInCluster("select").into());
    }
    Ok(args::database(index)?)
}

pub fn select(front: &mut Front, args: &[&[u8]]) -> Outcome {
    let db = database(front.session.side, args[0])?;
    front.session.db = db;
    front.conn.info.db.store(usize::from(db), Relaxed);
    Ok(Reply::OK)
}

/// Commands for cluster clients. Every proxy serves every slot from its leader, so they change
/// nothing but what CLIENT LIST shows.
pub fn cluster_mode(front: &mut Front, command: ProxyCommand) -> Outcome {
    if front.session.side == Side::Plain {
        return Err(Reply::error("ERR This instance has cluster support disabled"));
    }
    match command {
        ProxyCommand::ReadOnly => front.conn.info.readonly.store(true, Relaxed),
        ProxyCommand::ReadWrite => front.conn.info.readonly.store(false, Relaxed),
        _ => {}
    }
    Ok(Reply::OK)
}
