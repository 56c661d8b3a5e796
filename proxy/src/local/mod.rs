//! Commands that the proxy executes itself: about the connection, the proxy, the table, the
//! cluster as announced. One file a family.

mod client;
mod cluster;
mod config;
mod connection;
mod info;
mod logs;
mod pubsub;
mod transaction;

use commands::{Args, CommandError, ProxyCommand, functions, introspect};
use resp::Reply;

pub use pubsub::{check_mode, leave as leave_pubsub, only_listens};
pub use transaction::{Transaction, queue};

use crate::{connection::Call, execute::Front};

/// Executes `command`; `args` exclude the command's name (a subcommand's name is the first).
pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    use ProxyCommand as P;
    let table = Args::new(args);
    let result = match command {
        P::Auth => connection::auth(front, args),
        P::Hello => connection::hello(front, args),
        P::Ping if pubsub::only_listens(front) => pubsub::ping(args),
        P::Ping => connection::ping(args),
        P::Echo => Ok(Reply::bulk(args[0])),
        P::Quit => return connection::quit(front),
        P::Reset => connection::reset(front),
        P::Select => connection::select(front, args),
        P::Asking | P::ReadOnly | P::ReadWrite => connection::cluster_mode(front, command),
        P::Monitor => logs::monitor(front),
        P::ClientReply => return client::reply_mode(front, args),
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
        P::ClusterChange => return cluster::change(front, args, call),
        P::ClusterMetaRaft => return cluster::meta_raft(front, args, call),
        P::Multi => transaction::multi(front),
        P::Exec => return transaction::exec(front, call),
        P::Discard => transaction::discard(front),
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
        | P::ClusterSlots => return cluster::run(front, args, call),
        P::Psubscribe
        | P::Publish
        | P::PubsubChannels
        | P::PubsubNumPat
        | P::PubsubNumSub
        | P::PubsubShardChannels
        | P::PubsubShardNumSub
        | P::Punsubscribe
        | P::Spublish
        | P::Ssubscribe
        | P::Subscribe
        | P::Sunsubscribe
        | P::Unsubscribe => return pubsub::run(front, command, args, call),
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
        P::Help => Ok(introspect::help(call.spec)),
        P::ConfigGet => Ok(config::get(front, args)),
        P::ConfigSet => config::set(front, args),
        P::ConfigResetStat => Ok(config::reset_stat(front)),
        P::ConfigRewrite => return config::rewrite(front, call),
        P::Info => return info::run(front, args, call),
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
    };
    let reply = result.unwrap_or_else(|error| error);
    front.reply(&reply);
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
