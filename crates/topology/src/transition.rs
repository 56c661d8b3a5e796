//! How each [`Command`] changes a `ClusterState`. Called on a copy: a transition may return an error
//! half-way. Versions and invariants are the caller's.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Change, ClusterState, Command, Group, GroupId, Proxy, ProxyId, Refused, Replica, ReplicaId, Role,
    SLOT_COUNT, Said, SlotSet, StorageNode, StoreId,
};

/// A group for every slot is the most there can be.
const GROUPS_MAX: u32 = SLOT_COUNT as u32;

type Done = Result<(), Refused>;

impl ClusterState {
    /// Answers what the changes of [`Command::Cluster`] say.
    pub(crate) fn transition(&mut self, cmd: &Command) -> Result<Vec<Result<Said, Refused>>, Refused> {
        if let Command::Cluster { at, changes } = cmd {
            return Ok(changes.iter().map(|change| self.change_whole(at, change)).collect());
        }
        self.step(cmd).map(|()| Vec::new())
    }

    /// A change, or nothing at all.
    fn change_whole(&mut self, at: &ProxyId, change: &Change) -> Result<Said, Refused> {
        let mut next = self.clone();
        let said = next.change(at, change)?;
        *self = next;
        Ok(said)
    }

    fn step(&mut self, cmd: &Command) -> Done {
        if let Command::Init { cluster_id, replication } = cmd {
            self.init(cluster_id, *replication);
            return Ok(());
        }
        if self.cluster_id.is_empty() {
            return Err(Refused::NotInitialised);
        }
        match cmd {
            Command::Init { .. } | Command::Cluster { .. } | Command::Libraries { .. } => Ok(()),
            Command::RegisterStore { store, name, rpc_addr } => self.register_store(*store, name, rpc_addr),
            Command::RemoveStore { store } => self.remove_store(*store),
            Command::RegisterProxy {
                proxy,
                announce_host,
                announce_port,
                announce_hostname,
                incarnation,
                apart,
            } => {
                let new = !self.proxies.contains_key(proxy);
                let realm = if new && *apart { self.allocate_id() } else { 0 };
                let entry = self.proxies.entry(proxy.clone()).or_default();
                if new {
                    entry.realm = realm;
                }
                entry.announce_host.clone_from(announce_host);
                entry.announce_port = *announce_port;
                entry.announce_hostname.clone_from(announce_hostname);
                entry.incarnation = *incarnation;
                entry.live = true;
                Ok(())
            }
            Command::ProxyLeaseExpired { proxy, incarnation } => self.set_live(proxy, *incarnation, false),
            Command::ProxyAlive { proxy, incarnation } => self.set_live(proxy, *incarnation, true),
            Command::ForgetProxy { proxy } => self.forget_proxy(proxy),
            Command::HandOver { proxy } => {
                if self.proxies.get(proxy).is_some_and(|p| !p.live && !p.fronts.is_empty()) {
                    self.hand_over(proxy);
                }
                Ok(())
            }
            Command::ParkedFound { group, at, in_use } => self.parked_found(*group, *at, in_use),
            Command::Bootstrap { groups } => self.bootstrap(*groups),
            Command::GroupFormed { group } => {
                self.group_mut(*group)?.formed = true;
                Ok(())
            }
            Command::ReplaceReplica { group, old, new_store } => {
                self.replace_replica(*group, *old, *new_store)
            }
            Command::AddReplica { group, store } => self.add_replica(*group, *store),
            Command::RemoveReplica { group, replica } => self.remove_replica(*group, *replica),
            Command::SetFronts { roles } => self.set_fronts(roles),
            Command::ChangeUsers(change) => self.change_users(change),
            Command::SetNotifications { classes } => {
                self.notifications = *classes;
                Ok(())
            }
            Command::AddNamespace { rule } => self.add_namespace(rule),
            Command::RemoveNamespace { rule } => {
                self.remove_namespace(rule);
                Ok(())
            }
            Command::SettleNamespace { rule, since, in_use } => {
                self.settle_namespace(rule, *since, *in_use);
                Ok(())
            }
        }
    }

    fn init(&mut self, cluster_id: &str, replication: u32) {
        if self.cluster_id.is_empty() {
            self.cluster_id = cluster_id.to_owned();
            self.replication = replication.max(1);
            // 0 is meta's own group.
            self.next_id = 1;
        }
    }

    fn register_store(&mut self, store: StoreId, name: &str, rpc_addr: &str) -> Done {
        if self.stores.get(&store).is_some_and(|known| known.gone) {
            return Err(Refused::StoreGone(store));
        }
        for (&id, other) in &mut self.stores {
            if id != store && other.name == name {
                other.gone = true;
            }
        }
        let node = StorageNode { name: name.to_owned(), rpc_addr: rpc_addr.to_owned(), gone: false };
        self.stores.insert(store, node);
        Ok(())
    }

    fn remove_store(&mut self, store: StoreId) -> Done {
        self.stores.get_mut(&store).ok_or(Refused::UnknownStore(store))?.gone = true;
        Ok(())
    }

    fn set_live(&mut self, proxy: &ProxyId, incarnation: u64, live: bool) -> Done {
        let known = self.proxies.get_mut(proxy).ok_or_else(|| Refused::UnknownProxy(proxy.clone()))?;
        if known.incarnation != incarnation {
            return Err(Refused::StaleIncarnation(proxy.clone()));
        }
        known.live = live;
        Ok(())
    }

    fn forget_proxy(&mut self, proxy: &ProxyId) -> Done {
        match self.proxies.get(proxy) {
            None => return Ok(()),
            Some(known) if known.live => return Err(Refused::ProxyLive(proxy.clone())),
            Some(_) => self.proxies.remove(proxy),
        };
        for other in self.proxies.values_mut() {
            if other.master_id.as_ref() == Some(proxy) {
                other.master_id = None;
            }
        }
        Ok(())
    }

    fn bootstrap(&mut self, groups: u32) -> Done {
        if !self.groups.is_empty() {
            return Ok(());
        }
        if groups == 0 || groups > GROUPS_MAX {
            return Err(Refused::GroupCount { max: GROUPS_MAX });
        }
        for index in 0..groups as usize {
            self.new_group(SlotSet::share(index, groups as usize))?;
        }
        Ok(())
    }

    /// Replicas, and first leaders, are spread evenly over hosts. On a single host all groups are led
    /// by one store: processes that share a machine gain nothing from a leader each, and groups that
    /// are led together share messages and syncs.
    pub(crate) fn new_group(&mut self, slots: SlotSet) -> Result<GroupId, Refused> {
        let stores: Vec<StoreId> = self.present_stores().collect();
        if stores.is_empty() {
            return Err(Refused::NoStores);
        }
        let host = |store: &StoreId| self.stores.get(store).and_then(|node| node.rpc_addr.rsplit_once(':'));
        let hosts: BTreeSet<&str> = stores.iter().filter_map(host).map(|(host, _)| host).collect();
        let first = if hosts.len() > 1 { self.groups.len() } else { 0 };
        let copies = stores.len().min(self.replication as usize);
        let id = GroupId(self.allocate_id());
        let replicas =
            (0..copies).map(|copy| self.new_replica(stores[(first + copy) % stores.len()])).collect();
        self.groups.insert(id, Group { slots, replicas, ..Group::default() });
        Ok(id)
    }

    fn replace_replica(&mut self, group: GroupId, old: ReplicaId, new_store: StoreId) -> Done {
        let Some(position) = self.group_mut(group)?.replicas.iter().position(|r| r.id == old) else {
            return Ok(());
        };
        let replica = self.place(group, new_store)?;
        self.group_mut(group)?.replicas[position] = replica;
        Ok(())
    }

    fn add_replica(&mut self, group: GroupId, store: StoreId) -> Done {
        if self.group_mut(group)?.replicas.iter().any(|r| r.store == store) {
            return Ok(());
        }
        let replica = self.place(group, store)?;
        self.group_mut(group)?.replicas.push(replica);
        Ok(())
    }

    fn remove_replica(&mut self, group: GroupId, replica: ReplicaId) -> Done {
        let target = self.group_mut(group)?;
        if target.replicas.iter().all(|r| r.id != replica) {
            return Ok(());
        }
        if target.replicas.len() == 1 {
            return Err(Refused::LastReplica(group));
        }
        if !target.formed {
            return Err(Refused::NotFormed(group));
        }
        target.replicas.retain(|r| r.id != replica);
        Ok(())
    }

    /// A fresh replica of `group` on `store`. Not before the group has formed: the store of the
    /// first replica initialises the Raft membership from the list, which must not differ from one
    /// process to the next until that is done.
    fn place(&mut self, group: GroupId, store: StoreId) -> Result<Replica, Refused> {
        let target = self.group_mut(group)?;
        if !target.formed {
            return Err(Refused::NotFormed(group));
        }
        if target.replicas.iter().any(|r| r.store == store) {
            return Err(Refused::StoreHoldsGroup { store, group });
        }
        match self.stores.get(&store) {
            None => Err(Refused::UnknownStore(store)),
            Some(node) if node.gone => Err(Refused::StoreGone(store)),
            Some(_) => Ok(self.new_replica(store)),
        }
    }

    fn set_fronts(&mut self, roles: &BTreeMap<ProxyId, Role>) -> Done {
        for (id, role) in roles {
            if let Some(&unknown) = role.fronts.iter().find(|g| !self.groups.contains_key(g)) {
                return Err(Refused::UnknownGroup(unknown));
            }
            let proxy = self.proxies.get_mut(id).ok_or_else(|| Refused::UnknownProxy(id.clone()))?;
            // As after a failover in Redis: who takes slots over outranks who had them.
            if role.fronts.iter().any(|g| !proxy.fronts.contains(g)) {
                self.current_epoch += 1;
                proxy.config_epoch = self.current_epoch;
            }
            proxy.fronts.clone_from(&role.fronts);
            proxy.master_id.clone_from(&role.master);
        }
        Ok(())
    }

    pub(crate) fn group_mut(&mut self, group: GroupId) -> Result<&mut Group, Refused> {
        self.groups.get_mut(&group).ok_or(Refused::UnknownGroup(group))
    }

    fn new_replica(&mut self, store: StoreId) -> Replica {
        Replica { id: ReplicaId(self.allocate_id()), store }
    }

    pub(crate) fn allocate_id(&mut self) -> u64 {
        let id = self.next_id.max(1);
        self.next_id = id + 1;
        id
    }

    /// Stores that may hold replicas.
    pub fn present_stores(&self) -> impl Iterator<Item = StoreId> + '_ {
        self.stores.iter().filter(|(_, node)| !node.gone).map(|(&id, _)| id)
    }

    pub fn live_proxies(&self) -> impl Iterator<Item = (&ProxyId, &Proxy)> + '_ {
        self.proxies.iter().filter(|(_, proxy)| proxy.live)
    }
}
