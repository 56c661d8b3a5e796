//! What CONFIG GET shows and CONFIG SET changes: Redis's names, each true to what this proxy does.
//!
//! A *number* is a limit that is in force and may be changed; a *choice* is accepted because Redis
//! clients and tools set it, remembered, and changes nothing here; *fixed* ones describe how things
//! are and accept only that value.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
};

use bytes::Bytes;
use commands::limits::{self, LIMITS, Limit};
use parking_lot::Mutex;

use crate::{options::Options, pubsub::OutputLimits, stats::Percentiles};

/// Settings that are read on the way of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    MaxClients,
    TimeoutS,
    BulkBytesMax,
    QueryBytesMax,
    OutputBytesMax,
    SlowlogSlowerUs,
    SlowlogLen,
    LatencyThresholdMs,
    ProtectedMode,
    PubsubHardBytes,
    PubsubSoftBytes,
    PubsubSoftS,
    AclLogLen,
    /// 1: new users may use all channels.
    AclPubsubDefault,
    LatencyTracking,
    TrackingTableKeys,
    /// A script that runs for so long makes everybody be told BUSY; 0: none does.
    BusyReplyMs,
}

const NUMBERS: usize = 17;

#[derive(Clone, Copy)]
enum Kind {
    /// Range, and whether it is written with units (`1mb`).
    Number(Number, i64, i64, bool),
    Flag(Number),
    /// The words for 0, 1 and so on.
    Words(Number, &'static [&'static str]),
    /// Index into [`LIMITS`].
    Small(usize),
    /// The default user's, which is kept elsewhere, and only as a digest.
    Password,
    /// `class hard soft seconds`, for several classes of clients.
    OutputLimits,
    /// Of durations, as INFO shows them.
    Percentiles,
    /// `yes` or `no`, without effect.
    Choice(&'static str),
    /// A number from 0 up to this, likewise.
    Idle(&'static str, i64),
    Fixed(&'static str),
}

#[derive(Clone, Copy)]
struct Parameter {
    name: &'static str,
    kind: Kind,
}

const fn parameter(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind }
}

const BYTES_MAX: i64 = resp::request::BUFFER_BYTES_MAX as i64;
const INT_MAX: i64 = i32::MAX as i64;

static PARAMETERS: &[Parameter] = &[
    parameter("maxclients", Kind::Number(Number::MaxClients, 1, 1_000_000, false)),
    parameter("timeout", Kind::Number(Number::TimeoutS, 0, INT_MAX, false)),
    parameter("proto-max-bulk-len", Kind::Number(Number::BulkBytesMax, 1 << 20, BYTES_MAX, true)),
    parameter("client-query-buffer-limit", Kind::Number(Number::QueryBytesMax, 1 << 20, BYTES_MAX, true)),
    parameter("slowlog-log-slower-than", Kind::Number(Number::SlowlogSlowerUs, -1, i64::MAX, false)),
    parameter("slowlog-max-len", Kind::Number(Number::SlowlogLen, 0, i64::MAX, false)),
    parameter("latency-monitor-threshold", Kind::Number(Number::LatencyThresholdMs, 0, i64::MAX, false)),
    parameter("busy-reply-threshold", Kind::Number(Number::BusyReplyMs, 0, i64::MAX, false)),
    parameter("lua-time-limit", Kind::Number(Number::BusyReplyMs, 0, i64::MAX, false)),
    parameter("latency-tracking", Kind::Flag(Number::LatencyTracking)),
    parameter("latency-tracking-info-percentiles", Kind::Percentiles),
    parameter("protected-mode", Kind::Flag(Number::ProtectedMode)),
    parameter("requirepass", Kind::Password),
    parameter("acllog-max-len", Kind::Number(Number::AclLogLen, 0, i64::MAX, false)),
    parameter("acl-pubsub-default", Kind::Words(Number::AclPubsubDefault, &["resetchannels", "allchannels"])),
    parameter("tracking-table-max-keys", Kind::Number(Number::TrackingTableKeys, 0, i64::MAX, false)),
    // Deletion is always lazy below, keys never leave memory for the disk's sake, and what is on the disk
    // is compressed as the storage nodes say: no effect here.
    parameter("list-compress-depth", Kind::Idle("0", INT_MAX)),
    parameter("lazyfree-lazy-eviction", Kind::Choice("no")),
    parameter("lazyfree-lazy-expire", Kind::Choice("no")),
    parameter("lazyfree-lazy-server-del", Kind::Choice("no")),
    parameter("lazyfree-lazy-user-del", Kind::Choice("no")),
    parameter("lazyfree-lazy-user-flush", Kind::Choice("no")),
    parameter("cluster-node-timeout", Kind::Idle("15000", i64::MAX)),
    parameter("cluster-require-full-coverage", Kind::Choice("yes")),
    parameter("cluster-allow-reads-when-down", Kind::Choice("no")),
    parameter("tcp-keepalive", Kind::Idle("0", INT_MAX)),
    // One value for the whole cluster: shown and set elsewhere.
    parameter("notify-keyspace-events", Kind::Fixed("")),
    // As the client's listener is, and the process is configured: shown elsewhere.
    parameter("aclfile", Kind::Fixed("")),
    parameter("cluster-enabled", Kind::Fixed("no")),
    parameter("port", Kind::Fixed("0")),
    parameter("maxmemory", Kind::Fixed("0")),
    parameter("maxmemory-policy", Kind::Fixed("noeviction")),
    parameter("maxmemory-samples", Kind::Fixed("5")),
    parameter("save", Kind::Fixed("")),
    parameter("appendonly", Kind::Fixed("no")),
    parameter("appendfsync", Kind::Fixed("always")),
    parameter("databases", Kind::Fixed("16")),
    parameter("activerehashing", Kind::Fixed("no")),
    parameter("daemonize", Kind::Fixed("no")),
    parameter("io-threads", Kind::Fixed("1")),
    parameter("dir", Kind::Fixed("/")),
    parameter("dbfilename", Kind::Fixed("")),
    parameter("slave-read-only", Kind::Fixed("yes")),
    parameter("replica-read-only", Kind::Fixed("yes")),
    parameter("client-output-buffer-limit", Kind::OutputLimits),
];

/// What Redis shows for replicas, which are no clients here.
const REPLICA_LIMITS: &str = "slave 268435456 67108864 60";

/// All that there are.
fn parameters() -> impl Iterator<Item = Parameter> {
    let small = LIMITS.iter().enumerate().flat_map(|(at, limit)| {
        [Some(limit.name), limit.alias]
            .into_iter()
            .flatten()
            .map(move |name| parameter(name, Kind::Small(at)))
    });
    PARAMETERS.iter().copied().chain(small)
}

/// Why a parameter cannot be set.
#[derive(Debug, PartialEq, Eq)]
pub enum SetError {
    Unknown,
    /// The reason, as Redis words it.
    Refused(String),
}

/// Up to where collections stay small; each batch tells the storage node.
#[derive(Debug)]
pub struct Small {
    numbers: [AtomicI64; limits::COUNT],
    /// Some are not the defaults.
    changed: AtomicBool,
}

impl Default for Small {
    fn default() -> Self {
        let numbers = std::array::from_fn(|at| AtomicI64::new(LIMITS[at].default));
        Self { numbers, changed: AtomicBool::new(false) }
    }
}

impl Small {
    /// In the order of [`LIMITS`]; empty while they are the defaults.
    pub fn numbers(&self) -> Vec<i64> {
        if !self.changed.load(Relaxed) {
            return Vec::new();
        }
        self.numbers.iter().map(|number| number.load(Relaxed)).collect()
    }

    fn set(&self, at: usize, number: i64) {
        self.numbers[at].store(number, Relaxed);
        let is_default = |(number, limit): (&AtomicI64, &Limit)| number.load(Relaxed) == limit.default;
        self.changed.store(!self.numbers.iter().zip(&LIMITS).all(is_default), Relaxed);
    }
}

/// The settings of a proxy process.
#[derive(Debug)]
pub struct Settings {
    numbers: [AtomicI64; NUMBERS],
    pub small: Arc<Small>,
    pub percentiles: Percentiles,
    /// Of the default user until the cluster has users; empty: none.
    initial_password: Mutex<Bytes>,
    choices: Mutex<Vec<(&'static str, String)>>,
    /// [`Number::SlowlogSlowerUs`], for those who do not know the settings.
    pub late_us: Arc<AtomicI64>,
    /// All of them as configured.
    initial: Vec<(&'static str, Bytes)>,
    /// Commands of one client under way at the same time.
    pub pipeline_depth: usize,
}

impl Settings {
    pub fn new(options: &Options) -> Self {
        let mut settings = Self {
            numbers: Default::default(),
            small: Arc::default(),
            percentiles: Percentiles::default(),
            initial_password: Mutex::new(Bytes::copy_from_slice(options.requirepass.as_bytes())),
            choices: Mutex::new(Vec::new()),
            late_us: Arc::default(),
            initial: Vec::new(),
            pipeline_depth: options.pipeline_depth,
        };
        for (number, value) in [
            (Number::MaxClients, i64::from(options.maxclients)),
            (Number::TimeoutS, i64::from(options.timeout_s)),
            (Number::BulkBytesMax, options.proto_max_bulk_bytes as i64),
            (Number::QueryBytesMax, options.query_buffer_bytes as i64),
            (Number::OutputBytesMax, options.output_buffer_bytes as i64),
            (Number::SlowlogSlowerUs, options.slowlog_slower_us),
            (Number::SlowlogLen, options.slowlog_len as i64),
            (Number::ProtectedMode, i64::from(options.protected_mode)),
            (Number::PubsubHardBytes, 32 << 20),
            (Number::PubsubSoftBytes, 8 << 20),
            (Number::PubsubSoftS, 60),
            (Number::AclLogLen, 128),
            (Number::LatencyTracking, 1),
            (Number::TrackingTableKeys, 1_000_000),
            (Number::BusyReplyMs, 5000),
        ] {
            settings.numbers[number as usize].store(value, Relaxed);
        }
        settings.late_us.store(settings.number(Number::SlowlogSlowerUs), Relaxed);
        settings.initial = settings.get(|_| true);
        settings
    }

    pub fn number(&self, number: Number) -> i64 {
        self.numbers[number as usize].load(Relaxed)
    }

    /// A limit as a size.
    pub fn limit(&self, number: Number) -> usize {
        usize::try_from(self.number(number)).unwrap_or(0)
    }

    /// Of the default user until the cluster has users; empty: none.
    pub fn initial_password(&self) -> Bytes {
        self.initial_password.lock().clone()
    }

    /// How much may wait for a client that subscribes.
    pub fn pubsub_limits(&self) -> OutputLimits {
        OutputLimits {
            hard_bytes: self.limit(Number::PubsubHardBytes),
            soft_bytes: self.limit(Number::PubsubSoftBytes),
            soft_ms: self.limit(Number::PubsubSoftS) as u64 * 1000,
        }
    }

    fn output_limits(&self) -> String {
        let number = |number| self.number(number);
        let (hard, soft) = (number(Number::PubsubHardBytes), number(Number::PubsubSoftBytes));
        let normal = number(Number::OutputBytesMax);
        let seconds = number(Number::PubsubSoftS);
        format!("normal {normal} 0 0 {REPLICA_LIMITS} pubsub {hard} {soft} {seconds}")
    }

    /// Nothing is changed unless all of it is right.
    fn set_output_limits(&self, value: &[u8]) -> Result<(), &'static str> {
        let words: Vec<&[u8]> = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
        let (groups, rest) = words.as_chunks::<4>();
        if !rest.is_empty() || groups.is_empty() {
            return Err("Wrong number of arguments in buffer limit configuration.");
        }
        let mut numbers = Vec::new();
        for [class, hard, soft, seconds] in groups {
            let size = |text: &[u8]| parse_memory(text).filter(|bytes| (0..=BYTES_MAX).contains(bytes));
            let seconds = resp::number::parse_i64(seconds).filter(|s| (0..=i64::from(i32::MAX)).contains(s));
            let (Some(hard), Some(soft), Some(seconds)) = (size(hard), size(soft), seconds) else {
                return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
            };
            match class.to_ascii_lowercase().as_slice() {
                // Nothing is without limit here.
                b"normal" => numbers.push((Number::OutputBytesMax, if hard == 0 { BYTES_MAX } else { hard })),
                b"slave" | b"replica" => {}
                b"pubsub" => numbers.extend([
                    (Number::PubsubHardBytes, if hard == 0 { BYTES_MAX } else { hard }),
                    (Number::PubsubSoftBytes, soft),
                    (Number::PubsubSoftS, seconds),
                ]),
                _ => return Err("Invalid client class specified in buffer limit configuration."),
            }
        }
        for (number, value) in numbers {
            self.numbers[number as usize].store(value, Relaxed);
        }
        Ok(())
    }

    /// Names and values of the parameters whose name `matches`.
    pub fn get(&self, matches: impl Fn(&'static str) -> bool) -> Vec<(&'static str, Bytes)> {
        parameters().filter(|p| matches(p.name)).map(|p| (p.name, self.value(&p))).collect()
    }

    /// Names and values of the parameters that are not as configured.
    pub fn changed(&self) -> Vec<(&'static str, Bytes)> {
        let now = self.get(|_| true).into_iter();
        let settable = |name| parameters().any(|p| p.name == name && !matches!(p.kind, Kind::Fixed(_)));
        now.zip(&self.initial)
            .filter(|(now, then)| now != *then && settable(now.0))
            .map(|(now, _)| now)
            .collect()
    }

    /// Whether there is a parameter of that (lower-case) name.
    pub fn knows(&self, name: &str) -> bool {
        parameters().any(|p| p.name == name)
    }

    /// Sets one parameter (lower-case name); answers what undoes it.
    pub fn set(&self, name: &str, value: &[u8]) -> Result<Bytes, SetError> {
        let parameter = parameters().find(|p| p.name == name).ok_or(SetError::Unknown)?;
        let old = self.value(&parameter);
        let refused = |text: &str| SetError::Refused(text.to_owned());
        match parameter.kind {
            Kind::Number(number, min, max, with_units) => {
                self.numbers[number as usize].store(parse_number(value, min, max, with_units)?, Relaxed);
                self.late_us.store(self.number(Number::SlowlogSlowerUs), Relaxed);
            }
            Kind::Small(at) => {
                let Limit { min, max, is_memory, .. } = LIMITS[at];
                self.small.set(at, parse_number(value, min, max, is_memory)?);
            }
            Kind::Flag(number) => {
                let flag = yes_or_no(value).ok_or_else(|| refused("argument must be 'yes' or 'no'"))?;
                self.numbers[number as usize].store(i64::from(flag), Relaxed);
            }
            Kind::Words(number, words) => {
                let at = words.iter().position(|word| word.as_bytes().eq_ignore_ascii_case(value));
                let one_of = || format!("argument(s) must be one of the following: {}", words.join(", "));
                let at = at.ok_or_else(|| SetError::Refused(one_of()))?;
                self.numbers[number as usize].store(at as i64, Relaxed);
            }
            Kind::Password => *self.initial_password.lock() = Bytes::copy_from_slice(value),
            Kind::OutputLimits => self.set_output_limits(value).map_err(refused)?,
            Kind::Percentiles => self.percentiles.set(value).map_err(refused)?,
            Kind::Choice(_) => {
                let flag = yes_or_no(value).ok_or_else(|| refused("argument must be 'yes' or 'no'"))?;
                self.choose(parameter.name, if flag { "yes" } else { "no" }.to_owned());
            }
            Kind::Idle(_, max) => {
                self.choose(parameter.name, parse_number(value, 0, max, false)?.to_string());
            }
            Kind::Fixed(_) if old.eq_ignore_ascii_case(value) => {}
            Kind::Fixed(_) => return Err(refused("can't set immutable config")),
        }
        Ok(old)
    }

    fn choose(&self, name: &'static str, value: String) {
        let mut choices = self.choices.lock();
        choices.retain(|(known, _)| *known != name);
        choices.push((name, value));
    }

    fn value(&self, parameter: &Parameter) -> Bytes {
        match parameter.kind {
            Kind::Number(number, ..) => self.number(number).to_string().into(),
            Kind::Small(at) => self.small.numbers[at].load(Relaxed).to_string().into(),
            Kind::Flag(number) => Bytes::from_static(if self.number(number) != 0 { b"yes" } else { b"no" }),
            Kind::Words(number, words) => {
                let at = usize::try_from(self.number(number)).unwrap_or(0);
                Bytes::from_static(words.get(at).copied().unwrap_or_default().as_bytes())
            }
            // It is not known.
            Kind::Password => Bytes::new(),
            Kind::OutputLimits => self.output_limits().into(),
            Kind::Percentiles => self.percentiles.text().into(),
            Kind::Choice(default) | Kind::Idle(default, _) => {
                let choices = self.choices.lock();
                let chosen = choices.iter().find(|(name, _)| *name == parameter.name);
                chosen.map_or(Bytes::from_static(default.as_bytes()), |(_, v)| v.clone().into())
            }
            Kind::Fixed(value) => Bytes::from_static(value.as_bytes()),
        }
    }
}

fn parse_number(value: &[u8], min: i64, max: i64, with_units: bool) -> Result<i64, SetError> {
    let parsed = if with_units { parse_memory(value) } else { resp::number::parse_i64(value) };
    let parsed = parsed.ok_or_else(|| {
        SetError::Refused(if with_units {
            "argument must be a memory value".to_owned()
        } else {
            "argument couldn't be parsed into an integer".to_owned()
        })
    })?;
    if (min..=max).contains(&parsed) {
        return Ok(parsed);
    }
    Err(SetError::Refused(format!("argument must be between {min} and {max} inclusive")))
}

fn yes_or_no(value: &[u8]) -> Option<bool> {
    match value {
        v if v.eq_ignore_ascii_case(b"yes") => Some(true),
        v if v.eq_ignore_ascii_case(b"no") => Some(false),
        _ => None,
    }
}

/// `10`, `10k` (1000), `10kb` (1024), and so on.
fn parse_memory(text: &[u8]) -> Option<i64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'-').count();
    let (number, unit) = text.split_at(digits);
    let factor: i64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    resp::number::parse_i64(number)?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(settings: &Settings, name: &str) -> Bytes {
        settings.get(|n| n == name).remove(0).1
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = parameters().map(|p| p.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), parameters().count());
    }

    #[test]
    fn limits_take_effect_and_are_checked() {
        let settings = Settings::new(&Options::default());
        assert_eq!(settings.set("proto-max-bulk-len", b"2mb"), Ok("536870912".into()));
        assert_eq!(settings.limit(Number::BulkBytesMax), 2 << 20);
        assert!(matches!(settings.set("proto-max-bulk-len", b"1"), Err(SetError::Refused(_))));
        assert!(matches!(settings.set("maxclients", b"many"), Err(SetError::Refused(_))));
        assert_eq!(settings.set("no-such", b""), Err(SetError::Unknown));
        assert!(settings.set("slowlog-max-len", b"100000000").is_ok());
    }

    #[test]
    fn numbers_without_effect_are_numbers() {
        let settings = Settings::new(&Options::default());
        let refused = |name, value: &str| match settings.set(name, value.as_bytes()) {
            Err(SetError::Refused(text)) => text,
            other => panic!("{name} {value}: {other:?}"),
        };
        for name in ["tcp-keepalive", "cluster-node-timeout", "list-compress-depth"] {
            assert_eq!(refused(name, "abc"), "argument couldn't be parsed into an integer");
            settings.set(name, b"77").unwrap();
            assert_eq!(value(&settings, name), "77");
        }
        let between = "argument must be between 0 and 2147483647 inclusive";
        assert_eq!(refused("tcp-keepalive", "-1"), between);
    }

    #[test]
    fn fixed_ones_accept_only_what_is_true() {
        let settings = Settings::new(&Options::default());
        assert!(settings.set("appendonly", b"no").is_ok());
        assert!(matches!(settings.set("appendonly", b"yes"), Err(SetError::Refused(_))));
        assert!(settings.set("lazyfree-lazy-expire", b"yes").is_ok());
        assert_eq!(value(&settings, "lazyfree-lazy-expire"), "yes");
    }

    #[test]
    fn output_limits_are_set_by_class() {
        const NAME: &str = "client-output-buffer-limit";
        let settings = Settings::new(&Options::default());
        let shown = |normal, pubsub| format!("normal {normal} 0 0 {REPLICA_LIMITS} pubsub {pubsub}");
        assert_eq!(value(&settings, NAME), shown("1073741824", "33554432 8388608 60"));
        settings.set(NAME, b"pubsub 1mb 2k 3").unwrap();
        assert_eq!(value(&settings, NAME), shown("1073741824", "1048576 2000 3"));
        let limits = OutputLimits { hard_bytes: 1 << 20, soft_bytes: 2000, soft_ms: 3000 };
        assert_eq!(settings.pubsub_limits(), limits);
        let all = shown("5", "33554432 8388608 60");
        settings.set(NAME, all.as_bytes()).unwrap();
        assert_eq!(value(&settings, NAME), all);
        for wrong in
            ["", "pubsub 1 2", "pubsub 1 2 x", "pubsub -1 0 0", "nobody 1 2 3", "pubsub 1 1 1 normal"]
        {
            assert!(matches!(settings.set(NAME, wrong.as_bytes()), Err(SetError::Refused(_))), "{wrong}");
        }
        assert_eq!(value(&settings, NAME), all);
    }

    #[test]
    fn the_password_is_not_told() {
        let settings = Settings::new(&Options::default());
        settings.set("requirepass", b"secret").unwrap();
        assert_eq!(settings.initial_password(), "secret");
        assert_eq!(value(&settings, "requirepass"), "");
        assert!(!format!("{:?}", settings.changed()).contains("secret"));
    }

    #[test]
    fn words_stand_for_numbers() {
        let settings = Settings::new(&Options::default());
        assert_eq!(value(&settings, "acl-pubsub-default"), "resetchannels");
        settings.set("acl-pubsub-default", b"AllChannels").unwrap();
        assert_eq!(value(&settings, "acl-pubsub-default"), "allchannels");
        assert!(matches!(settings.set("acl-pubsub-default", b"some"), Err(SetError::Refused(_))));
    }
}
