//! How each [`Command`] changes a `ClusterState`. Called on a copy: a transition may return an error
//! half-way. Versions and invariants are the caller's.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ClusterState, Command, Group, GroupId, Proxy, ProxyId, Refused, Replica, ReplicaId, Role, SLOT_COUNT,
    SlotSet, StorageNode, StoreId,
};

/// A group for every slot is the most there can be.
const GROUPS_MAX: u32 = SLOT_COUNT as u32;

type Done = Result<(), Refused>;

impl ClusterState {
    pub(crate) fn transition(&mut self, cmd: &Command) -> Done {
        if let Command::Init { cluster_id, replication } = cmd {
            self.init(cluster_id, *replication);
            return Ok(());
        }
        if self.cluster_id.is_empty() {
            return Err(Refused::NotInitialised);
        }
        match cmd {
            Command::Init { .. } => Ok(()),
            Command::RegisterStore { store, name, rpc_addr } => self.register_store(*store, name, rpc_addr),
            Command::RemoveStore { store } => self.remove_store(*store),
            Command::RegisterProxy {
                proxy,
                announce_host,
                announce_port,
                announce_hostname,
                incarnation,
            } => {
                let entry = self.proxies.entry(proxy.clone()).or_default();
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
            Command::Bootstrap { groups } => self.bootstrap(*groups),
            Command::GroupFormed { group } => {
                self.group_mut(*group)?.formed = true;
                Ok(())
            }
            Command::AddSlots { group, slots } => self.add_slots(*group, slots),
            Command::ReplaceReplica { group, old, new_store } => {
                self.replace_replica(*group, *old, *new_store)
            }
            Command::AddReplica { group, store } => self.add_replica(*group, *store),
            Command::RemoveReplica { group, replica } => self.remove_replica(*group, *replica),
            Command::SetFronts { roles } => self.set_fronts(roles),
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

    /// Replicas, and first leaders, are spread evenly over hosts. On a single host all groups are led
    /// by one store: processes that share a machine gain nothing from a leader each, and groups that
    /// are led together share messages and syncs.
    fn bootstrap(&mut self, groups: u32) -> Done {
        if !self.groups.is_empty() {
            return Ok(());
        }
        if groups == 0 || groups > GROUPS_MAX {
            return Err(Refused::GroupCount { max: GROUPS_MAX });
        }
        let stores: Vec<StoreId> = self.present_stores().collect();
        if stores.is_empty() {
            return Err(Refused::NoStores);
        }
        let host = |store: &StoreId| self.stores.get(store).and_then(|node| node.rpc_addr.rsplit_once(':'));
        let hosts: BTreeSet<&str> = stores.iter().filter_map(host).map(|(host, _)| host).collect();
        let step = if hosts.len() > 1 { 1 } else { 0 };
        let copies = stores.len().min(self.replication as usize);
        for index in 0..groups as usize {
            let id = GroupId(self.allocate_id());
            let on = |copy: usize| stores[(index * step + copy) % stores.len()];
            let replicas = (0..copies).map(|copy| self.new_replica(on(copy))).collect();
            let slots = SlotSet::share(index, groups as usize);
            self.groups.insert(id, Group { slots, replicas, formed: false });
        }
        Ok(())
    }

    fn add_slots(&mut self, group: GroupId, slots: &SlotSet) -> Done {
        for slot in slots.iter() {
            match self.owner(slot) {
                Some(owner) if owner != group => return Err(Refused::SlotBusy(slot.number())),
                _ => {}
            }
        }
        let target = self.group_mut(group)?;
        target.slots = target.slots.union(slots);
        Ok(())
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

    fn group_mut(&mut self, group: GroupId) -> Result<&mut Group, Refused> {
        self.groups.get_mut(&group).ok_or(Refused::UnknownGroup(group))
    }

    fn new_replica(&mut self, store: StoreId) -> Replica {
        Replica { id: ReplicaId(self.allocate_id()), store }
    }

    fn allocate_id(&mut self) -> u64 {
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
