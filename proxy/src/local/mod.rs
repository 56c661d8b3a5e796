//! Commands that the proxy executes itself: about the connection, the proxy, the table, the
//! cluster as announced. One file a family.

mod acl;
mod alone;
mod client;
mod cluster;
mod config;
mod connection;
mod function;
mod info;
mod latency;
mod later;
mod logs;
mod migrate;
mod pubsub;
mod replication;
mod script;
mod tracking;
mod transaction;
mod watch;

use commands::{Args, CommandError, Id, ProxyCommand, Spec, introspect, memory};
use resp::Reply;

pub use logs::check_mode as check_monitor;
pub use pubsub::{check_mode, leave as leave_pubsub, only_listens};
pub use script::eval_sha;
pub use tracking::leave as leave_tracking;
pub use transaction::{Transaction, abort, own_args, queue};
pub use watch::Watching;

use crate::{connection::Call, execute::Front};

/// Executes `command`; `args` exclude the command's name (a subcommand's name is the first).
pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    use ProxyCommand as P;
    match command {
        P::Quit => connection::quit(front),
        P::ClientReply => client::reply_mode(front, args),
        P::ClientTracking => tracking::switch(front, args, call),
        P::ClientUnblock => client::unblock(front, args, call),
        P::AclCat
        | P::AclDelUser
        | P::AclDryRun
        | P::AclGenPass
        | P::AclGetUser
        | P::AclList
        | P::AclLoad
        | P::AclLog
        | P::AclSave
        | P::AclSetUser
        | P::AclUsers
        | P::AclWhoAmI => acl::run(front, command, args, call),
        P::Auth | P::Hello => connection::log_in(front, command, args, call),
        P::ClusterChange => cluster::change(front, args, call),
        P::ClusterMetaRaft => cluster::meta_raft(front, args, call),
        P::Monitor => logs::monitor(front),
        P::Exec => transaction::exec(front, call),
        P::Watch => watch::watch(front, args, call),
        P::Migrate => migrate::run(front, args, call),
        P::ConfigRewrite => config::rewrite(front, call),
        P::ConfigSet => config::set(front, args, call),
        P::ScriptKill => script::kill(front, b"script", call),
        P::FunctionKill => script::kill(front, b"function", call),
        P::Info => info::run(front, args, call),
        _ if cluster::is_question(command) => cluster::run(front, args, call),
        _ if script::is_about_all(command) => script::run(front, command, args, call),
        _ if function::executes(command) => function::run(front, command, args, call),
        _ if replication::waits(command) => replication::run(front, command, args, call),
        _ if pubsub::waits(command) => pubsub::run(front, command, args, call),
        _ => {
            let reply = immediate(front, command, args, call.spec).unwrap_or_else(|error| error);
            front.reply(&reply);
        }
    }
}

/// Whether a transaction may hold the command: [`immediate`] answers it, and it does not end or
/// replace the client's session.
pub fn is_immediate(command: ProxyCommand) -> bool {
    use ProxyCommand as P;
    !matches!(
        command,
        P::Quit
            | P::ClientReply
            | P::ClientCaching
            | P::ClientTracking
            | P::ClusterChange
            | P::ClusterMetaRaft
            | P::Exec
            | P::Watch
            | P::Migrate
            | P::ScriptKill
            | P::FunctionKill
            | P::Reset
            | P::Monitor
    ) && !later::waits(Some(command))
        && !acl::waits(command)
}

/// Executes a command that needs nothing from elsewhere.
fn immediate(front: &mut Front, command: ProxyCommand, args: &[&[u8]], spec: &Spec) -> Outcome {
    use ProxyCommand as P;
    let table = Args::new(args);
    match command {
        P::Alone => alone::run(args, spec),
        P::Auth => connection::auth(front, args),
        P::Hello => connection::hello(front, args),
        P::Role => Ok(connection::role(front).reply()),
        P::AclCat
        | P::AclDryRun
        | P::AclGenPass
        | P::AclGetUser
        | P::AclList
        | P::AclLog
        | P::AclUsers
        | P::AclWhoAmI => acl::immediate(front, command, args),
        P::Ping if pubsub::only_listens(front) => pubsub::ping(args),
        P::Ping => connection::ping(args),
        P::Echo => Ok(Reply::bulk(args[0])),
        P::Reset => connection::reset(front),
        P::Select => connection::select(front, args),
        P::Asking | P::ReadOnly | P::ReadWrite => connection::cluster_mode(front, command),
        P::ClientCaching | P::ClientGetRedir | P::ClientTrackingInfo => tracking::run(front, command, args),
        P::ClientGetName
        | P::ClientId
        | P::ClientInfo
        | P::ClientKill
        | P::ClientList
        | P::ClientNoEvict
        | P::ClientNoTouch
        | P::ClientPause
        | P::ClientSetInfo
        | P::ClientSetName
        | P::ClientUnblock
        | P::ClientUnpause => client::run(front, command, args),
        P::Multi => transaction::multi(front),
        P::Discard => transaction::discard(front),
        P::Unwatch => watch::unwatch(front),
        P::PubsubChannels
        | P::PubsubNumPat
        | P::PubsubNumSub
        | P::PubsubShardChannels
        | P::PubsubShardNumSub => pubsub::introspect(front, command, args),
        P::Command => Ok(introspect::all_info()),
        P::CommandCount => Ok(introspect::count()),
        P::CommandDocs => Ok(introspect::docs(&table)),
        P::CommandGetKeys => introspect::get_keys(&table).map_err(Reply::from),
        P::CommandGetKeysAndFlags => introspect::get_keys_and_flags(&table).map_err(Reply::from),
        P::CommandInfo => Ok(introspect::info(&table)),
        P::CommandList => introspect::list(&table).map_err(Reply::from),
        P::MemoryDoctor => Ok(memory::doctor()),
        P::MemoryMallocStats => Ok(memory::malloc_stats()),
        P::MemoryPurge => Ok(memory::purge()),
        P::MemoryStats => Ok(memory::stats(info::resident_bytes())),
        P::Debug => Err(CommandError::DebugDisabled.into()),
        P::ScriptDebug => script::debug(args),
        P::Help if spec.id == Id::ClusterHelp => cluster::help(front, spec),
        P::Help => Ok(introspect::help(spec)),
        P::ConfigGet => Ok(config::get(front, args)),
        P::ConfigSet => config::set_here(front, args),
        P::ConfigResetStat => Ok(config::reset_stat(front)),
        P::Time => Ok(logs::time(front)),
        P::SlowlogGet | P::SlowlogLen | P::SlowlogReset => logs::run(front, command, args),
        P::LatencyDoctor
        | P::LatencyGraph
        | P::LatencyHistogram
        | P::LatencyHistory
        | P::LatencyLatest
        | P::LatencyReset => latency::run(front, command, args),
        _ => Err(Reply::error("ERR the command cannot be executed here")),
    }
}

/// A reply, or an error reply.
type Outcome = Result<Reply, Reply>;

fn is(text: &[u8], word: &str) -> bool {
    text.eq_ignore_ascii_case(word.as_bytes())
}

fn syntax_error() -> Reply {
    CommandError::Syntax.into()
}

/// For a subcommand, the first of `args`, that has more arguments than it takes.
fn surplus(container: &'static str, args: &[&[u8]]) -> Reply {
    CommandError::Subcommand { container, name: args[0].to_vec() }.into()
}

fn integer(text: &[u8]) -> Result<i64, Reply> {
    resp::number::parse_i64(text).ok_or_else(|| CommandError::NotInteger.into())
}
