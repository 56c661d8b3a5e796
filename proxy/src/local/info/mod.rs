//! INFO: figures of this proxy process, and key counts of the groups in view. What the proxy does
//! not know is not shown.

mod commands;

use std::{collections::BTreeSet, fmt::Write as _, rc::Rc, sync::Arc, sync::atomic::Ordering::Relaxed};

use ::commands::{DATABASES, Id};
use resp::{Protocol, Reply};
use tokio::time::{Duration, timeout};
use topology::GroupId;

use super::{connection::REDIS_VERSION, is, script::ask_groups};
use crate::{
    accounts::Reason,
    ask::Asker,
    clients::{ClientInfo, Side},
    connection::Call,
    execute::Front,
    pubsub::Kind,
    settings::Number,
    shared::Shared,
    stats::{self, rates::Totals},
    worker::Worker,
};

/// In the order they are shown, and whether they are shown unless others are asked for.
const SECTIONS: [(&str, bool); 13] = [
    ("server", true),
    ("clients", true),
    ("memory", true),
    ("persistence", true),
    ("stats", true),
    ("replication", true),
    ("cpu", true),
    ("modules", true),
    ("commandstats", false),
    ("errorstats", true),
    ("latencystats", false),
    ("cluster", true),
    ("keyspace", true),
];

/// How long the groups have for their figures; what they do not tell is not shown.
const FIGURES_PATIENCE: Duration = Duration::from_secs(3);

/// Who asks for INFO.
pub struct Inquiry {
    worker: Rc<Worker>,
    client: Arc<ClientInfo>,
    side: Side,
    asker: Asker,
    /// Whose keys are counted.
    in_view: Vec<GroupId>,
}

impl Inquiry {
    pub fn of(front: &Front) -> Self {
        Self {
            in_view: front.view(false),
            worker: front.conn.worker.clone(),
            client: front.conn.info.clone(),
            side: front.session.side,
            asker: front.asker(),
        }
    }

    /// INFO with these arguments.
    pub async fn answer(&self, args: &[&[u8]]) -> Reply {
        let wanted = wanted(args);
        let figures = self.figures(&wanted).await;
        verbatim(self.text(&wanted, &figures))
    }

    fn text(&self, wanted: &BTreeSet<&str>, figures: &Figures) -> String {
        let sections = SECTIONS.iter().filter(|(section, _)| wanted.contains(section));
        sections.map(|(section, _)| self.render(section, figures)).collect::<Vec<_>>().join("\r\n")
    }

    /// What the groups tell of themselves, if anybody wants to know.
    async fn figures(&self, wanted: &BTreeSet<&str>) -> Figures {
        let asker = Asker { protocol: Protocol::Resp2, db: 0, ..self.asker };
        let asked = ask_groups(self.worker.backend.clone(), asker, Id::Figures, Vec::new());
        match asks_groups(wanted) {
            true => {
                let answers = timeout(FIGURES_PATIENCE, asked).await.ok()?.ok()?;
                added(answers, &self.in_view)
            }
            false => None,
        }
    }

    /// Clients of the cluster's side see one database.
    fn keyspace(&self, figures: &Figures) -> Fields {
        let shown = if self.side == Side::Cluster { 1 } else { usize::from(DATABASES) };
        let counts = figures.iter().flat_map(|told| told.databases.iter().take(shown).enumerate());
        let used = counts.filter(|(_, count)| count.keys > 0);
        used.map(|(db, Count { keys, expires })| {
            (format!("db{db}"), format!("keys={keys},expires={expires}"))
        })
        .collect()
    }

    fn render(&self, section: &str, figures: &Figures) -> String {
        let shared = &self.worker.shared;
        let mut out = String::new();
        let title = section[..1].to_ascii_uppercase() + &section[1..];
        line(&mut out, format_args!("# {}", if section == "cpu" { "CPU" } else { &title }));
        let fields = match section {
            "server" => self.server(),
            "clients" => clients(shared),
            "memory" => memory(figures),
            "persistence" => fields([("loading", "0".to_owned()), ("async_loading", "0".to_owned())]),
            "stats" => traffic(shared, figures),
            "replication" => self.worker.cluster.role(self.side).fields(),
            "cpu" => cpu(),
            "commandstats" => commands::calls(shared),
            "errorstats" => commands::errors(shared),
            "latencystats" => commands::latencies(shared),
            "cluster" => fields([("cluster_enabled", u8::from(self.side == Side::Cluster).to_string())]),
            "keyspace" => self.keyspace(figures),
            _ => Vec::new(),
        };
        for (name, value) in fields {
            line(&mut out, format_args!("{name}:{value}"));
        }
        out
    }

    fn server(&self) -> Fields {
        let shared = &self.worker.shared;
        let seconds = shared.now_ms() / 1000;
        let mode = if self.side == Side::Cluster { "cluster" } else { "standalone" };
        fields([
            ("redis_version", REDIS_VERSION.to_owned()),
            ("miraft_version", env!("CARGO_PKG_VERSION").to_owned()),
            ("redis_mode", mode.to_owned()),
            ("os", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
            ("arch_bits", usize::BITS.to_string()),
            ("process_id", std::process::id().to_string()),
            ("run_id", String::from_utf8_lossy(&shared.run_id).into_owned()),
            ("tcp_port", self.client.local.port().to_string()),
            ("server_time_usec", (shared.env.clock.now_ms() * 1000).to_string()),
            ("uptime_in_seconds", seconds.to_string()),
            ("uptime_in_days", (seconds / 86_400).to_string()),
            ("io_threads_active", u8::from(shared.counters.len() > 1).to_string()),
        ])
    }
}

pub fn run(front: &mut Front, args: &[&[u8]], call: Call) {
    let inquiry = Inquiry::of(front);
    let wanted = wanted(args);
    if !asks_groups(&wanted) {
        return front.reply(&verbatim(inquiry.text(&wanted, &None)));
    }
    let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.to_vec()).collect();
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move {
        let args: Vec<&[u8]> = args.iter().map(|arg| &arg[..]).collect();
        inquiry.answer(&args).await
    });
}

/// What groups tell of themselves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    scripts: u64,
    expired_keys: u64,
    hits: u64,
    misses: u64,
    databases: [Count; DATABASES as usize],
}

/// Keys of a database, and those of them that expire.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    keys: u64,
    expires: u64,
}

/// Of all groups; `None`: not every one has told.
type Figures = Option<Told>;

fn asks_groups(wanted: &BTreeSet<&str>) -> bool {
    ["memory", "stats", "keyspace"].iter().any(|section| wanted.contains(section))
}

/// Groups have scripts in common, and keys of their own.
fn added(answers: Vec<(GroupId, Reply)>, in_view: &[GroupId]) -> Figures {
    let mut sum = Told::default();
    for (group, answer) in answers {
        let Reply::Array(numbers) = answer else { return None };
        let number = |at: usize| match numbers.get(at) {
            Some(Reply::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        sum.scripts = sum.scripts.max(number(0)?);
        sum.expired_keys += number(1)?;
        sum.hits += number(2)?;
        sum.misses += number(3)?;
        if !in_view.contains(&group) {
            continue;
        }
        for (db, count) in sum.databases.iter_mut().enumerate() {
            count.keys += number(4 + 2 * db)?;
            count.expires += number(5 + 2 * db)?;
        }
    }
    Some(sum)
}

/// The sections that the arguments name; unknown ones are passed over.
fn wanted(args: &[&[u8]]) -> BTreeSet<&'static str> {
    let all = args.iter().any(|arg| is(arg, "all") || is(arg, "everything"));
    let default = args.is_empty() || args.iter().any(|arg| is(arg, "default"));
    let is_wanted = |&&(section, is_default): &&(&str, bool)| {
        all || default && is_default || args.iter().any(|arg| is(arg, section))
    };
    SECTIONS.iter().filter(is_wanted).map(|(section, _)| *section).collect()
}

fn verbatim(text: String) -> Reply {
    Reply::Verbatim(*b"txt", text.into())
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{text}\r\n");
}

type Fields = Vec<(String, String)>;

fn fields<const N: usize>(pairs: [(&str, String); N]) -> Fields {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn clients(shared: &Shared) -> Fields {
    let awaited = shared.clients.awaited.counts();
    let tracking = shared.tracking.figures();
    fields([
        ("connected_clients", shared.clients.len().to_string()),
        ("maxclients", shared.settings.number(Number::MaxClients).to_string()),
        ("blocked_clients", shared.clients.blocked().to_string()),
        ("tracking_clients", tracking.clients.to_string()),
        ("total_blocking_keys", awaited.keys.to_string()),
        ("total_blocking_keys_on_nokey", awaited.keys_on_nokey.to_string()),
        ("pubsub_clients", shared.pubsub.clients().to_string()),
    ])
}

/// A proxy holds no keys: the memory is that of the process.
fn memory(figures: &Figures) -> Fields {
    let Some(bytes) = resident_bytes() else { return Vec::new() };
    let mut shown = fields([
        ("used_memory", bytes.to_string()),
        ("used_memory_human", human(bytes)),
        ("used_memory_rss", bytes.to_string()),
        ("used_memory_rss_human", human(bytes)),
        ("maxmemory", "0".to_owned()),
        ("maxmemory_human", "0B".to_owned()),
        ("maxmemory_policy", "noeviction".to_owned()),
        ("mem_allocator", "jemalloc".to_owned()),
    ]);
    shown
        .extend(figures.iter().map(|told| ("number_of_cached_scripts".to_owned(), told.scripts.to_string())));
    shown
}

fn traffic(shared: &Shared, figures: &Figures) -> Fields {
    let total = |counter: fn(&crate::shared::Counters) -> &std::sync::atomic::AtomicU64| {
        shared.total(counter).to_string()
    };
    let denied = |reason| shared.accounts.denied.get(reason).to_string();
    let rate = |of: fn(&Totals) -> u64| shared.rates.lock().per_second(of);
    let kilobytes = |bytes: f64| format!("{:.2}", bytes / 1024.0);
    let tracking = shared.tracking.figures();
    let mut shown = fields([
        ("total_connections_received", total(|c| &c.connections)),
        ("total_commands_processed", total(|c| &c.commands)),
        ("total_net_input_bytes", total(|c| &c.input_bytes)),
        ("total_net_output_bytes", total(|c| &c.output_bytes)),
        ("instantaneous_ops_per_sec", format!("{:.0}", rate(|totals| totals.commands))),
        ("instantaneous_input_kbps", kilobytes(rate(|totals| totals.input_bytes))),
        ("instantaneous_output_kbps", kilobytes(rate(|totals| totals.output_bytes))),
        ("rejected_connections", total(|c| &c.rejected_connections)),
        ("pubsub_channels", shared.pubsub.topics(Kind::Channel).to_string()),
        ("pubsub_patterns", shared.pubsub.topics(Kind::Pattern).to_string()),
        ("pubsubshard_channels", shared.pubsub.topics(Kind::Shard).to_string()),
        (
            "client_output_buffer_limit_disconnections",
            shared.pubsub.figures.cut_off.load(Relaxed).to_string(),
        ),
        ("tracking_total_keys", tracking.keys.to_string()),
        ("tracking_total_items", tracking.items.to_string()),
        ("tracking_total_prefixes", tracking.prefixes.to_string()),
        ("total_error_replies", stats::errors(&shared.stats).total.to_string()),
        ("total_protocol_errors", total(|c| &c.protocol_errors)),
        ("acl_access_denied_auth", denied(Reason::Auth)),
        ("acl_access_denied_cmd", denied(Reason::Command)),
        ("acl_access_denied_key", denied(Reason::Key)),
        ("acl_access_denied_channel", denied(Reason::Channel)),
    ]);
    if let Some(told) = figures {
        shown.extend(fields([
            ("expired_keys", told.expired_keys.to_string()),
            ("keyspace_hits", told.hits.to_string()),
            ("keyspace_misses", told.misses.to_string()),
        ]));
    }
    shown
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
