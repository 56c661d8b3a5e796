//! The routing table: slot → group → replicas, made from a `ClusterState`. Immutable; a new
//! version replaces it as a whole.

use std::{collections::BTreeMap, sync::Arc};

use smallvec::SmallVec;
use topology::{ClusterState, GroupId, Namespaces, ProxyId, SLOT_COUNT, Slot, StoreId, Version};

use super::announced::Announced;

/// Marks a slot that no group serves.
const NOBODY: u16 = u16::MAX;

/// A group as commands are routed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutedGroup {
    pub id: GroupId,
    /// Stores of its replicas, in the order of the topology.
    pub replicas: SmallVec<[StoreId; 4]>,
}

/// Where each slot is served.
#[derive(Debug)]
pub struct Routes {
    pub version: Version,
    /// Index into `groups` for each slot.
    slots: Box<[u16]>,
    /// Ascending by first slot; groups without slots last.
    groups: Vec<RoutedGroup>,
    /// host:port of each store.
    addresses: BTreeMap<StoreId, Arc<str>>,
    /// As this proxy announces them.
    announced: Announced,
    /// `None`: there are no rules.
    namespaces: Option<Arc<Namespaces>>,
    /// What CLUSTER commands answer from.
    pub state: ClusterState,
}

impl Routes {
    /// Before the first topology: nobody serves anything.
    pub fn empty() -> Self {
        Self::of(ClusterState::default(), &ProxyId::of_address("", 0))
    }

    /// As seen by proxy `me`.
    pub fn of(state: ClusterState, me: &ProxyId) -> Self {
        let mut order: Vec<_> = state.groups.iter().collect();
        order.sort_by_key(|(id, g)| (g.slots.ranges().first().map_or(u16::MAX, |r| r.0), **id));
        let mut slots = vec![NOBODY; usize::from(SLOT_COUNT)].into_boxed_slice();
        let mut groups = Vec::with_capacity(order.len());
        for (at, (&id, group)) in order.into_iter().enumerate() {
            // What is on its way elsewhere is refused there until it has arrived, and then routed anew.
            let moving = group.parked.iter().filter(|slot| state.moving.contains_key(&slot.number()));
            for slot in group.slots.iter().chain(moving) {
                slots[usize::from(slot.number())] = at as u16;
            }
            groups.push(RoutedGroup { id, replicas: group.replicas.iter().map(|r| r.store).collect() });
        }
        let addresses =
            state.stores.iter().map(|(&id, node)| (id, Arc::from(node.rpc_addr.as_str()))).collect();
        let announced = Announced::of(&state, me);
        let namespaces = (!state.namespaces.is_empty()).then(|| Arc::new(state.namespaces.clone()));
        Self { version: state.version, slots, groups, addresses, announced, namespaces, state }
    }

    /// Which keys are namespaces; `None`: none is.
    pub fn namespaces(&self) -> Option<&Arc<Namespaces>> {
        self.namespaces.as_ref()
    }

    /// What this proxy announces.
    pub fn announced(&self) -> &Announced {
        &self.announced
    }

    /// A topology has been received.
    pub fn is_known(&self) -> bool {
        self.version > Version(0)
    }

    /// Index into `groups()` of the one that serves `slot`.
    pub fn index_of(&self, slot: Slot) -> Option<usize> {
        let index = self.slots[usize::from(slot.number())];
        (index != NOBODY).then_some(usize::from(index))
    }

    pub fn group_of(&self, slot: Slot) -> Option<GroupId> {
        self.index_of(slot).map(|at| self.groups[at].id)
    }

    pub fn groups(&self) -> &[RoutedGroup] {
        &self.groups
    }

    pub fn address(&self, store: StoreId) -> Option<&Arc<str>> {
        self.addresses.get(&store)
    }

    /// Slots that `self` serves by another group than `newer` does, with the old one.
    pub fn lost_to(&self, newer: &Routes) -> Vec<(GroupId, Slot)> {
        (0..SLOT_COUNT)
            .filter_map(Slot::new)
            .filter_map(|slot| self.group_of(slot).map(|group| (group, slot)))
            .filter(|&(group, slot)| newer.group_of(slot) != Some(group))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use topology::{Group, Replica, ReplicaId, SlotSet};

    use super::*;

    fn of(state: ClusterState) -> Routes {
        Routes::of(state, &ProxyId::of_address("h", 1))
    }

    fn state(shares: &[(u64, usize)]) -> ClusterState {
        let mut state = ClusterState { version: Version(3), ..ClusterState::default() };
        for &(group, share) in shares {
            let replicas = vec![Replica { id: ReplicaId(group * 10), store: StoreId(group) }];
            let slots = SlotSet::share(share, shares.len());
            state.groups.insert(GroupId(group), Group { slots, replicas, formed: true, ..Group::default() });
        }
        state
    }

    #[test]
    fn every_slot_finds_its_group() {
        let state = state(&[(7, 1), (9, 0), (8, 2)]);
        let routes = of(state.clone());
        for slot in SlotSet::all().iter() {
            assert_eq!(routes.group_of(slot), state.owner(slot));
        }
        let order: Vec<_> = routes.groups().iter().map(|g| g.id.0).collect();
        assert_eq!(order, [9, 7, 8]);
    }

    #[test]
    fn unowned_slots_have_no_group() {
        let routes = Routes::empty();
        assert!(!routes.is_known());
        assert!(SlotSet::all().iter().all(|slot| routes.group_of(slot).is_none()));
    }

    #[test]
    fn lost_slots_are_those_that_changed_hands() {
        let old = of(state(&[(7, 0), (9, 1)]));
        let new = of(state(&[(7, 0), (8, 1), (9, 2)]));
        for (group, slot) in old.lost_to(&new) {
            assert_eq!(old.group_of(slot), Some(group));
            assert_ne!(new.group_of(slot), Some(group));
        }
        assert!(old.lost_to(&old).is_empty());
    }
}
