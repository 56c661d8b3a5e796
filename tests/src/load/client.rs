//! One client of a load.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{ClientReport, Shared, done};
use crate::{
    history::{History, Operation, Outcome},
    resp::{Connection, Value},
};

/// Between attempts to connect to the next proxy.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// First words of errors that say that the command was not and will not be executed.
const REFUSALS: [&str; 4] = ["CLUSTERDOWN", "OVERLOADED", "MISCONF", "OOM"];

pub(super) struct Client {
    number: u32,
    shared: Arc<Shared>,
    random: Random,
    connection: Option<Connection>,
    /// Of the proxy in use, into `plan.proxies`.
    at: usize,
    writes: i64,
    last_write: Instant,
    report: ClientReport,
}

impl Client {
    pub fn new(number: u32, shared: Arc<Shared>) -> Self {
        let at = number as usize % shared.plan.proxies.len();
        let report = ClientReport {
            history: History::default(),
            proxies: Vec::new(),
            errors: Vec::new(),
            write_gap: Duration::ZERO,
            lost_replies: 0,
        };
        Self {
            number,
            shared,
            random: Random(u64::from(number)),
            connection: None,
            at,
            writes: 0,
            last_write: Instant::now(),
            report,
        }
    }

    pub async fn run(mut self) -> ClientReport {
        let mut pace = interval(self.shared.plan.pace);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.shared.stop.load(Ordering::Relaxed) {
            pace.tick().await;
            let number = self.shared.started.fetch_add(1, Ordering::Relaxed);
            if number >= self.shared.plan.operations_max {
                break;
            }
            if self.connected().await {
                self.operate(number).await;
            }
        }
        self.report
    }

    /// Connects if need be, to the next proxy after a failure.
    async fn connected(&mut self) -> bool {
        if self.connection.is_some() {
            return true;
        }
        let address = self.shared.plan.proxies[self.at].clone();
        match timeout(CONNECT_PATIENCE, Connection::open(&address)).await {
            Ok(Ok(connection)) => {
                self.connection = Some(connection);
                self.report.proxies.push(address);
                true
            }
            _ => {
                self.next_proxy();
                tokio::time::sleep(RECONNECT_PAUSE).await;
                false
            }
        }
    }

    fn next_proxy(&mut self) {
        self.connection = None;
        self.at = (self.at + 1) % self.shared.plan.proxies.len();
    }

    async fn operate(&mut self, number: u64) {
        let (key, operation) = self.choose(number);
        let called = Instant::now();
        let outcome = match self.ask(&key, operation).await {
            Ok(reply) => self.judge(&key, operation, &reply),
            Err(_) => {
                self.report.lost_replies += 1;
                self.next_proxy();
                Outcome::Unknown
            }
        };
        self.report.history.record(self.number, &key, operation, called, outcome);
        if operation != Operation::Get && matches!(outcome, Outcome::Done(_)) {
            self.shared.written.fetch_add(1, Ordering::Relaxed);
            self.report.write_gap = self.report.write_gap.max(self.last_write.elapsed());
            self.last_write = Instant::now();
        }
    }

    /// Even keys are registers, odd ones counters; two writes to a read.
    fn choose(&mut self, number: u64) -> (String, Operation) {
        let plan = &self.shared.plan;
        let generation = number / (plan.keys * plan.operations_per_key);
        let key = self.random.below(plan.keys);
        let name = format!("{}:{generation}:{key}", plan.prefix);
        let operation = match (self.random.below(3), key % 2) {
            (0, _) => Operation::Get,
            (_, 0) => {
                self.writes += 1;
                Operation::Set((i64::from(self.number) << 40) | self.writes)
            }
            _ => Operation::Incr,
        };
        (name, operation)
    }

    async fn ask(&mut self, key: &str, operation: Operation) -> io::Result<Value> {
        let Some(connection) = &mut self.connection else { return Err(io::ErrorKind::NotConnected.into()) };
        let patience = self.shared.plan.patience;
        let reply = match operation {
            Operation::Set(value) => {
                timeout(patience, connection.call(["SET", key, &value.to_string()])).await
            }
            Operation::Get => timeout(patience, connection.call(["GET", key])).await,
            Operation::Incr => timeout(patience, connection.call(["INCR", key])).await,
        };
        reply?
    }

    fn judge(&mut self, key: &str, operation: Operation, reply: &Value) -> Outcome {
        if let Some(outcome) = done(operation, reply) {
            return outcome;
        }
        self.report.errors.push(format!("{operation:?} {key}: {reply}"));
        let refused = reply.error().is_some_and(|text| REFUSALS.iter().any(|code| text.starts_with(code)));
        if refused { Outcome::Refused } else { Outcome::Unknown }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
