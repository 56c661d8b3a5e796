//! Which slots the group serves: what meta assigned becomes part of the replicated state, and what it
//! took away is looked through for keys.

use bytes::Bytes;
use datatypes::{
    key,
    kv::{Kv, StoreError},
};
use proto::v1::Refusal;
use topology::SlotSet;

use super::Evaluator;
use crate::group::{Desired, ParkedSlots, state::DATABASES, view::View};

impl Evaluator {
    /// Makes the slots that meta assigned part of the replicated state. What is evaluated from here on
    /// goes by them, since it follows in the log.
    pub(super) fn adopt_slots(&mut self) {
        let desired = self.shared.desired.load_full();
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
            let stays =
                |head: &Bytes| key::parse_head(head).is_some_and(|at| desired.slots.contains(at.slot));
            let lost = |heads: &[Bytes]| (!heads.iter().all(stays)).then_some(Refusal::WrongGroup);
            self.clients.waiters.refuse_where(lost, 0, desired.version);
        }
        self.look_through_parked(&desired);
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
        if desired.parked.is_empty() || self.shared.parked.lock().is_current(desired, self.time_ms) {
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
        for db in 0..DATABASES as u8 {
            let mut from = first;
            while let Some(slot) = datatypes::slots::next_used_slot(kv, from, last + 1, db)? {
                in_use.push(slot);
                from = slot.number() + 1;
            }
        }
    }
    Ok(SlotSet::from_slots(in_use))
}
