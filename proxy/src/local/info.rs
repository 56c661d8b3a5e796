//! INFO: figures of this proxy process, and key counts of the groups in view. What the proxy does
//! not know is not shown.

use std::{fmt::Write as _, sync::atomic::Ordering::Relaxed};

use commands::{Id, Merge};
use resp::{Reply, number::parse_i64};

use super::{connection::REDIS_VERSION, is};
use crate::{
    ask::{Asker, ask_all},
    clients::Side,
    connection::Call,
    execute::Front,
    pubsub::Kind,
    settings::Number,
    shared::Shared,
    worker::Worker,
};

/// In the order they are shown.
const SECTIONS: [&str; 9] =
    ["server", "clients", "memory", "persistence", "stats", "replication", "cpu", "cluster", "keyspace"];

pub fn run(front: &mut Front, args: &[&[u8]], call: Call) {
    let everything =
        args.is_empty() || args.iter().any(|a| ["all", "default", "everything"].iter().any(|w| is(a, w)));
    let wanted: Vec<&str> =
        SECTIONS.into_iter().filter(|section| everything || args.iter().any(|a| is(a, section))).collect();
    let text = wanted.iter().map(|section| render(front, section)).collect::<Vec<_>>().join("\r\n");
    let groups = front.view();
    if !wanted.contains(&"keyspace") || groups.is_empty() {
        return front.reply(&verbatim(text));
    }
    let token = front.open(call);
    let worker = front.conn.worker.clone();
    let (asker, side) = (front.asker(), front.session.side);
    front.conn.run_later(token, front.session.protocol, async move {
        let mut text = text;
        for (db, keys) in key_counts(&worker, asker, side, &groups).await {
            if keys > 0 {
                line(&mut text, format_args!("db{db}:keys={keys}"));
            }
        }
        verbatim(text)
    });
}

fn verbatim(text: String) -> Reply {
    Reply::Verbatim(*b"txt", text.into())
}

/// Keys of each database; those whose groups do not answer are left out.
async fn key_counts(
    worker: &Worker,
    asker: Asker,
    side: Side,
    groups: &[topology::GroupId],
) -> Vec<(u8, i64)> {
    let databases = if side == Side::Cluster { 1 } else { commands::DATABASES };
    let counts = (0..databases).map(|db| async move {
        let asker = Asker { db, ..asker };
        let reply = ask_all(&*worker.backend, asker, groups, Id::Dbsize, Merge::Sum).await.ok()?;
        let keys = parse_i64(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?)?;
        Some((db, keys))
    });
    futures::future::join_all(counts).await.into_iter().flatten().collect()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{text}\r\n");
}

fn render(front: &Front, section: &str) -> String {
    let shared = &front.conn.worker.shared;
    let mut out = String::new();
    let title = section[..1].to_ascii_uppercase() + &section[1..];
    line(&mut out, format_args!("# {}", if section == "cpu" { "CPU" } else { &title }));
    let put = |name: &str, value: String| (name.to_owned(), value);
    let fields = match section {
        "server" => server(front),
        "clients" => clients(shared),
        "memory" => memory(),
        "persistence" => vec![put("loading", "0".to_owned()), put("async_loading", "0".to_owned())],
        "stats" => stats(shared),
        "replication" => vec![put("role", "master".to_owned()), put("connected_slaves", "0".to_owned())],
        "cpu" => cpu(),
        "cluster" => {
            vec![put("cluster_enabled", u8::from(front.session.side == Side::Cluster).to_string())]
        }
        _ => Vec::new(),
    };
    for (name, value) in fields {
        line(&mut out, format_args!("{name}:{value}"));
    }
    out
}

type Fields = Vec<(String, String)>;

fn fields<const N: usize>(pairs: [(&str, String); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn server(front: &Front) -> Fields {
    let shared = &front.conn.worker.shared;
    let seconds = shared.now_ms() / 1000;
    let mode = if front.session.side == Side::Cluster { "cluster" } else { "standalone" };
    fields([
        ("redis_version", REDIS_VERSION.to_owned()),
        ("miraft_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("redis_mode", mode.to_owned()),
        ("os", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        ("arch_bits", usize::BITS.to_string()),
        ("process_id", std::process::id().to_string()),
        ("run_id", String::from_utf8_lossy(&shared.run_id).into_owned()),
        ("tcp_port", front.conn.info.local.port().to_string()),
        ("server_time_usec", (shared.env.clock.now_ms() * 1000).to_string()),
        ("uptime_in_seconds", seconds.to_string()),
        ("uptime_in_days", (seconds / 86_400).to_string()),
        ("io_threads_active", u8::from(shared.counters.len() > 1).to_string()),
    ])
}

fn clients(shared: &Shared) -> Fields {
    fields([
        ("connected_clients", shared.clients.len().to_string()),
        ("maxclients", shared.settings.number(Number::MaxClients).to_string()),
        ("blocked_clients", shared.clients.blocked().to_string()),
        ("tracking_clients", "0".to_owned()),
        ("pubsub_clients", shared.pubsub.clients().to_string()),
    ])
}

/// A proxy holds no keys: the memory is that of the process.
fn memory() -> Fields {
    let Some(bytes) = resident_bytes() else { return Vec::new() };
    fields([
        ("used_memory", bytes.to_string()),
        ("used_memory_human", human(bytes)),
        ("used_memory_rss", bytes.to_string()),
        ("used_memory_rss_human", human(bytes)),
        ("maxmemory", "0".to_owned()),
        ("maxmemory_human", "0B".to_owned()),
        ("maxmemory_policy", "noeviction".to_owned()),
        ("mem_allocator", "jemalloc".to_owned()),
    ])
}

fn stats(shared: &Shared) -> Fields {
    let total = |counter: fn(&crate::shared::Counters) -> &std::sync::atomic::AtomicU64| {
        shared.total(counter).to_string()
    };
    fields([
        ("total_connections_received", total(|c| &c.connections)),
        ("total_commands_processed", total(|c| &c.commands)),
        ("total_net_input_bytes", total(|c| &c.input_bytes)),
        ("total_net_output_bytes", total(|c| &c.output_bytes)),
        ("rejected_connections", total(|c| &c.rejected_connections)),
        ("pubsub_channels", shared.pubsub.topics(Kind::Channel).to_string()),
        ("pubsub_patterns", shared.pubsub.topics(Kind::Pattern).to_string()),
        ("pubsubshard_channels", shared.pubsub.topics(Kind::Shard).to_string()),
        (
            "client_output_buffer_limit_disconnections",
            shared.pubsub.figures.cut_off.load(Relaxed).to_string(),
        ),
        ("total_protocol_errors", total(|c| &c.protocol_errors)),
    ])
}

fn cpu() -> Fields {
    let Some((user, system)) = cpu_seconds() else { return Vec::new() };
    fields([("used_cpu_sys", format!("{system:.6}")), ("used_cpu_user", format!("{user:.6}"))])
}

/// `VmRSS` of `/proc/self/status`.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kib.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// User and system time: fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms.
fn cpu_seconds() -> Option<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? / 100.0, ticks()? / 100.0))
}

fn human(bytes: u64) -> String {
    let units = [(1u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.2}{unit}", bytes as f64 / *size as f64),
        None => format!("{bytes}B"),
    }
}
