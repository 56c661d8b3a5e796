//! Which part of the keyspace a client has written to: what WAIT asks about.

use std::cell::Cell;

use topology::{GroupId, SLOT_COUNT, Slot};

use crate::backend_api::{Submit, Target};

/// So many neighbouring slots are remembered as one.
const RUN: u16 = SLOT_COUNT / u64::BITS as u16;

/// One bit for each run of slots. Groups have few and long runs, so little is taken for written that
/// was not.
#[derive(Debug, Clone, Default)]
pub struct Written(Cell<u64>);

impl Written {
    /// A command that may write goes there.
    pub fn note(&self, target: Target) {
        let runs = match target {
            Target::Slot(slot) => 1 << (slot.number() / RUN),
            Target::Group(_) => u64::MAX,
        };
        self.0.set(self.0.get() | runs);
    }

    /// Groups that serve what was written to, each once; all of them if nothing was.
    pub fn groups(&self, backend: &dyn Submit) -> Vec<GroupId> {
        let mut groups = Vec::new();
        if self.0.get() != 0 {
            let is_written = |slot: &u16| self.0.get() & 1 << (slot / RUN) != 0;
            for slot in (0..SLOT_COUNT).filter(is_written).filter_map(Slot::new) {
                let group = backend.group_of(slot).filter(|group| !groups.contains(group));
                groups.extend(group);
            }
        }
        if groups.is_empty() { backend.groups() } else { groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend_api::{Outgoing, Sink};

    /// Two groups share the slots; nobody serves the last thousand.
    struct Halves;

    impl Submit for Halves {
        fn submit(&self, _: Outgoing<'_>, _: Sink) {}

        fn group_of(&self, slot: Slot) -> Option<GroupId> {
            let n = slot.number();
            (n < 15_384).then_some(GroupId(u64::from(n / 8192) + 1))
        }

        fn groups(&self) -> Vec<GroupId> {
            vec![GroupId(1), GroupId(2)]
        }

        fn fronted_groups(&self) -> Vec<GroupId> {
            Vec::new()
        }
    }

    #[test]
    fn groups_written_to_are_known() {
        let written = Written::default();
        assert_eq!(written.groups(&Halves), [GroupId(1), GroupId(2)], "nothing was written");
        written.note(Target::Slot(Slot::new(8192).unwrap()));
        assert_eq!(written.groups(&Halves), [GroupId(2)]);
        written.note(Target::Slot(Slot::new(8191).unwrap()));
        assert_eq!(written.groups(&Halves), [GroupId(1), GroupId(2)]);
        let nowhere = Written::default();
        nowhere.note(Target::Slot(Slot::new(16_383).unwrap()));
        assert_eq!(nowhere.groups(&Halves), [GroupId(1), GroupId(2)], "nobody serves it");
        let edge = Written::default();
        edge.note(Target::Slot(Slot::new(15_400).unwrap()));
        assert_eq!(edge.groups(&Halves), [GroupId(2)], "a run that a group has a part of");
        let all = Written::default();
        all.note(Target::Group(GroupId(2)));
        assert_eq!(all.groups(&Halves).len(), 2);
    }
}
