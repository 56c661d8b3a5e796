//! Options of a proxy process.

use serde::{Deserialize, Serialize};

/// What cluster clients are told when they ask a proxy that is not the announced master of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moved {
    /// The answer: every proxy serves every slot.
    Never,
    /// Where to go, as Redis does, so that clients spread their load.
    Always,
}

daemon::options! {
    /// Configuration of `miraft-proxy`.
    pub struct Options("miraft-proxy", "proxy", check = check) {
        /// host:port of the cluster listener (this proxy as one node of a Redis Cluster); port 0
        /// picks a free one.
        pub listen: String = "127.0.0.1:6379".to_owned(),
        /// host:port of the plain listener (the whole keyspace as one Redis with 16 databases); off
        /// when absent.
        pub plain_listen: Option<String> = None,
        /// Host that cluster clients are told to connect to; empty: the bound address.
        pub announce_host: String = String::new(),
        /// Port that cluster clients are told to connect to; 0: the bound one.
        pub announce_port: u16 = 0,
        /// Host name announced beside the address; may be empty.
        pub announce_hostname: String = String::new(),
        /// Redirect cluster clients to the announced master of a slot: never (every proxy serves all
        /// slots) or always (as Redis does).
        pub moved: Moved = Moved::Never,
        /// Meta nodes, host:port each.
        pub meta: Vec<String> = vec!["127.0.0.1:7300".to_owned()],
        /// host:port for health and metrics; off when absent.
        pub http_listen: Option<String> = None,
        /// Threads that serve clients.
        pub workers: usize = 1,
        /// Password of the default user until the cluster has users of its own; empty: none is asked for.
        pub requirepass: String = String::new(),
        /// File with users, as Redis's ACL file: the first users of the cluster, and what ACL LOAD reads and ACL
        /// SAVE writes. Both are refused when absent.
        pub aclfile: Option<String> = None,
        /// Without a password, refuse clients of other machines.
        pub protected_mode: bool = true,
        /// Clients at the same time.
        pub maxclients: u32 = 10_000,
        /// Close a client that is idle for so many seconds; 0: never.
        pub timeout_s: u32 = 0,
        /// Longest argument of a command, bytes.
        pub proto_max_bulk_bytes: usize = resp::request::BULK_BYTES_MAX,
        /// Most bytes a client may have sent without completing a command.
        pub query_buffer_bytes: usize = 1 << 30,
        /// Most bytes of replies that wait for one client to read them; past it the client is closed.
        pub output_buffer_bytes: usize = 1 << 30,
        /// Commands of one client under way at the same time; more are left unread.
        pub pipeline_depth: usize = 4096,
        /// How long a command may wait for the leader of its group, ms.
        pub deadline_ms: u64 = 10_000,
        /// Commands slower than this enter the slow log, µs; negative: none.
        pub slowlog_slower_us: i64 = 10_000,
        /// Entries kept in the slow log.
        pub slowlog_len: usize = 128,
        /// File in which CONFIG REWRITE keeps what CONFIG SET changed; read at the start, over all
        /// other configuration. CONFIG REWRITE is refused when absent.
        pub settings_file: Option<String> = None,
    }
}

fn check(options: &Options) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if options.meta.is_empty() {
        problems.push(("meta", "name at least one meta node".to_owned()));
    }
    if options.workers == 0 {
        problems.push(("workers", "must be at least 1".to_owned()));
    }
    if options.maxclients == 0 {
        problems.push(("maxclients", "must be at least 1".to_owned()));
    }
    if options.pipeline_depth == 0 {
        problems.push(("pipeline_depth", "must be at least 1".to_owned()));
    }
    if options.proto_max_bulk_bytes < 1 << 20 {
        problems.push(("proto_max_bulk_bytes", "must be at least 1048576".to_owned()));
    }
    if options.query_buffer_bytes < 1 << 20 || options.query_buffer_bytes > resp::request::BUFFER_BYTES_MAX {
        problems.push(("query_buffer_bytes", "must be 1048576 to 4294967295".to_owned()));
    }
    problems
}
