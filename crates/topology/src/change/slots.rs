//! Slots that come to a group, are parked there, and move to another.

use std::collections::BTreeSet;

use crate::{ClusterState, Group, GroupId, ProxyId, Refused, Slot, SlotMark, SlotSet, Version};

impl ClusterState {
    pub(super) fn add_slots(&mut self, at: &ProxyId, slots: &SlotSet) -> Result<(), Refused> {
        if self.proxy(at)?.master_id.is_some() {
            return Err(Refused::AddSlotsToReplica);
        }
        if let Some(busy) = slots.iter().find(|&slot| self.owner(slot).is_some() || self.is_moving(slot)) {
            return Err(Refused::SlotBusy(busy.number()));
        }
        let mut homes: Vec<(GroupId, SlotSet)> = Vec::new();
        let mut free = slots.clone();
        for (&id, group) in &self.groups {
            let here = group.parked.intersection(slots);
            if here.is_empty() {
                continue;
            }
            if self.fronted_by(id).is_none_or(|front| front == at) {
                free = free.difference(&here);
                homes.push((id, here));
            } else {
                group.must_be_empty(id, &here)?;
            }
        }
        for (group, slots) in homes {
            self.front(at, group)?;
            self.group_mut(group)?.take_back(&slots);
        }
        if !free.is_empty() {
            let group = self.primary_group(at)?;
            self.give(group, &free)?;
        }
        Ok(())
    }

    pub(super) fn del_slots(&mut self, at: &ProxyId, slots: &SlotSet) -> Result<(), Refused> {
        let owned = self.realm_slots(self.proxy(at)?.realm);
        if let Some(free) = slots.iter().find(|&slot| !owned.contains(slot)) {
            return Err(Refused::SlotUnassigned(free.number()));
        }
        self.unassign(slots);
        Ok(())
    }

    /// Parks what is owned of `slots`.
    pub(super) fn unassign(&mut self, slots: &SlotSet) {
        let version = self.next_version();
        for slot in slots.iter() {
            self.moving.remove(&slot.number());
        }
        for group in self.groups.values_mut() {
            let lost = group.slots.intersection(slots);
            if !lost.is_empty() {
                group.park(&lost, version);
            }
        }
    }

    pub(super) fn set_slot(&mut self, at: &ProxyId, slot: u16, to: &SlotMark) -> Result<(), Refused> {
        let slot = Slot::new(slot).ok_or(Refused::SlotRange)?;
        let me = self.proxy(at)?;
        if me.master_id.is_some() {
            return Err(Refused::SetSlotOnReplica);
        }
        let mine = self.announced_slots(at).contains(slot);
        let number = slot.number();
        match to {
            SlotMark::Stable => {
                let me = self.proxy_mut(at)?;
                me.migrating.remove(&number);
                me.importing.remove(&number);
                Ok(())
            }
            SlotMark::Migrating(_) if !mine => Err(Refused::NotSlotOwner(number)),
            SlotMark::Importing(_) if mine => Err(Refused::AlreadySlotOwner(number)),
            SlotMark::Migrating(node) => {
                let target = self.find_master(at, node, Refused::DontKnow)?;
                self.proxy_mut(at)?.migrating.insert(number, target);
                Ok(())
            }
            SlotMark::Importing(node) => {
                let source = self.find_master(at, node, Refused::DontKnow)?;
                self.proxy_mut(at)?.importing.insert(number, source);
                Ok(())
            }
            SlotMark::Owner(node) => {
                let owner = self.find_master(at, node, Refused::UnknownNode)?;
                self.set_owner(slot, &owner)
            }
        }
    }

    /// At once where nobody owns the slot; else it starts to move, and moves when it is found empty.
    fn set_owner(&mut self, slot: Slot, owner: &ProxyId) -> Result<(), Refused> {
        if let Some(target) = self.moving.get(&slot.number()) {
            return if target == owner { Ok(()) } else { Err(Refused::SlotBusy(slot.number())) };
        }
        let Some(group) = self.owner(slot) else {
            return self.add_slots(owner, &SlotSet::from_slots([slot]));
        };
        if self.fronted_by(group) == Some(owner) {
            self.close_slot(slot);
            return Ok(());
        }
        let version = self.next_version();
        self.group_mut(group)?.park(&SlotSet::from_slots([slot]), version);
        self.moving.insert(slot.number(), owner.clone());
        Ok(())
    }

    /// Nobody calls the slot migrating or importing any more.
    fn close_slot(&mut self, slot: Slot) {
        for proxy in self.proxies.values_mut() {
            proxy.migrating.remove(&slot.number());
            proxy.importing.remove(&slot.number());
        }
    }

    /// The leader of `id` looked through its parked slots, refusing all of them since a version not
    /// older than `seen_at`: only `in_use` hold keys.
    pub(crate) fn parked_found(
        &mut self,
        id: GroupId,
        seen_at: Version,
        in_use: &SlotSet,
    ) -> Result<(), Refused> {
        let group = self.group_mut(id)?;
        if seen_at < group.parked_at {
            return Ok(());
        }
        let empty = group.parked.difference(in_use);
        let held = group.parked.intersection(in_use);
        group.parked = held.clone();
        group.checked_at = group.parked_at;
        for slot in empty.iter() {
            if let Some(target) = self.moving.remove(&slot.number()) {
                self.arrive(id, slot, &target)?;
            }
        }
        for slot in held.iter() {
            if self.moving.remove(&slot.number()).is_some() {
                self.group_mut(id)?.take_back(&SlotSet::from_slots([slot]));
            }
        }
        Ok(())
    }

    /// An empty slot reaches its new owner; back to `from` if there is none any more.
    fn arrive(&mut self, from: GroupId, slot: Slot, target: &ProxyId) -> Result<(), Refused> {
        let slots = SlotSet::from_slots([slot]);
        if self.proxy(target).is_ok_and(|proxy| proxy.master_id.is_none()) {
            let group = self.primary_group(target)?;
            self.give(group, &slots)?;
            self.outrank(target)?;
            self.close_slot(slot);
        } else {
            self.give(from, &slots)?;
        }
        Ok(())
    }

    /// Where new slots of `at` go: the first group it fronts, one that nobody uses, or a new one.
    fn primary_group(&mut self, at: &ProxyId) -> Result<GroupId, Refused> {
        if let Some(&first) = self.proxy(at)?.fronts.first() {
            return Ok(first);
        }
        let fronted: BTreeSet<GroupId> =
            self.proxies.values().flat_map(|p| p.fronts.iter().copied()).collect();
        let unused = |(id, group): &(&GroupId, &Group)| {
            !fronted.contains(id) && group.slots.is_empty() && group.parked.is_empty()
        };
        let group = match self.groups.iter().find(unused) {
            Some((&id, _)) => id,
            None => self.new_group(SlotSet::default())?,
        };
        self.front(at, group)?;
        Ok(group)
    }

    fn give(&mut self, group: GroupId, slots: &SlotSet) -> Result<(), Refused> {
        let group = self.group_mut(group)?;
        group.slots = group.slots.union(slots);
        Ok(())
    }

    fn front(&mut self, at: &ProxyId, group: GroupId) -> Result<(), Refused> {
        let fronts = &mut self.proxy_mut(at)?.fronts;
        if let Err(position) = fronts.binary_search(&group) {
            fronts.insert(position, group);
        }
        Ok(())
    }

    fn fronted_by(&self, group: GroupId) -> Option<&ProxyId> {
        self.proxies.iter().find(|(_, proxy)| proxy.fronts.contains(&group)).map(|(id, _)| id)
    }

    fn is_moving(&self, slot: Slot) -> bool {
        self.moving.contains_key(&slot.number())
    }
}

impl Group {
    fn park(&mut self, slots: &SlotSet, version: Version) {
        self.slots = self.slots.difference(slots);
        self.parked = self.parked.union(slots);
        self.parked_at = version;
    }

    fn take_back(&mut self, slots: &SlotSet) {
        self.parked = self.parked.difference(slots);
        self.slots = self.slots.union(slots);
    }

    fn must_be_empty(&self, id: GroupId, parked: &SlotSet) -> Result<(), Refused> {
        match parked.iter().next() {
            Some(slot) if self.checked_at < self.parked_at => Err(Refused::SlotUnchecked(slot.number())),
            Some(slot) => Err(Refused::SlotInUse { slot: slot.number(), group: id }),
            None => Ok(()),
        }
    }
}
