//! Faults, chosen by the seed: what happens to whom, when, and for how long.
//!
//! At most one network fault is in force at a time (turmoil's holds and one-way cuts do not mix);
//! crashes and clock jumps come on top of it.

use std::{rc::Rc, time::Duration};

use turmoil::Sim;

use super::{
    cluster::{Cluster, Process, Role},
    rng::Rng,
    trace::Trace,
};

/// Which faults are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Menu {
    /// Everything.
    Mixed,
    /// A store cut off from its peers, but not from every proxy: what a stale read takes.
    Partitions,
    /// All machines lose power: what a log that was not synced takes.
    PowerLoss,
    /// Connections between proxies and stores break in one direction: what a repeated batch takes.
    BrokenStreams,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Crash,
    PowerLoss,
    CutOneWay,
    CutReplies,
    Split,
    Hold,
    Slow,
    ClockJump,
}

impl Menu {
    fn faults(self) -> &'static [Fault] {
        use Fault::*;
        match self {
            Menu::Mixed => &[
                Crash, Crash, Crash, PowerLoss, CutOneWay, CutOneWay, CutReplies, Split, Split, Hold, Slow,
                ClockJump,
            ],
            Menu::Partitions => &[Split, Split, Split, CutOneWay, Crash],
            Menu::PowerLoss => &[PowerLoss, Crash],
            Menu::BrokenStreams => &[CutReplies, CutReplies, CutReplies, Crash],
        }
    }
}

const CALM_MS: (u64, u64) = (200, 1_500);
const NETWORK_FAULT_MS: (u64, u64) = (300, 5_000);
const CRASH_MS: (u64, u64) = (50, 3_000);
const JUMP_MS: i64 = 20_000;
/// Latency of a message without a fault.
pub const LATENCY_MAX: Duration = Duration::from_millis(5);

type Pair = (String, String);

/// How a network fault ends.
enum Network {
    Cut(Vec<Pair>),
    CutOneWay(Pair),
    Held(Pair),
    Slow,
}

pub struct Nemesis {
    menu: Menu,
    rng: Rng,
    trace: Trace,
    next_ms: u64,
    network: Option<(u64, Network)>,
    down: Vec<(u64, Rc<Process>)>,
    faults: u64,
}

impl Nemesis {
    pub fn new(seed: u64, menu: Menu, trace: Trace) -> Self {
        let rng = Rng::new(seed, "nemesis");
        Self { menu, rng, trace, next_ms: 0, network: None, down: Vec::new(), faults: 0 }
    }

    /// Faults so far.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// To be called between two steps of the simulation.
    pub fn step(&mut self, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) {
        self.end_due(now_ms, sim);
        if now_ms < self.next_ms {
            return;
        }
        let fault = *self.rng.pick(self.menu.faults());
        self.next_ms = now_ms + self.rng.range(CALM_MS.0, CALM_MS.1);
        self.strike(fault, now_ms, sim, cluster);
    }

    /// Ends every fault.
    pub fn heal(&mut self, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) {
        self.end_due(u64::MAX, sim);
        cluster.processes.iter().for_each(|process| process.skew.set(0));
        self.trace.note(now_ms, "nemesis", b"healed");
    }

    fn end_due(&mut self, now_ms: u64, sim: &mut Sim<'_>) {
        if self.network.as_ref().is_some_and(|(until, _)| *until <= now_ms)
            && let Some((_, network)) = self.network.take()
        {
            repair(network, sim);
        }
        let (due, down) = std::mem::take(&mut self.down).into_iter().partition(|(until, _)| *until <= now_ms);
        self.down = down;
        let due: Vec<(u64, Rc<Process>)> = due;
        due.iter().for_each(|(_, process)| sim.bounce(process.name.as_str()));
    }

    fn strike(&mut self, fault: Fault, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) {
        let done = match fault {
            Fault::Crash => self.crash(now_ms, sim, cluster),
            Fault::PowerLoss => self.power_loss(now_ms, sim, cluster),
            Fault::ClockJump => Some(self.clock_jump(cluster)),
            _ if self.network.is_some() => None,
            Fault::CutOneWay => self.cut_one_way(now_ms, sim, cluster),
            Fault::CutReplies => self.cut_replies(now_ms, sim, cluster),
            Fault::Split => Some(self.split(now_ms, sim, cluster)),
            Fault::Hold => self.hold(now_ms, sim, cluster),
            Fault::Slow => Some(self.slow(now_ms, sim)),
        };
        if let Some(what) = done {
            self.faults += 1;
            tracing::info!(now_ms, "nemesis: {what}");
            self.trace.note(now_ms, "nemesis", what.as_bytes());
        }
    }

    fn is_down(&self, process: &Process) -> bool {
        self.down.iter().any(|(_, down)| down.name == process.name)
    }

    fn crash(&mut self, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) -> Option<String> {
        let role = *self.rng.pick(&[Role::Store, Role::Store, Role::Store, Role::Proxy, Role::Meta]);
        let of_role: Vec<&Rc<Process>> = cluster.of(role).collect();
        let victim = (*self.rng.pick(&of_role)).clone();
        if self.is_down(&victim) {
            return None;
        }
        // A process that is killed says goodbye on its connections; a machine that dies does not.
        let silently = self.rng.one_in(2);
        let others: Vec<&str> = cluster.names().into_iter().filter(|name| *name != victim.name).collect();
        if silently && self.network.is_none() {
            others.iter().for_each(|other| sim.partition(victim.name.as_str(), *other));
        }
        sim.crash(victim.name.as_str());
        if silently && self.network.is_none() {
            others.iter().for_each(|other| sim.repair(victim.name.as_str(), *other));
        }
        let until = now_ms + self.rng.range(CRASH_MS.0, CRASH_MS.1);
        let what = format!("crash of {} until {until}, silently: {silently}", victim.name);
        self.down.push((until, victim));
        Some(what)
    }

    fn power_loss(&mut self, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) -> Option<String> {
        if !self.down.is_empty() {
            return None;
        }
        for process in &cluster.processes {
            sim.crash(process.name.as_str());
            // A torn write now and then.
            let kept = if self.rng.one_in(2) { 0 } else { self.rng.below(2_000) };
            process.lose_power(kept);
            self.down.push((now_ms + self.rng.range(50, 500), process.clone()));
        }
        Some("power loss".to_owned())
    }

    fn network_until(&mut self, now_ms: u64) -> u64 {
        now_ms + self.rng.range(NETWORK_FAULT_MS.0, NETWORK_FAULT_MS.1)
    }

    fn two(&mut self, cluster: &Cluster) -> Option<Pair> {
        let stores: Vec<&Rc<Process>> = cluster.of(Role::Store).collect();
        let store = self.rng.pick(&stores).name.clone();
        let other = self.rng.pick(&cluster.processes).name.clone();
        (store != other).then(|| if self.rng.one_in(2) { (store, other) } else { (other, store) })
    }

    fn cut_one_way(&mut self, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) -> Option<String> {
        let (from, to) = self.two(cluster)?;
        Some(self.cut(from, to, now_ms, sim))
    }

    fn cut_replies(&mut self, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) -> Option<String> {
        let stores: Vec<&Rc<Process>> = cluster.of(Role::Store).collect();
        let proxies: Vec<&Rc<Process>> = cluster.of(Role::Proxy).collect();
        let (from, to) = (self.rng.pick(&stores).name.clone(), self.rng.pick(&proxies).name.clone());
        Some(self.cut(from, to, now_ms, sim))
    }

    fn cut(&mut self, from: String, to: String, now_ms: u64, sim: &mut Sim<'_>) -> String {
        let until = self.network_until(now_ms);
        sim.partition_oneway(from.as_str(), to.as_str());
        let what = format!("{from} cut from {to} until {until}");
        self.network = Some((until, Network::CutOneWay((from, to))));
        what
    }

    /// One store and some of the proxies on one side, everything else on the other.
    fn split(&mut self, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) -> String {
        let stores: Vec<&Rc<Process>> = cluster.of(Role::Store).collect();
        let alone = self.rng.pick(&stores).name.clone();
        let (mut left, mut right) = (vec![alone.clone()], Vec::new());
        for process in cluster.processes.iter().filter(|process| process.name != alone) {
            let with_it = process.role != Role::Store
                && self.rng.one_in(if process.role == Role::Proxy { 2 } else { 6 });
            if with_it { left.push(process.name.clone()) } else { right.push(process.name.clone()) }
        }
        let until = self.network_until(now_ms);
        let cut: Vec<Pair> =
            left.iter().flat_map(|l| right.iter().map(move |r| (l.clone(), r.clone()))).collect();
        cut.iter().for_each(|(left, right)| sim.partition(left.as_str(), right.as_str()));
        self.network = Some((until, Network::Cut(cut)));
        format!("{left:?} cut off until {until}")
    }

    fn hold(&mut self, now_ms: u64, sim: &mut Sim<'_>, cluster: &Cluster) -> Option<String> {
        let (a, b) = self.two(cluster)?;
        let until = self.network_until(now_ms);
        sim.hold(a.as_str(), b.as_str());
        let what = format!("messages between {a} and {b} held until {until}");
        self.network = Some((until, Network::Held((a, b))));
        Some(what)
    }

    fn slow(&mut self, now_ms: u64, sim: &mut Sim<'_>) -> String {
        let latency_ms = self.rng.range(20, 300);
        let until = self.network_until(now_ms);
        sim.set_max_message_latency(Duration::from_millis(latency_ms));
        self.network = Some((until, Network::Slow));
        format!("messages take up to {latency_ms} ms until {until}")
    }

    fn clock_jump(&mut self, cluster: &Cluster) -> String {
        let victim = self.rng.pick(&cluster.processes).clone();
        let ms = self.rng.range(0, 2 * JUMP_MS as u64) as i64 - JUMP_MS;
        victim.skew.set(ms);
        format!("clock of {} off by {ms} ms", victim.name)
    }
}

fn repair(network: Network, sim: &mut Sim<'_>) {
    match network {
        Network::Cut(pairs) => pairs.iter().for_each(|(a, b)| sim.repair(a.as_str(), b.as_str())),
        Network::CutOneWay((from, to)) => sim.repair_oneway(from.as_str(), to.as_str()),
        Network::Held((a, b)) => sim.release(a.as_str(), b.as_str()),
        Network::Slow => sim.set_max_message_latency(LATENCY_MAX),
    }
}
