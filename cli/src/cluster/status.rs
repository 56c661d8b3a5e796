//! `miraft cluster status`: how the cluster is, at a glance.

use std::collections::BTreeMap;

use serde::Serialize;
use topology::{ClusterState, Group, Slot, SlotSet, StoreId};

use super::{Outcome, Seen, Target, names, nodes::MetaNode};
use crate::{
    admin::{Health, Snapshot},
    paint::{Paint, Tone},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub target: Target,
}

pub(super) async fn run(target: &Target) -> anyhow::Result<Outcome> {
    let seen = Seen::ask(target).await?;
    let report = Report::of(&seen);
    super::print(target, &report, |paint| report.text(paint))?;
    Ok(Outcome::Fine)
}

/// `--json`; `state` is `topology::ClusterState` as meta keeps it.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    pub summary: Summary,
    pub meta: Vec<MetaNode>,
    /// Group to storage node.
    leaders: BTreeMap<String, String>,
    state: &'a ClusterState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub cluster_id: String,
    pub version: u64,
    /// `ok` or `fail`, as CLUSTER INFO says.
    pub cluster_state: &'static str,
    pub slots: Slots,
    pub meta: Meta,
    pub storage: Storage,
    pub groups: Groups,
    pub proxies: Proxies,
    /// Storage node to how many groups it leads.
    pub leads: BTreeMap<String, usize>,
    pub moving: Vec<Moving>,
}

/// Slots on their way to a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Moving {
    /// Address of the proxy.
    pub to: String,
    /// Inclusive.
    pub ranges: Vec<(u16, u16)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Slots {
    pub assigned: usize,
    pub unassigned: usize,
    /// Assigned, and their group has a leader.
    pub served: usize,
    /// Refused by the group that has their keys.
    pub parked: usize,
    /// On their way to another proxy.
    pub moving: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Meta {
    pub leader: Option<u64>,
    pub term: u64,
    pub voters: usize,
    pub learners: usize,
    /// Of the voters.
    pub reachable: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Storage {
    pub present: usize,
    pub gone: usize,
    /// Absent where meta does not tell.
    pub connected: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Groups {
    pub total: usize,
    pub led: usize,
    /// With as many replicas as replication asks for.
    pub complete: usize,
    pub replication: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Proxies {
    pub total: usize,
    pub live: usize,
    /// Live, with slots.
    pub masters: usize,
    pub replicas: usize,
    /// Sets of live proxies that know each other.
    pub realms: usize,
}

impl Summary {
    pub fn of(seen: &Seen) -> Self {
        let state = &seen.snapshot.state;
        let slots = slots(seen);
        let proxies = proxies(state);
        let whole = slots.unassigned == 0 && proxies.realms <= 1;
        Self {
            cluster_id: state.cluster_id.clone(),
            version: state.version.0,
            cluster_state: if whole { "ok" } else { "fail" },
            slots,
            meta: meta(seen),
            storage: storage(seen),
            groups: groups(seen),
            proxies,
            leads: leads(&seen.snapshot),
            moving: moving(state),
        }
    }
}

fn slots(seen: &Seen) -> Slots {
    let state = &seen.snapshot.state;
    let count = |sets: &mut dyn Iterator<Item = &SlotSet>| sets.map(SlotSet::len).sum::<usize>();
    let led = state.groups.iter().filter(|(id, _)| seen.snapshot.leaders.contains_key(id));
    let assigned = count(&mut state.groups.values().map(|group| &group.slots)) + state.moving.len();
    Slots {
        assigned,
        unassigned: SlotSet::all().len().saturating_sub(assigned),
        served: count(&mut led.map(|(_, group)| &group.slots)),
        parked: count(&mut state.groups.values().map(|group| &group.parked)),
        moving: state.moving.len(),
    }
}

fn meta(seen: &Seen) -> Meta {
    let members = &seen.members;
    let voters = members.voters().count();
    Meta {
        leader: members.leader,
        term: members.term,
        voters,
        learners: members.members.len() - voters,
        reachable: members.voters().filter(|voter| seen.reached(&voter.address)).count(),
    }
}

fn storage(seen: &Seen) -> Storage {
    let state = &seen.snapshot.state;
    let present = state.present_stores().count();
    let connected = |health: &Health| {
        let is_connected = |id: &StoreId| health.stores.get(id).is_some_and(|store| store.connected);
        state.present_stores().filter(is_connected).count()
    };
    Storage { present, gone: state.stores.len() - present, connected: seen.health.as_ref().map(connected) }
}

fn groups(seen: &Seen) -> Groups {
    let state = &seen.snapshot.state;
    let complete = |group: &&Group| group.replicas.len() >= state.replication as usize;
    Groups {
        total: state.groups.len(),
        led: state.groups.keys().filter(|id| seen.snapshot.leaders.contains_key(id)).count(),
        complete: state.groups.values().filter(complete).count(),
        replication: state.replication,
    }
}

fn proxies(state: &ClusterState) -> Proxies {
    let live = || state.live_proxies();
    let mut realms: Vec<u64> = live().map(|(_, proxy)| proxy.realm).collect();
    realms.sort_unstable();
    realms.dedup();
    Proxies {
        total: state.proxies.len(),
        live: live().count(),
        masters: live().filter(|(id, _)| !state.announced_slots(id).is_empty()).count(),
        replicas: live().filter(|(_, proxy)| proxy.master_id.is_some()).count(),
        realms: realms.len(),
    }
}

fn leads(snapshot: &Snapshot) -> BTreeMap<String, usize> {
    let mut leads = BTreeMap::new();
    for &store in snapshot.leaders.values() {
        *leads.entry(names::store(&snapshot.state, store)).or_default() += 1;
    }
    leads
}

fn moving(state: &ClusterState) -> Vec<Moving> {
    let mut targets: BTreeMap<_, Vec<Slot>> = BTreeMap::new();
    for (&slot, target) in &state.moving {
        targets.entry(target).or_default().extend(Slot::new(slot));
    }
    let moving = |(target, slots): (_, Vec<Slot>)| Moving {
        to: names::proxy(state, target),
        ranges: SlotSet::from_slots(slots).ranges().to_vec(),
    };
    targets.into_iter().map(moving).collect()
}

impl<'a> Report<'a> {
    pub fn of(seen: &'a Seen) -> Self {
        let leaders = seen.snapshot.leaders.iter();
        Self {
            summary: Summary::of(seen),
            meta: MetaNode::all(seen),
            leaders: leaders.map(|(group, store)| (group.to_string(), store.to_string())).collect(),
            state: &seen.snapshot.state,
        }
    }

    fn text(&self, paint: Paint) -> String {
        self.summary.text(paint)
    }
}

/// `name  what there is to say about it`.
struct Line {
    name: &'static str,
    tone: Tone,
    text: String,
}

impl Line {
    fn render(&self, paint: Paint) -> String {
        let name = paint.apply(Tone::Heading, &format!("{:<8}", self.name));
        format!("{name}  {}\n", paint.apply(self.tone, &self.text))
    }
}

impl Summary {
    /// For a reader; `setup` ends with them too.
    pub fn text(&self, paint: Paint) -> String {
        self.lines().iter().map(|line| line.render(paint)).collect()
    }

    fn lines(&self) -> Vec<Line> {
        let judged = |good: bool| if good { Tone::Plain } else { Tone::Doubtful };
        let (slots, meta, storage) = (&self.slots, &self.meta, &self.storage);
        let (groups, proxies) = (&self.groups, &self.proxies);
        let line = |name, good, text| Line { name, tone: judged(good), text };
        let mut lines = vec![
            line("cluster", true, format!("{}, version {}", self.cluster_id, self.version)),
            Line { name: "state", tone: self.tone(), text: self.cluster_state.to_owned() },
            line("slots", slots.served == SlotSet::all().len(), slots.text()),
            line("meta", meta.leader.is_some() && meta.reachable == meta.voters, meta.text()),
            line("storage", storage.connected.is_none_or(|n| n == storage.present), storage.text()),
            line("groups", groups.led == groups.total, groups.text()),
            line("leaders", true, self.leaders_text()),
            line("proxies", proxies.live == proxies.total, proxies.text()),
        ];
        let moving = self.moving.iter().map(|moving| line("moving", true, moving.text()));
        lines.extend(moving);
        lines
    }

    fn tone(&self) -> Tone {
        if self.cluster_state == "ok" { Tone::Good } else { Tone::Bad }
    }

    fn leaders_text(&self) -> String {
        let each =
            self.leads.iter().map(|(name, &groups)| format!("{name} of {}", names::count(groups, "group")));
        let text = each.collect::<Vec<_>>().join(", ");
        if text.is_empty() { "none".to_owned() } else { text }
    }
}

impl Moving {
    fn text(&self) -> String {
        let slots = self.ranges.iter().flat_map(|&(first, last)| (first..=last).filter_map(Slot::new));
        format!("{} to {}", names::slots(&SlotSet::from_slots(slots)), self.to)
    }
}

impl Slots {
    fn text(&self) -> String {
        let mut text =
            format!("{} of {} assigned, {} served", self.assigned, SlotSet::all().len(), self.served);
        if self.parked > 0 {
            text += &format!(", {} parked", self.parked);
        }
        if self.moving > 0 {
            text += &format!(", {} moving", self.moving);
        }
        text
    }
}

impl Meta {
    fn text(&self) -> String {
        let leader = self.leader.map_or_else(|| "no leader".to_owned(), |id| format!("leader {id}"));
        let learners = if self.learners > 0 {
            format!(", {}", names::count(self.learners, "learner"))
        } else {
            String::new()
        };
        format!(
            "{leader} in term {}, {} of {} voters reachable{learners}",
            self.term, self.reachable, self.voters
        )
    }
}

impl Storage {
    fn text(&self) -> String {
        let mut text = names::count(self.present, "node");
        if let Some(connected) = self.connected {
            text += &format!(", {connected} connected");
        }
        if self.gone > 0 {
            text += &format!(", {} gone for good", self.gone);
        }
        text
    }
}

impl Groups {
    fn text(&self) -> String {
        format!(
            "{} of {} led, {} with {} or more",
            self.led,
            self.total,
            self.complete,
            names::count(self.replication as usize, "replica")
        )
    }
}

impl Proxies {
    fn text(&self) -> String {
        let mut text = format!(
            "{} of {} live, {}, {}",
            self.live,
            self.total,
            names::count(self.masters, "master"),
            names::count(self.replicas, "replica")
        );
        if self.realms > 1 {
            text += &format!(", in {} sets that do not know each other", self.realms);
        }
        text
    }
}
