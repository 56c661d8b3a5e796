//! Reads for clients that track are remembered in the evaluation that makes them.

use commands::{
    Spec,
    flags::flag,
    namespace::Task,
    wire::{self, FLAG_SHARD, WireCommand},
};
use topology::namespace::name_of;

use super::Execution;
use crate::group::{tracking, view::Changes};

impl Execution<'_> {
    /// What the next command reads, the `number`th of its batch, is remembered.
    pub(super) fn begin_reading(&mut self, number: usize) {
        self.reader = Some(number);
        self.reads.get_or_insert_default();
    }

    /// Remembers the keys of a command that only reads, whatever it finds.
    pub(super) fn remember(&mut self, spec: &Spec, command: &WireCommand<'_>) {
        if !spec.flags.has(flag::READONLY) {
            return;
        }
        for at in spec.key_positions(&command.args) {
            let key = command.args[at];
            match command.flags & FLAG_SHARD {
                0 => self.remember_key(key),
                _ => name_of(key).into_iter().for_each(|name| self.remember_key(name)),
            }
        }
    }

    /// Likewise the namespace of a command on its shards here.
    pub(super) fn remember_namespace(&mut self, task: &Task<'_>) {
        if let Some(name) = task.name().filter(|_| task.spec.flags.has(flag::READONLY)) {
            self.remember_key(name);
        }
    }

    pub(super) fn remember_key(&mut self, key: &[u8]) {
        let (Some(number), Some(reads)) = (self.reader, &mut self.reads) else { return };
        wire::put_read(reads, number, key);
        // What the same batch changes behind it is to be told, too.
        self.overlay.observed = true;
        self.clients.tracking.remember(key, self.stream, &mut self.written.told);
    }

    pub(super) fn note_for_caches(&mut self, changes: &Changes) {
        tracking::note(&mut self.clients.tracking, self.written, changes, self.writer, self.broadcasts);
    }
}
