//! Namespaces: whoever routed by other rules than the group's log has is refused, as with slots; and
//! commands on all shards that the group has.

use commands::{
    CommandError, Cx, Spec,
    error::NamespaceError,
    namespace::Task,
    wire::{FLAG_SHARD, WireCommand},
};
use datatypes::kv::SHARDS;
use topology::namespace::{Phase, name_of};

use super::{Execution, Outcome};
use crate::group::view::View;

impl Execution<'_> {
    /// The command takes a namespace for an ordinary key, or the other way round, or its rule is coming
    /// or going. Looked at whatever version it was sent by: it may have been made by an older one, and
    /// waited since.
    pub(super) fn is_misled(&self, spec: &Spec, command: &WireCommand<'_>) -> bool {
        let is_shard = command.flags & FLAG_SHARD != 0;
        if self.namespaces.is_empty() && !is_shard {
            return false;
        }
        spec.key_positions(&command.args).any(|at| match is_shard {
            true => name_of(command.args[at]).is_none_or(|name| !self.is_namespace(name)),
            false => self.namespaces.of(command.args[at]).is_some(),
        })
    }

    /// It is misled because the group does not know yet what its sender knows: it will.
    pub(super) fn knows_less(&self, spec: &Spec, command: &WireCommand<'_>) -> bool {
        self.asked_version > self.namespaces_version && self.is_misled(spec, command)
    }

    fn is_namespace(&self, name: &[u8]) -> bool {
        self.namespaces.phase_of(name) == Some(Phase::Active)
    }

    /// A command on shards that the sender believes to be here: on all of them, or on none.
    pub(super) fn spread(&mut self, command: &WireCommand<'_>) -> Outcome {
        let Some(task) = Task::decode(&command.args) else { return (Err(CommandError::Syntax), 0) };
        let here = task.shards.iter().all(|&slot| self.slots.contains(slot));
        if !here || !task.name().is_some_and(|name| self.is_namespace(name)) {
            return (Err(NamespaceError::Changing.into()), 0);
        }
        self.remember_namespace(&task);
        let cx = Cx { db: command.db | SHARDS, ..self.circumstances(command) };
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let result = task.run(&mut view, &cx);
        view.conclude(result)
    }
}
