//! Commands that the proxy executes itself: about the connection, the proxy, the table, the
//! cluster as announced. One file a family.

mod client;
mod cluster;
mod config;
mod connection;
mod info;
mod logs;
mod pubsub;
mod script;
mod transaction;
mod watch;

use commands::{Args, CommandError, ProxyCommand, Spec, functions, introspect, memory};
use resp::Reply;

pub use pubsub::{check_mode, leave as leave_pubsub, only_listens};
pub use transaction::{Transaction, queue};
pub use watch::Watching;

use crate::{connection::Call, execute::Front};

/// Executes `command`; `args` exclude the command's name (a subcommand's name is the first).
pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    use ProxyCommand as P;
    match command {
        P::Quit => connection::quit(front),
        P::ClientReply => client::reply_mode(front, args),
        P::ClusterChange => cluster::change(front, args, call),
        P::ClusterMetaRaft => cluster::meta_raft(front, args, call),
        P::Exec => transaction::exec(front, call),
        P::Watch => watch::watch(front, args, call),
        P::ClusterCountFailureReports
        | P::ClusterCountKeysInSlot
        | P::ClusterGetKeysInSlot
        | P::ClusterInfo
        | P::ClusterKeySlot
        | P::ClusterLinks
        | P::ClusterMyId
        | P::ClusterMyShardId
        | P::ClusterNodes
        | P::ClusterReplicas
        | P::ClusterShards
        | P::ClusterSlots => cluster::run(front, args, call),
        P::ConfigRewrite => config::rewrite(front, call),
        P::ScriptExists | P::ScriptFlush | P::ScriptLoad => script::run(front, command, args, call),
        P::Info => info::run(front, args, call),
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
            | P::ClusterChange
            | P::ClusterMetaRaft
            | P::Exec
            | P::Watch
            | P::ClusterCountFailureReports
            | P::ClusterCountKeysInSlot
            | P::ClusterGetKeysInSlot
            | P::ClusterInfo
            | P::ClusterKeySlot
            | P::ClusterLinks
            | P::ClusterMyId
            | P::ClusterMyShardId
            | P::ClusterNodes
            | P::ClusterReplicas
            | P::ClusterShards
            | P::ClusterSlots
            | P::ConfigRewrite
            | P::ScriptExists
            | P::ScriptFlush
            | P::ScriptLoad
            | P::Info
            | P::Auth
            | P::Hello
            | P::Reset
            | P::Monitor
    ) && !pubsub::waits(command)
}

/// Executes a command that needs nothing from elsewhere.
fn immediate(front: &mut Front, command: ProxyCommand, args: &[&[u8]], spec: &Spec) -> Outcome {
    use ProxyCommand as P;
    let table = Args::new(args);
    match command {
        P::Auth => connection::auth(front, args),
        P::Hello => connection::hello(front, args),
        P::Ping if pubsub::only_listens(front) => pubsub::ping(args),
        P::Ping => connection::ping(args),
        P::Echo => Ok(Reply::bulk(args[0])),
        P::Reset => connection::reset(front),
        P::Select => connection::select(front, args),
        P::Asking | P::ReadOnly | P::ReadWrite => connection::cluster_mode(front, command),
        P::Monitor => logs::monitor(front),
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
        P::FunctionDump => Ok(functions::dump()),
        P::FunctionList => functions::list(&table).map_err(Reply::from),
        P::FunctionRestore => functions::restore(&table).map_err(Reply::from),
        P::FunctionStats => Ok(functions::stats()),
        P::MemoryDoctor => Ok(memory::doctor()),
        P::MemoryMallocStats => Ok(memory::malloc_stats()),
        P::MemoryPurge => Ok(memory::purge()),
        P::MemoryStats => Ok(memory::stats(info::resident_bytes())),
        P::Debug => Err(CommandError::DebugDisabled.into()),
        P::ScriptDebug => Err(Reply::error("ERR scripts cannot be debugged here")),
        P::ScriptKill => Err(Reply::error("NOTBUSY No scripts in execution right now.")),
        P::Help => Ok(introspect::help(spec)),
        P::ConfigGet => Ok(config::get(front, args)),
        P::ConfigSet => config::set(front, args),
        P::ConfigResetStat => Ok(config::reset_stat(front)),
        P::Time => Ok(logs::time(front)),
        P::SlowlogGet
        | P::SlowlogLen
        | P::SlowlogReset
        | P::LatencyDoctor
        | P::LatencyGraph
        | P::LatencyHistogram
        | P::LatencyHistory
        | P::LatencyLatest
        | P::LatencyReset => logs::run(front, command, args),
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

fn integer(text: &[u8]) -> Result<i64, Reply> {
    resp::number::parse_i64(text).ok_or_else(|| CommandError::NotInteger.into())
}
