//! ACL: users are told from the table in force, and changed through meta.

use std::{collections::BTreeMap, path::Path};

use acl::{Channels, DEFAULT, User};
use bytes::Bytes;
use commands::{CommandError, ProxyCommand};
use resp::Reply;

use super::{Outcome, integer, is};
use crate::{
    accounts::{Edit, Editor, Table},
    connection::{Call, Rest},
    execute::Front,
    settings::Number,
    settings_file,
};

/// Entries that ACL LOG shows unless told otherwise.
const LOG_SHOWN: i64 = 10;
const GENPASS_BITS: i64 = 256;
const GENPASS_BITS_MAX: i64 = 4096;

const NO_FILE: &str = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via \
    the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in \
    order to store users in the Redis configuration.";

/// Whether the command waits for meta, and so cannot be part of a transaction.
pub fn waits(command: ProxyCommand) -> bool {
    use ProxyCommand as P;
    matches!(command, P::AclSetUser | P::AclDelUser | P::AclLoad | P::AclSave)
}

/// Whether the answer depends on users.
fn tells_users(command: ProxyCommand) -> bool {
    use ProxyCommand as P;
    matches!(command, P::AclList | P::AclUsers | P::AclGetUser | P::AclDryRun)
}

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    use ProxyCommand as P;
    match command {
        P::AclSetUser => set_user(front, args, call),
        P::AclDelUser => delete_users(front, args, call),
        P::AclLoad => load(front, call),
        P::AclSave => save(front, call),
        _ if tells_users(command) && !front.conn.worker.cluster.is_sure() => {
            tell_later(front, command, args, call)
        }
        _ => {
            let reply = immediate(front, command, args).unwrap_or_else(|error| error);
            front.reply(&reply);
        }
    }
}

/// Answers once no newer users can have been confirmed to anyone.
fn tell_later(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    let args = owned(args);
    let cluster = front.conn.worker.cluster.clone();
    let token = front.open(call);
    front.conn.run_then(token, async move {
        let sure = cluster.sure().await;
        let rest: Rest = Box::new(move |front| {
            let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
            sure.and_then(|()| immediate(front, command, &args)).unwrap_or_else(|error| error)
        });
        rest
    });
}

fn owned(args: &[&[u8]]) -> Vec<Bytes> {
    args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect()
}

/// What needs nothing from elsewhere.
pub fn immediate(front: &mut Front, command: ProxyCommand, args: &[&[u8]]) -> Outcome {
    use ProxyCommand as P;
    let table = front.conn.worker.shared.accounts.table();
    match (command, &args[1..]) {
        (P::AclWhoAmI, []) => Ok(Reply::Bulk(front.session.access.account().name.clone())),
        (P::AclUsers, []) => {
            Ok(Reply::Array(table.accounts().map(|account| Reply::Bulk(account.name.clone())).collect()))
        }
        (P::AclList, []) => {
            let lines = table.accounts().map(|account| (&account.name[..], &account.user));
            let line = |user| Reply::bulk(acl::file::render(std::iter::once(user)).trim_ascii_end());
            Ok(Reply::Array(lines.map(line).collect()))
        }
        (P::AclGetUser, [name]) => {
            Ok(table.get(name).map_or(Reply::Null, |account| acl::show::user(&account.user)))
        }
        (P::AclDryRun, [name, argv @ ..]) => dry_run(&table, name, argv),
        (P::AclCat, []) => Ok(acl::show::categories()),
        (P::AclCat, [name]) => {
            acl::show::category(name).ok_or_else(|| error(b"Unknown category '", name, b"'"))
        }
        (P::AclGenPass, []) => Ok(made_up(front, GENPASS_BITS)),
        (P::AclGenPass, [bits]) => match integer(bits)? {
            bits @ 1..=GENPASS_BITS_MAX => Ok(made_up(front, bits)),
            _ => Err(Reply::error(format!(
                "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to \
                 {GENPASS_BITS_MAX}"
            ))),
        },
        (P::AclLog, []) => Ok(log(front, LOG_SHOWN)),
        (P::AclLog, [word]) if is(word, "RESET") => {
            front.conn.worker.shared.accounts.log.lock().clear();
            Ok(Reply::OK)
        }
        (P::AclLog, [count]) => Ok(log(front, integer(count)?)),
        _ => {
            let hint = b"'. Try ACL HELP.";
            Err(error(b"unknown subcommand or wrong number of arguments for '", args[0], hint))
        }
    }
}

/// An error that quotes what came, cut as Redis cuts it.
fn error(head: &[u8], quoted: &[u8], tail: &[u8]) -> Reply {
    let quoted = &quoted[..quoted.len().min(128)];
    let mut text = [b"ERR ", head, quoted, tail].concat();
    text.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
    Reply::Error(text.into())
}

fn dry_run(table: &Table, name: &[u8], argv: &[&[u8]]) -> Outcome {
    let account = table.get(name).ok_or_else(|| error(b"User '", name, b"' not found"))?;
    let spec = match commands::resolve(argv) {
        Ok(spec) => spec,
        Err(refusal @ CommandError::WrongArity(_)) => return Err(refusal.into()),
        Err(_) => return Err(error(b"Command '", argv[0], b"' not found")),
    };
    let args = &argv[1..];
    Ok(match account.user.check(spec, args) {
        Ok(()) | Err(acl::Denial::SortOption(_)) => Reply::OK,
        Err(denial) => Reply::bulk(denial.details(&account.name, spec, args)),
    })
}

/// A password of so many bits, in hexadecimal digits.
fn made_up(front: &Front, bits: i64) -> Reply {
    let digits = usize::try_from(bits + 3).unwrap_or(0) / 4;
    let mut bytes = vec![0; digits.div_ceil(2)];
    front.conn.worker.shared.env.entropy.fill_secret(&mut bytes);
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    Reply::bulk(text)
}

fn log(front: &Front, count: i64) -> Reply {
    let shared = &front.conn.worker.shared;
    let count = usize::try_from(count).unwrap_or(0);
    shared.accounts.log.lock().show(count, shared.env.clock.now_ms())
}

/// What a new selector may hear, by this proxy's `acl-pubsub-default`.
fn channels(front: &Front) -> Channels {
    match front.conn.worker.shared.settings.number(Number::AclPubsubDefault) {
        0 => Channels::None,
        _ => Channels::All,
    }
}

fn set_user(front: &mut Front, args: &[&[u8]], call: Call) {
    if acl::has_spaces(args[1]) {
        return front.reply(&Reply::error("ERR Usernames can't contain spaces or null characters"));
    }
    let name = Bytes::copy_from_slice(args[1]);
    let rules = owned(&args[2..]);
    let channels = channels(front);
    change(front, call, move |table| {
        let known = table.get(&name).map(|account| account.user.clone());
        let mut user = known.unwrap_or_else(|| User::new(channels));
        let rules: Vec<&[u8]> = rules.iter().map(|rule| &rule[..]).collect();
        user.set(&rules, channels).map_err(|refusal| Reply::Error(refusal.text().into()))?;
        let users = BTreeMap::from([(name.clone(), Some(user))]);
        Ok((Some(Edit { users, anew: false }), Reply::OK))
    });
}

fn delete_users(front: &mut Front, args: &[&[u8]], call: Call) {
    if args[1..].contains(&DEFAULT) {
        return front.reply(&Reply::error("ERR The 'default' user cannot be removed"));
    }
    let names = owned(&args[1..]);
    change(front, call, move |table| {
        let known = names.iter().filter(|name| table.get(name).is_some());
        let users: BTreeMap<Bytes, Option<User>> = known.map(|name| (name.clone(), None)).collect();
        let count = users.len() as i64;
        Ok(((count > 0).then_some(Edit { users, anew: false }), Reply::Int(count)))
    });
}

/// The users of this proxy's file become those of the cluster.
fn load(front: &mut Front, call: Call) {
    let Some(path) = front.conn.worker.shared.acl_file.clone() else {
        return front.reply(&Reply::error(NO_FILE));
    };
    let channels = channels(front);
    let editor = editor(front);
    let token = front.open(call);
    front.conn.run_then(token, async move {
        let read = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || std::fs::read(path))
                .await
                .map_err(std::io::Error::from)
                .flatten()
        };
        let users = match read {
            Ok(content) => acl::file::parse(&path, &content, channels)
                .map_err(|errors| Reply::Error([b"ERR ", &errors[..]].concat().into())),
            Err(error) => {
                Err(Reply::error(format!("ERR Error loading ACLs, opening file '{path}': {error}")))
            }
        };
        let outcome = match users {
            Ok(users) => editor.change(|_| Ok((Some(edit_anew(&users)), Reply::OK))).await,
            Err(reply) => Err(reply),
        };
        done(outcome)
    });
}

fn edit_anew(users: &BTreeMap<Vec<u8>, User>) -> Edit {
    let users = users.iter().map(|(name, user)| (Bytes::copy_from_slice(name), Some(user.clone())));
    Edit { users: users.collect(), anew: true }
}

/// Writes the users of the cluster to this proxy's file. Off this thread: it waits for the disk.
fn save(front: &mut Front, call: Call) {
    let shared = front.conn.worker.shared.clone();
    let Some(path) = shared.acl_file.clone() else {
        return front.reply(&Reply::error(NO_FILE));
    };
    let cluster = front.conn.worker.cluster.clone();
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move {
        if let Err(reply) = cluster.sure().await {
            return reply;
        }
        let table = shared.accounts.table();
        let text = acl::file::render(table.accounts().map(|account| (&account.name[..], &account.user)));
        let write = move || settings_file::replace(Path::new(&path), &text);
        match tokio::task::spawn_blocking(write).await.map_err(std::io::Error::from).flatten() {
            Ok(()) => Reply::OK,
            Err(error) => {
                tracing::warn!(%error, "the ACL file cannot be written");
                Reply::error(
                    "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
                )
            }
        }
    });
}

/// Whoever changes users is told the outcome, even if it was the last thing that its user did.
fn editor(front: &Front) -> Editor {
    front.conn.info.set_edits_users(true);
    let worker = &front.conn.worker;
    Editor::new(worker.shared.clone(), worker.cluster.clone())
}

fn done(outcome: Outcome) -> Rest {
    Box::new(move |front| {
        front.conn.info.set_edits_users(false);
        outcome.unwrap_or_else(|error| error)
    })
}

/// Changes users, through meta.
pub fn change(
    front: &mut Front,
    call: Call,
    edit: impl Fn(&Table) -> Result<(Option<Edit>, Reply), Reply> + 'static,
) {
    let editor = editor(front);
    let token = front.open(call);
    front.conn.run_then(token, async move { done(editor.change(edit).await) });
}
