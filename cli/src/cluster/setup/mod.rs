//! `miraft cluster setup`: from proxies that know nobody to a cluster that serves every slot.
//!
//! A loop around [`plan`]: read the state, plan what is missing, ask meta for it, read again, until
//! nothing is missing and every slot is served. It remembers nothing, so it may be cut short and run
//! again, and a cluster that meta or someone else sets up at the same time is no trouble.

mod plan;
mod progress;
mod share;

use std::time::Duration;

use anyhow::bail;
use local_cluster::Role;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use topology::{Change, ClusterState, Command, GroupId, SlotSet};

use self::{
    plan::{Problem, Wish, plan},
    progress::Progress,
};
use super::{Outcome, Seen, Target, names, status::Summary};
use crate::admin::{Admin, AskError, Snapshot};

const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Meta may refuse a change that was planned for a state that is gone; not so often in a row.
const REFUSALS_MAX: u32 = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Proxies that own slots [default: as many as there can be with --replicas].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16384))]
    masters: Option<u32>,
    /// Proxies that stand by for each master; those left over are shared out too.
    #[arg(long, default_value_t = 0)]
    replicas: u32,
    /// Storage nodes to wait for [default: those of the cluster in --dir, else as many as each group
    /// has replicas].
    #[arg(long)]
    nodes: Option<u32>,
    /// Proxies to wait for [default: those of the cluster in --dir, else as few as will do].
    #[arg(long)]
    proxies: Option<u32>,
    /// Give up when the cluster is not whole after so many seconds.
    #[arg(long, default_value_t = 60)]
    wait_s: u64,
    #[command(flatten)]
    target: Target,
}

/// `--json`.
#[derive(Debug, Serialize)]
struct Report {
    /// False: there was nothing to do.
    changed: bool,
    /// What was done, in order.
    steps: Vec<String>,
    summary: Summary,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let mut setup = Setup::new(&args)?;
    setup.run().await?;
    let steps = std::mem::take(&mut setup.steps);
    drop(setup);
    let summary = Summary::of(&Seen::ask(&args.target).await?);
    let report = Report { changed: !steps.is_empty(), steps, summary };
    super::print(&args.target, &report, |paint| {
        let head =
            if report.changed { "the cluster is set up" } else { "nothing to do: the cluster is set up" };
        format!("{head}\n\n{}", report.summary.text(paint))
    })?;
    Ok(Outcome::Fine)
}

/// Who is to be there before anything is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Expected {
    stores: Option<usize>,
    proxies: Option<usize>,
    /// Nobody else will come.
    complete: bool,
}

struct Setup {
    admin: Admin,
    wish: Wish,
    expected: Expected,
    wait: Duration,
    progress: Progress,
    steps: Vec<String>,
    refusals: u32,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Done,
    Wait(String),
    Change(Vec<Command>),
}

impl Setup {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let count = |asked: Option<u32>, role| asked.map(|n| n as usize).or_else(|| args.target.count(role));
        let expected = Expected {
            stores: count(args.nodes, Role::Storage),
            proxies: count(args.proxies, Role::Proxy),
            complete: args.target.count(Role::Proxy).is_some() || args.proxies.is_some(),
        };
        Ok(Self {
            admin: super::admin(&args.target)?,
            wish: Wish { masters: args.masters.map(|n| n as usize), replicas: args.replicas as usize },
            expected,
            wait: Duration::from_secs(args.wait_s),
            progress: Progress::new(args.target.json),
            steps: Vec::new(),
            refusals: 0,
        })
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.wait;
        loop {
            let Some(waiting_for) = self.round().await? else { return Ok(()) };
            if Instant::now() >= deadline {
                bail!("not set up after {} s: {waiting_for}", self.wait.as_secs());
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// What is waited for; none: it is done.
    async fn round(&mut self) -> anyhow::Result<Option<String>> {
        let snapshot = match self.admin.snapshot().await {
            Err(silent @ AskError::Silent(_)) => return Ok(Some(silent.to_string())),
            asked => asked?,
        };
        let waiting_for = match next(&snapshot, self.wish, self.expected)? {
            Next::Done => return Ok(None),
            Next::Wait(lack) => lack,
            Next::Change(commands) => self.change(&snapshot.state, commands).await?,
        };
        self.progress.show(served(&snapshot).len(), &waiting_for);
        Ok(Some(waiting_for))
    }

    /// Until meta refuses one of them: the state is another by now, or it takes time. Answers what
    /// was asked for last.
    async fn change(&mut self, state: &ClusterState, commands: Vec<Command>) -> anyhow::Result<String> {
        let mut last = String::new();
        for command in commands {
            last = describe(state, &command);
            let refused = match self.admin.apply(&command).await {
                Ok(replies) => replies.into_iter().find_map(Result::err),
                Err(AskError::Refused(text)) => Some(text),
                Err(silent @ AskError::Silent(_)) => return Ok(silent.to_string()),
                Err(error) => return Err(error.into()),
            };
            if let Some(refusal) = refused {
                self.refusals += 1;
                if self.refusals >= REFUSALS_MAX {
                    bail!("meta refuses that {last}: {refusal}");
                }
                return Ok(format!("{last}: {refusal}"));
            }
            self.refusals = 0;
            self.progress.step(&last);
            self.steps.push(last.clone());
        }
        Ok(last)
    }
}

/// Waits for who is expected, but only where there is something to do.
fn next(snapshot: &Snapshot, wish: Wish, expected: Expected) -> Result<Next, Problem> {
    let state = &snapshot.state;
    let absent = absent(state, wish, expected);
    match (plan(state, wish), absent) {
        (Ok(commands), _) if commands.is_empty() => Ok(match unserved(snapshot) {
            None => Next::Done,
            Some(lack) => Next::Wait(lack),
        }),
        (Err(problem), _) if !problem.may_pass() => Err(problem),
        (_, Some(absent)) => Ok(Next::Wait(absent)),
        (Ok(commands), None) => Ok(Next::Change(commands)),
        (Err(problem), None) if !expected.complete => Ok(Next::Wait(problem.to_string())),
        (Err(problem), None) => Err(problem),
    }
}

/// Who is expected and not there yet.
fn absent(state: &ClusterState, wish: Wish, expected: Expected) -> Option<String> {
    let (stores, proxies) = (state.present_stores().count(), state.live_proxies().count());
    let least_proxies = wish.masters.unwrap_or(1) * (wish.replicas + 1);
    let wanted_stores = expected.stores.unwrap_or(state.replication as usize);
    let wanted_proxies = expected.proxies.unwrap_or(least_proxies);
    if stores < wanted_stores {
        Some(format!(
            "{stores} of {wanted_stores} storage nodes are there (--nodes says how many to wait for)"
        ))
    } else if proxies < wanted_proxies {
        Some(format!("{proxies} of {wanted_proxies} proxies are there (--proxies says how many to wait for)"))
    } else {
        None
    }
}

fn served(snapshot: &Snapshot) -> SlotSet {
    let led =
        snapshot.state.groups.iter().filter(|(id, group)| group.formed && snapshot.leaders.contains_key(id));
    SlotSet::from_slots(led.flat_map(|(_, group)| group.slots.iter()))
}

/// Nothing is missing, but it takes time.
fn unserved(snapshot: &Snapshot) -> Option<String> {
    let state = &snapshot.state;
    let served = served(snapshot).len() + state.moving.len();
    if served < SlotSet::all().len() {
        return Some(match state.groups.is_empty() {
            true => "meta makes the groups by itself, once its expected_nodes are there".to_owned(),
            false => format!("{served} of {} slots have a leader", SlotSet::all().len()),
        });
    }
    let is_fronted = |id: &GroupId| state.proxies.values().any(|proxy| proxy.fronts.contains(id));
    let mut unfronted = state.groups.iter().filter(|(id, group)| !group.slots.is_empty() && !is_fronted(id));
    unfronted.next().map(|(id, _)| format!("no proxy fronts group {id} yet"))
}

fn describe(state: &ClusterState, command: &Command) -> String {
    let Command::Cluster { at, changes } = command else { return format!("{command:?}") };
    let said: Vec<String> = changes.iter().filter_map(|change| describe_change(state, change)).collect();
    format!("{} {}", names::proxy(state, at), said.join(", "))
}

fn describe_change(state: &ClusterState, change: &Change) -> Option<String> {
    Some(match change {
        Change::Meet { node } => format!("meets {}", names::proxy(state, node)),
        Change::AddSlots { slots } => format!("gets slots {}", names::slots(slots)),
        Change::Replicate { master } => {
            let known = state.by_shown_id(master).map(|(_, proxy)| names::address(proxy));
            format!("replicates {}", known.unwrap_or_else(|| master.clone()))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use topology::{Group, Proxy, ProxyId, StorageNode, StoreId};

    use super::*;

    fn snapshot(stores: u64, proxies: u16) -> Snapshot {
        let store =
            |n| (StoreId(n), StorageNode { name: n.to_string(), rpc_addr: String::new(), gone: false });
        let proxy = |n| {
            let proxy = Proxy { announce_port: n, live: true, realm: n.into(), ..Proxy::default() };
            (ProxyId::of_address("", n), proxy)
        };
        let state = ClusterState {
            replication: 3,
            stores: (1..=stores).map(store).collect(),
            proxies: (1..=proxies).map(proxy).collect(),
            ..ClusterState::default()
        };
        Snapshot { state, leaders: BTreeMap::new() }
    }

    fn waits_for(next: Result<Next, Problem>) -> String {
        match next {
            Ok(Next::Wait(lack)) => lack,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_is_expected_is_waited_for() {
        let expected = Expected { stores: Some(2), proxies: Some(3), complete: true };
        let wish = Wish::default();
        assert!(waits_for(next(&snapshot(1, 3), wish, expected)).starts_with("1 of 2 storage nodes"));
        assert!(waits_for(next(&snapshot(2, 2), wish, expected)).starts_with("2 of 3 proxies"));
        assert!(matches!(next(&snapshot(2, 3), wish, expected), Ok(Next::Change(_))));
        assert!(waits_for(next(&snapshot(2, 3), wish, Expected::default())).starts_with("2 of 3 storage"));
    }

    #[test]
    fn too_few_proxies_are_a_problem_only_if_no_more_are_to_come() {
        let wish = Wish { masters: Some(4), replicas: 0 };
        let all = Expected { stores: Some(1), proxies: Some(3), complete: true };
        let problem = Problem::TooFewProxies { masters: 4, replicas: 0, live: 3 };
        assert_eq!(next(&snapshot(1, 3), wish, all), Err(problem));
        assert!(waits_for(next(&snapshot(3, 3), wish, Expected::default())).starts_with("3 of 4 proxies"));
    }

    #[test]
    fn it_is_done_when_every_slot_has_a_leader() {
        let mut seen = snapshot(3, 1);
        let proxy = ProxyId::of_address("", 1);
        let group = Group { slots: SlotSet::all(), formed: true, ..Group::default() };
        seen.state.groups.insert(GroupId(7), group);
        seen.state.proxies.get_mut(&proxy).unwrap().fronts = vec![GroupId(7)];
        let next = |seen: &Snapshot| {
            next(seen, Wish::default(), Expected { stores: Some(9), ..Expected::default() })
        };
        assert_eq!(waits_for(next(&seen)), "0 of 16384 slots have a leader");
        seen.leaders.insert(GroupId(7), StoreId(1));
        assert_eq!(next(&seen), Ok(Next::Done));
    }
}
