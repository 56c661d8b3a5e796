//! What meta assigned becomes part of the replicated state: the slots that the group serves, and the
//! libraries of functions. What it took away is looked through for keys.

use bytes::Bytes;
use datatypes::{
    key,
    kv::{Kv, StoreError},
};
use proto::v1::Refusal;
use topology::SlotSet;

use super::Evaluator;
use crate::group::{
    Desired, ParkedSlots,
    execute::scripts,
    view::{EntryId, View},
};

impl Evaluator {
    /// Makes what meta decided part of the replicated state. What is evaluated from here on goes by it,
    /// since it follows in the log.
    pub(super) fn adopt(&mut self) {
        // The next tick looks again.
        if self.suspended.is_some() {
            return;
        }
        let desired = self.shared.desired.load_full();
        // First: no slot is served without the libraries that were there before.
        self.adopt_libraries(&desired);
        self.adopt_slots(&desired);
        self.adopt_namespaces();
    }

    fn adopt_libraries(&mut self, desired: &Desired) {
        let assigned = &desired.libraries;
        if assigned.version <= self.libraries.0 {
            return;
        }
        let shared = self.shared.clone();
        let state = shared.state.lock();
        let mut view = View::new(&state, &mut self.overlay, &mut self.effects, &mut self.written, self.eid);
        match scripts::adopt_libraries(&mut view, assigned) {
            Ok(true) => {
                view.commit();
                self.libraries = (assigned.version, Some(self.eid));
            }
            Ok(false) => {
                view.discard();
                self.libraries.0 = assigned.version;
            }
            Err(error) => {
                view.discard();
                tracing::error!(group = shared.group, %error, "libraries not adopted");
            }
        }
    }

    /// Tells meta at once when the libraries are applied: somebody waits for it.
    pub(super) fn report_libraries(&mut self, settled: EntryId) {
        if self.libraries.1.is_some_and(|eid| eid <= settled) {
            self.libraries.1 = None;
            self.shared.report.notify_one();
        }
    }

    fn adopt_slots(&mut self, desired: &Desired) {
        let (slots, version) = match &self.slots_proposed {
            Some((version, slots)) => (slots.clone(), *version),
            None => {
                let state = self.shared.state.lock();
                (state.applied.slots.clone(), state.applied.slots_version)
            }
        };
        if desired.version > version && desired.slots != slots {
            self.effects.slots(desired.version, desired.slots.ranges());
            self.slots_proposed = Some((desired.version, desired.slots.clone()));
            // What happens to keys that are lost is told by others.
            self.clients.tracking.forget_all(&mut self.written.told);
            let stays =
                |head: &Bytes| key::parse_head(head).is_some_and(|at| desired.slots.contains(at.slot));
            let lost = |heads: &[Bytes]| (!heads.iter().all(stays)).then_some(Refusal::WrongGroup);
            self.clients.waiters.refuse_where(lost, 0, desired.version);
        }
        self.look_through_parked(desired);
    }

    /// Forgets what was proposed once it is applied, and looks at what it gave up.
    pub(super) fn shed_proposed_slots(&mut self) {
        let Some((version, _)) = self.slots_proposed else { return };
        if self.shared.slots_version() >= version {
            self.slots_proposed = None;
            self.look_through_parked(&self.shared.desired.load_full());
        }
    }

    /// Tells meta which parked slots hold keys, once nothing can write to them any more: the entry
    /// that gave them up is applied.
    fn look_through_parked(&mut self, desired: &Desired) {
        if self.suspended.is_some()
            || desired.parked.is_empty()
            || self.shared.parked.lock().is_current(desired, self.time_ms)
        {
            return;
        }
        let shared = self.shared.clone();
        let state = shared.state.lock();
        if state.applied.slots != desired.slots {
            return;
        }
        let mut view = View::new(&state, &mut self.overlay, &mut self.effects, &mut self.written, self.eid);
        let found = slots_in_use(&mut view, &desired.parked);
        view.discard();
        match found {
            Ok(in_use) => {
                let found = ParkedSlots { version: desired.version, in_use, looked_ms: self.time_ms };
                *shared.parked.lock() = found;
                shared.report.notify_one();
            }
            Err(error) => tracing::error!(group = shared.group, %error, "parked slots not looked through"),
        }
    }
}

fn slots_in_use(kv: &mut dyn Kv, slots: &SlotSet) -> Result<SlotSet, StoreError> {
    let mut in_use = Vec::new();
    for &(first, last) in slots.ranges() {
        for db in datatypes::kv::databases() {
            let mut from = first;
            while let Some(slot) = datatypes::slots::next_used_slot(kv, from, last + 1, db)? {
                in_use.push(slot);
                from = slot.number() + 1;
            }
        }
    }
    Ok(SlotSet::from_slots(in_use))
}
