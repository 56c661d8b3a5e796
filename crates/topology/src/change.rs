//! What CLUSTER commands ask for: changes made in the name of one announced node.
//!
//! Slots are owned once in the whole state, whoever knows whom: a proxy that nobody has met yet (an
//! *island*) owns its slots against every other one, so that MEET never finds two owners.
//!
//! Keys outlive the assignment of their slot. A slot that is taken from a group is *parked* there:
//! refused, but with its keys. Assigned to the same group again it is as before. Before another
//! group may have it, the leader of the old one must have found it empty
//! ([`Command::ParkedFound`](crate::Command)), so no key is ever left behind.

mod slots;

use serde::{Deserialize, Serialize};

use crate::{ClusterState, Proxy, ProxyId, Refused, SlotSet, Version};

/// Forgotten ids that are remembered, so that a repeated FORGET is not an error.
const TOMBSTONES_MAX: usize = 4096;

/// One change, serialised as JSON (`{"change": "replicate", "master": "…"}`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// The node and everyone it knows, and `node` and everyone that one knows, know each other.
    Meet {
        node: ProxyId,
    },
    /// `node` becomes an island; what it fronts is fronted by another of those who knew it.
    Forget {
        node: String,
    },
    AddSlots {
        slots: SlotSet,
    },
    /// Whoever owns them.
    DelSlots {
        slots: SlotSet,
    },
    /// Every slot that the node is the master of.
    FlushSlots,
    SetSlot {
        slot: u16,
        to: SlotMark,
    },
    Replicate {
        master: String,
    },
    /// The node drops its slots and its master, and becomes an island. Hard: under a new id.
    Reset {
        hard: bool,
    },
    SetConfigEpoch {
        epoch: u64,
    },
    BumpEpoch,
    /// A replica takes the place of its master.
    Failover {
        /// Also of one that is not live.
        force: bool,
    },
}

/// CLUSTER SETSLOT. Node ids as clients wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", content = "node", rename_all = "snake_case")]
pub enum SlotMark {
    Migrating(String),
    Importing(String),
    Stable,
    /// Its owner, once the group that has it was found to hold no key in it.
    Owner(String),
}

/// What a change answers: the text of a simple string.
pub type Said = String;

const OK: &str = "OK";

impl ClusterState {
    /// Makes `change` in the name of `at`, or refuses it; half-way done then: call it on a copy.
    pub(crate) fn change(&mut self, at: &ProxyId, change: &Change) -> Result<Said, Refused> {
        self.proxy(at)?;
        match change {
            Change::Meet { node } => self.meet(at, node),
            Change::Forget { node } => self.forget(at, node),
            Change::AddSlots { slots } => self.add_slots(at, slots),
            Change::DelSlots { slots } => self.del_slots(at, slots),
            Change::FlushSlots => {
                self.unassign(&self.announced_slots(at));
                Ok(())
            }
            Change::SetSlot { slot, to } => self.set_slot(at, *slot, to),
            Change::Replicate { master } => self.replicate(at, master),
            Change::Reset { hard } => self.reset(at, *hard),
            Change::SetConfigEpoch { epoch } => self.set_config_epoch(at, *epoch),
            Change::BumpEpoch => return self.bump_epoch(at),
            Change::Failover { force } => self.failover(at, *force),
        }?;
        Ok(OK.to_owned())
    }

    fn meet(&mut self, at: &ProxyId, node: &ProxyId) -> Result<(), Refused> {
        let (mine, theirs) = (self.proxy(at)?.realm, self.proxy(node)?);
        if !theirs.live {
            return Err(Refused::ProxyNotLive(node.clone()));
        }
        let theirs = theirs.realm;
        let merged = mine.min(theirs);
        for (id, proxy) in &mut self.proxies {
            if proxy.realm == mine || proxy.realm == theirs {
                proxy.realm = merged;
                self.forgotten.remove(proxy.alias.as_ref().unwrap_or(id));
            }
        }
        Ok(())
    }

    fn forget(&mut self, at: &ProxyId, node: &str) -> Result<(), Refused> {
        let known = match self.find(at, node) {
            Ok(known) => known,
            Err(_) if ProxyId::parse(node).is_some_and(|id| self.forgotten.contains(&id)) => return Ok(()),
            Err(unknown) => return Err(unknown),
        };
        if known == *at {
            return Err(Refused::ForgetMyself);
        }
        if self.proxy(at)?.master_id.as_ref() == Some(&known) {
            return Err(Refused::ForgetMyMaster);
        }
        self.hand_over(&known);
        self.leave(&known)?;
        if !self.proxy(&known)?.live {
            self.proxies.remove(&known);
        }
        Ok(())
    }

    /// `id` is an island from here on, without a role.
    fn leave(&mut self, id: &ProxyId) -> Result<(), Refused> {
        for other in self.proxies.values_mut().filter(|p| p.master_id.as_ref() == Some(id)) {
            other.master_id = None;
        }
        let realm = self.proxy(id)?.realm;
        let alone = !self.proxies.iter().any(|(other, p)| other != id && p.realm == realm);
        let realm = if alone { realm } else { self.allocate_id() };
        let proxy = self.proxy_mut(id)?;
        let shown = proxy.alias.clone().unwrap_or_else(|| id.clone());
        proxy.realm = realm;
        proxy.master_id = None;
        proxy.pinned = false;
        proxy.fronts.clear();
        proxy.migrating.clear();
        proxy.importing.clear();
        self.forgotten.insert(shown);
        if self.forgotten.len() > TOMBSTONES_MAX {
            self.forgotten.pop_first();
        }
        Ok(())
    }

    fn replicate(&mut self, at: &ProxyId, master: &str) -> Result<(), Refused> {
        let master = self.find(at, master)?;
        if master == *at {
            return Err(Refused::ReplicateMyself);
        }
        if self.proxy(&master)?.master_id.is_some() {
            return Err(Refused::ReplicateReplica);
        }
        if !self.announced_slots(at).is_empty() {
            return Err(Refused::NotEmpty);
        }
        for other in self.proxies.values_mut().filter(|p| p.master_id.as_ref() == Some(at)) {
            other.master_id = Some(master.clone());
        }
        let me = self.proxy_mut(at)?;
        me.fronts.clear();
        me.master_id = Some(master);
        me.pinned = true;
        Ok(())
    }

    fn reset(&mut self, at: &ProxyId, hard: bool) -> Result<(), Refused> {
        self.unassign(&self.announced_slots(at));
        self.leave(at)?;
        let next = self.next_version();
        let me = self.proxy_mut(at)?;
        if hard {
            me.config_epoch = 0;
            me.alias = Some(ProxyId::renewed(&me.announce_host, me.announce_port, next.0));
        }
        Ok(())
    }

    fn set_config_epoch(&mut self, at: &ProxyId, epoch: u64) -> Result<(), Refused> {
        let me = self.proxy(at)?;
        if self.proxies.iter().any(|(id, other)| id != at && other.realm == me.realm) {
            return Err(Refused::EpochNotAlone);
        }
        if me.config_epoch != 0 {
            return Err(Refused::EpochSet);
        }
        self.proxy_mut(at)?.config_epoch = epoch;
        self.current_epoch = self.current_epoch.max(epoch);
        Ok(())
    }

    fn bump_epoch(&mut self, at: &ProxyId) -> Result<Said, Refused> {
        let epoch = self.proxy(at)?.config_epoch;
        if epoch != 0 && epoch == self.current_epoch {
            return Ok(format!("STILL {epoch}"));
        }
        self.outrank(at)?;
        Ok(format!("BUMPED {}", self.current_epoch))
    }

    fn failover(&mut self, at: &ProxyId, force: bool) -> Result<(), Refused> {
        let master = self.proxy(at)?.master_id.clone().ok_or(Refused::FailoverOfMaster)?;
        if !self.proxy(&master)?.live && !force {
            return Err(Refused::MasterDown);
        }
        self.succeed(&master, at)
    }

    /// What `id` fronts goes to another that knows it: a replica of its, else the master with the
    /// fewest groups. Nothing changes while there is nobody.
    pub(crate) fn hand_over(&mut self, id: &ProxyId) {
        let Some(left) = self.proxies.get(id) else { return };
        let realm = left.realm;
        let others = || self.proxies.iter().filter(|(other, p)| *other != id && p.live && p.realm == realm);
        let replica = others().find(|(_, p)| p.master_id.as_ref() == Some(id));
        let master = others().filter(|(_, p)| p.master_id.is_none()).min_by_key(|(_, p)| p.fronts.len());
        let successor = replica.or(master).or_else(|| others().next()).map(|(id, _)| id.clone());
        if let Some(successor) = successor {
            // Both are known.
            let _ = self.succeed(id, &successor);
        }
    }

    /// `successor` fronts what `id` does, and `id` and its replicas follow it.
    fn succeed(&mut self, id: &ProxyId, successor: &ProxyId) -> Result<(), Refused> {
        let groups = std::mem::take(&mut self.proxy_mut(id)?.fronts);
        let migrating = std::mem::take(&mut self.proxy_mut(id)?.migrating);
        let next = self.proxy_mut(successor)?;
        next.master_id = None;
        next.pinned = false;
        next.fronts.extend(groups);
        next.fronts.sort_unstable();
        next.migrating.extend(migrating);
        for (other, proxy) in &mut self.proxies {
            if other != successor && (other == id || proxy.master_id.as_ref() == Some(id)) {
                proxy.master_id = Some(successor.clone());
            }
        }
        self.outrank(successor)
    }

    /// As after a failover in Redis: who takes slots over outranks who had them.
    pub(crate) fn outrank(&mut self, id: &ProxyId) -> Result<(), Refused> {
        self.current_epoch += 1;
        self.proxy_mut(id)?.config_epoch = self.current_epoch;
        Ok(())
    }

    /// The version that this change makes, if it makes one.
    fn next_version(&self) -> Version {
        Version(self.version.0 + 1)
    }

    fn proxy(&self, id: &ProxyId) -> Result<&Proxy, Refused> {
        self.proxies.get(id).ok_or_else(|| Refused::UnknownNode(id.to_string()))
    }

    fn proxy_mut(&mut self, id: &ProxyId) -> Result<&mut Proxy, Refused> {
        self.proxies.get_mut(id).ok_or_else(|| Refused::UnknownNode(id.to_string()))
    }

    /// A node by the id that clients see, among those that `at` knows.
    fn find(&self, at: &ProxyId, shown: &str) -> Result<ProxyId, Refused> {
        let realm = self.proxy(at)?.realm;
        let known = self.by_shown_id(shown).filter(|(_, proxy)| proxy.realm == realm);
        known.map(|(id, _)| id.clone()).ok_or_else(|| Refused::UnknownNode(shown.to_owned()))
    }

    fn find_master(
        &self,
        at: &ProxyId,
        shown: &str,
        unknown: fn(String) -> Refused,
    ) -> Result<ProxyId, Refused> {
        let id = self.find(at, shown).map_err(|_| unknown(shown.to_owned()))?;
        match self.proxy(&id)?.master_id {
            Some(_) => Err(Refused::TargetNotMaster),
            None => Ok(id),
        }
    }

    /// A node by the id that clients see, in any letter case.
    pub fn by_shown_id(&self, shown: &str) -> Option<(&ProxyId, &Proxy)> {
        let is = |id: &ProxyId| id.as_str().eq_ignore_ascii_case(shown);
        self.proxies.iter().find(|(id, proxy)| is(proxy.alias.as_ref().unwrap_or(id)))
    }
}
