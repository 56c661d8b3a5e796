//! From what meta desires to what runs here. Each step is idempotent; the next tick repeats what
//! failed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use daemon::meta_client::Update;
use raft_rocks::Member;
use tokio::time::Instant;
use topology::{ClusterState, Group, GroupId, StoreId};

use super::Replicas;
use crate::group::{Assigned, Desired, Replica, ReplicaConfig};

/// A group is formed by its first replica; so long after each of them the next one does it, for the first
/// may be gone.
const FORM_AFTER: Duration = Duration::from_secs(2);
/// Replicas that could not be started are tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);

pub struct Reconciler {
    config: ReplicaConfig,
    replicas: Replicas,
    store: StoreId,
    state: ClusterState,
    /// The libraries of functions.
    libraries: Arc<Assigned>,
    /// Groups that have not formed, and since when that is known here.
    unformed: BTreeMap<GroupId, Instant>,
    /// When missing replicas were started last.
    tried: Instant,
}

impl Reconciler {
    pub fn new(config: ReplicaConfig, replicas: Replicas, store: u64) -> Self {
        Self {
            config,
            replicas,
            store: StoreId(store),
            state: ClusterState::default(),
            libraries: Arc::default(),
            unformed: BTreeMap::new(),
            tried: Instant::now(),
        }
    }

    /// The version of the cluster state that this node goes by.
    pub fn version(&self) -> u64 {
        self.state.version.0
    }

    /// Takes in what is new and acts on it.
    pub async fn take_update(&mut self, update: &Update) {
        if let Some(libraries) = &update.libraries {
            let each = libraries.libraries.iter().map(|library| &library[..]);
            self.libraries = Arc::new(Assigned::new(libraries.version, each));
        }
        if !update.state.is_empty() {
            match serde_json::from_slice(&update.state) {
                Ok(state) => self.take_state(state),
                Err(error) => return tracing::error!(%error, "meta sent a state that does not parse"),
            }
            self.start_missing().await;
            self.assign();
            self.drive().await;
        } else if update.libraries.is_some() {
            self.assign();
        }
    }

    fn take_state(&mut self, state: ClusterState) {
        let unformed = state.groups.iter().filter(|(_, group)| !group.formed).map(|(id, _)| *id);
        let since = |id: GroupId| self.unformed.get(&id).copied().unwrap_or_else(Instant::now);
        self.unformed = unformed.map(|id| (id, since(id))).collect();
        self.state = state;
    }

    /// Whether it is for this node to form a group. Its first members are the same for whoever does it, so
    /// several may.
    fn may_form(&self, id: GroupId, group: &Group) -> bool {
        let place = group.replicas.iter().position(|replica| replica.store == self.store);
        let (Some(place), Some(since)) = (place, self.unformed.get(&id)) else { return false };
        since.elapsed() >= FORM_AFTER * place as u32
    }

    fn assign(&self) {
        for (id, group) in &self.state.groups {
            if let Some(replica) = self.replicas.get(id.0) {
                let (slots, parked) = (group.slots.clone(), group.parked.clone());
                let (version, libraries) = (self.state.version.0, self.libraries.clone());
                let (notifications, namespaces) = (self.state.notifications, self.state.namespaces.clone());
                replica.set_desired(Desired { version, slots, parked, libraries, notifications, namespaces });
            }
        }
    }

    /// What is to be done from time to time: replicas that could not be started are tried again.
    pub async fn tick(&mut self) {
        if self.tried.elapsed() >= TRY_AGAIN_AFTER {
            self.start_missing().await;
            self.assign();
        }
        self.drive().await;
    }

    /// Forms new groups; as leader, moves the membership towards what is desired.
    async fn drive(&self) {
        for (id, group) in &self.state.groups {
            let Some(replica) = self.replicas.get(id.0) else { continue };
            let members = self.members(group);
            if members.len() != group.replicas.len() {
                continue;
            }
            if self.may_form(*id, group)
                && let Err(error) = replica.initialize(members.clone()).await
            {
                tracing::warn!(group = id.0, %error, "group not formed yet");
            }
            if group.formed && replica.is_serving() {
                spawn_membership(replica, members, *id);
            }
        }
    }

    async fn start_missing(&mut self) {
        self.tried = Instant::now();
        for (id, group) in &self.state.groups {
            let Some(mine) = group.replicas.iter().find(|r| r.store == self.store) else { continue };
            match self.replicas.get(id.0) {
                Some(running) if running.id() == mine.id.0 => {}
                Some(running) => {
                    tracing::error!(
                        group = id.0,
                        running = running.id(),
                        desired = mine.id.0,
                        "another replica of the group runs here"
                    );
                }
                None => {
                    if let Err(error) = self.start(*id, mine.id.0).await {
                        tracing::error!(group = id.0, error = format!("{error:#}"), "replica not started");
                    }
                }
            }
        }
    }

    async fn start(&self, group: GroupId, replica: u64) -> anyhow::Result<()> {
        self.config.engine.set_replica(group.0, replica)?;
        let started = Replica::start(&self.config, group.0, replica).await?;
        self.replicas.insert(group.0, Arc::new(started));
        Ok(())
    }

    fn members(&self, group: &Group) -> BTreeMap<u64, Member> {
        let member = |r: &topology::Replica| {
            let node = self.state.stores.get(&r.store)?;
            Some((r.id.0, Member { store: r.store.0, addr: node.rpc_addr.clone() }))
        };
        group.replicas.iter().filter_map(member).collect()
    }
}

fn spawn_membership(replica: Arc<Replica>, members: BTreeMap<u64, Member>, group: GroupId) {
    tokio::spawn(async move {
        if let Err(error) = replica.drive_membership(&members).await {
            tracing::warn!(group = group.0, error = format!("{error:#}"), "membership not changed");
        }
    });
}
