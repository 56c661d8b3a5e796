//! Clients: what they ask, what they are told.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{
    cluster::{CLUSTER_PORT, PLAIN_PORT, PROXIES},
    env::elapsed_ms,
    resp::{Connection, Value},
    rng::Rng,
    trace::Trace,
};
use crate::history::{History, Operation, Outcome};

/// Longer than a proxy tries.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(300);
/// A key is used for so long and then left, so that its history stays short.
const EPOCH_MS: u64 = 4_000;
/// Clients from this number on only read: they would notice a leader that is none any more, where
/// one that writes gets stuck with it.
const FIRST_READER: u32 = 5;
const REGISTERS: usize = 3;
const COUNTERS: usize = 3;
/// Keys written before the storm, enough to reach every group.
const PROBES: usize = 16;

/// Where the run is; each phase begins when the driver says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The cluster comes up.
    Forming,
    /// Clients ask, faults strike.
    Storm,
    /// Clients finish, the cluster recovers.
    Healed,
}

/// What clients and driver share: all on one thread.
pub struct Shared {
    seed: u64,
    pub trace: Trace,
    pub phase: Cell<Phase>,
    /// The warden reached every group through every proxy.
    pub formed: Cell<bool>,
    pub history: RefCell<History>,
    /// The final value of each key, as the warden read it.
    pub finals: RefCell<Vec<(String, Option<i64>)>>,
    /// Calls and returns in the order in which they happened. Hosts' clocks cannot be compared, but
    /// there is one thread, so this is the real-time order.
    sequence: Cell<u64>,
    origin: Instant,
}

impl Shared {
    pub fn new(seed: u64, trace: Trace) -> Rc<Self> {
        Rc::new(Self {
            seed,
            trace,
            phase: Cell::new(Phase::Forming),
            formed: Cell::default(),
            history: RefCell::default(),
            finals: RefCell::default(),
            sequence: Cell::default(),
            origin: Instant::now(),
        })
    }

    /// Later than every moment before.
    fn moment(&self) -> Instant {
        self.sequence.set(self.sequence.get() + 1);
        self.origin + Duration::from_micros(self.sequence.get())
    }

    fn record(&self, client: u32, key: &str, operation: Operation, called: Instant, outcome: Outcome) {
        let returned = self.moment();
        self.history.borrow_mut().record_at(client, key, operation, outcome, called..returned);
        let line = format!("{key} {operation:?} {outcome:?}");
        self.trace.note(elapsed_ms(), &format!("client-{client}"), line.as_bytes());
    }
}

/// A client's way to the cluster: one connection, to another proxy after each trouble.
struct Client {
    id: u32,
    name: String,
    shared: Rc<Shared>,
    connection: Option<Connection>,
    proxy: usize,
    port: u16,
}

impl Client {
    fn new(id: u32, shared: Rc<Shared>) -> Self {
        Self {
            id,
            name: format!("client-{id}"),
            shared,
            connection: None,
            proxy: id as usize % PROXIES,
            port: PLAIN_PORT,
        }
    }

    /// One command; whatever goes wrong ends the connection.
    async fn call(&mut self, command: &[&str]) -> io::Result<Value> {
        let asked = timeout(PATIENCE, async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => {
                    let addr = format!("proxy-{}:{}", self.proxy + 1, self.port);
                    Connection::open(&addr, &self.name, &self.shared.trace).await?
                }
            };
            let reply = connection.call(command).await?;
            Ok((connection, reply))
        });
        match asked.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok((connection, reply)) => {
                self.connection = Some(connection);
                Ok(reply)
            }
            Err(error) => {
                self.proxy = (self.proxy + 1) % PROXIES;
                Err(error)
            }
        }
    }

    /// Asks, and records what came of it. False if there was trouble.
    async fn ask(&mut self, key: &str, operation: Operation) -> bool {
        let called = self.shared.moment();
        let reply = match operation {
            Operation::Set(value) => self.call(&["SET", key, &value.to_string()]).await,
            Operation::Get => self.call(&["GET", key]).await,
            Operation::Incr => self.call(&["INCR", key]).await,
        };
        let outcome = outcome_of(operation, reply);
        self.shared.record(self.id, key, operation, called, outcome);
        matches!(outcome, Outcome::Done(_))
    }
}

/// First words of errors that promise that nothing was or will be done.
const REFUSALS: [&str; 4] = ["CLUSTERDOWN", "OVERLOADED", "MISCONF", "OOM"];

fn is_refusal(error: &str) -> bool {
    REFUSALS.iter().any(|word| error.starts_with(word))
}

fn outcome_of(operation: Operation, reply: io::Result<Value>) -> Outcome {
    match (operation, reply) {
        (Operation::Set(_), Ok(Value::Status(_))) => Outcome::Done(None),
        (Operation::Get, Ok(Value::Bulk(content))) => match content.map(|bytes| parse(&bytes)) {
            None => Outcome::Done(None),
            Some(number) => Outcome::Done(Some(number)),
        },
        (Operation::Incr, Ok(Value::Int(sum))) => Outcome::Done(Some(sum)),
        (_, Ok(Value::Error(text))) if is_refusal(&text) => Outcome::Refused,
        (operation, other) => {
            tracing::debug!(?operation, ?other, "outcome unknown");
            Outcome::Unknown
        }
    }
}

/// Everything stored is a decimal number; anything else is a violation of its own, and a number that
/// nobody wrote.
fn parse(bytes: &[u8]) -> i64 {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(i64::MIN)
}

/// A client of the storm.
pub async fn storm(id: u32, shared: Rc<Shared>) -> turmoil::Result {
    let mut rng = Rng::new(shared.seed, &format!("client-{id}"));
    let mut client = Client::new(id, shared.clone());
    let mut written = 0;
    while shared.phase.get() < Phase::Storm {
        sleep(POLL).await;
    }
    while shared.phase.get() == Phase::Storm {
        let (key, operation) = choose(id, &mut rng, &mut written);
        let well = client.ask(&key, operation).await;
        let pause = if well { Duration::from_millis(rng.range(0, 12)) } else { PAUSE_AFTER_ERROR };
        sleep(pause).await;
    }
    Ok(())
}

fn choose(id: u32, rng: &mut Rng, written: &mut i64) -> (String, Operation) {
    let epoch = elapsed_ms() / EPOCH_MS;
    let is_counter = rng.one_in(2);
    let key = match is_counter {
        true => format!("counter:{epoch}:{}", rng.below(COUNTERS)),
        false => format!("register:{epoch}:{}", rng.below(REGISTERS)),
    };
    if id >= FIRST_READER || rng.one_in(4) {
        return (key, Operation::Get);
    }
    *written += 1;
    (key, if is_counter { Operation::Incr } else { Operation::Set(i64::from(id) * 1_000_000 + *written) })
}

/// Finds out when the cluster serves, and reads every key when the storm is over.
pub async fn warden(shared: Rc<Shared>) -> turmoil::Result {
    let mut client = Client::new(0, shared.clone());
    for proxy in 0..PROXIES {
        client.connection = None;
        for probe in 0..PROBES {
            client.proxy = proxy;
            while !matches!(client.call(&["SET", &format!("probe:{probe}"), "1"]).await, Ok(Value::Status(_)))
            {
                client.proxy = proxy;
                sleep(POLL).await;
            }
        }
    }
    shared.formed.set(true);
    while shared.phase.get() < Phase::Healed {
        sleep(POLL).await;
    }
    // By then every client has its last answer, or has given up.
    sleep(PATIENCE).await;
    for proxy in 0..PROXIES {
        (client.connection, client.proxy, client.port) = (None, proxy, CLUSTER_PORT);
        is_ok(&mut client).await;
        (client.connection, client.port) = (None, PLAIN_PORT);
        let keys = shared.history.borrow().keys();
        for key in keys {
            read(&mut client, proxy, &key).await;
        }
    }
    Ok(())
}

/// Waits until the proxy says that the cluster is well.
async fn is_ok(client: &mut Client) {
    let proxy = client.proxy;
    loop {
        if let Ok(Value::Bulk(Some(info))) = client.call(&["CLUSTER", "INFO"]).await
            && info.starts_with(b"cluster_state:ok")
        {
            return;
        }
        client.proxy = proxy;
        sleep(POLL).await;
    }
}

async fn read(client: &mut Client, proxy: usize, key: &str) {
    loop {
        client.proxy = proxy;
        let called = client.shared.moment();
        let reply = client.call(&["GET", key]).await;
        let outcome = outcome_of(Operation::Get, reply);
        let shared = client.shared.clone();
        shared.record(0, key, Operation::Get, called, outcome);
        if let Outcome::Done(value) = outcome {
            return shared.finals.borrow_mut().push((key.to_owned(), value));
        }
        sleep(POLL).await;
    }
}
