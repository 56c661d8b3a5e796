//! Executing the commands of one batch, one after the other.

use commands::{
    Args, CommandError, Cx, Handler, Spec,
    flags::flag,
    wire::{self, WireCommand},
};
use proto::v1::{Batch, Refusal};
use resp::{Protocol, Reply};
use topology::SlotSet;

use super::{
    effects::EffectsBuilder,
    state::{DATABASES, GroupState},
    view::{EntryId, Overlay, View, Written},
};

/// What became of a batch.
pub enum Executed {
    /// Replies in `commands::wire` form, and the latest entry in flight that they depend on (0: none).
    Done { replies: Vec<u8>, seen: EntryId },
    /// Nothing was executed.
    Refused(Refusal),
}

/// What the commands of a batch run against.
pub struct Execution<'a> {
    pub state: &'a GroupState,
    pub overlay: &'a mut Overlay,
    pub effects: &'a mut EffectsBuilder,
    pub written: &'a mut Written,
    pub eid: EntryId,
    pub time_ms: u64,
    pub seed: &'a mut u64,
    /// Served as of this point of the log.
    pub slots: &'a SlotSet,
    /// The sender routed by the very slots that this group has: no key needs a check.
    pub routed_right: bool,
    /// The disk is nearly full: commands that write are refused.
    pub read_only: bool,
}

impl Execution<'_> {
    pub fn run(mut self, batch: &Batch) -> Executed {
        if let Err(refusal) = self.check(batch) {
            return Executed::Refused(refusal);
        }
        let mut replies = Vec::with_capacity(batch.commands.len() / 4 + 16);
        let mut scratch = Vec::new();
        let mut seen = 0;
        for command in wire::commands(&batch.commands) {
            let Ok(command) = command else { break };
            let (reply, saw) = self.run_one(&command);
            seen = seen.max(saw);
            let resp3 = command.flags & wire::FLAG_RESP3 != 0;
            scratch.clear();
            resp::encode(&reply, if resp3 { Protocol::Resp3 } else { Protocol::Resp2 }, &mut scratch);
            wire::put_bytes(&mut replies, &scratch);
        }
        Executed::Done { replies, seen }
    }

    /// A batch runs as a whole or not at all, so what can be refused is refused before.
    fn check(&self, batch: &Batch) -> Result<(), Refusal> {
        if self.routed_right && !self.read_only {
            return Ok(());
        }
        for command in wire::commands(&batch.commands) {
            let Ok(command) = command else { break };
            let Some(spec) = commands::by_id(command.id) else { continue };
            if self.read_only && spec.is_write() && spec.flags.has(flag::DENYOOM) {
                return Err(Refusal::StorageFailed);
            }
            if !self.routed_right && !self.owns_keys(spec, &command) {
                return Err(Refusal::WrongGroup);
            }
        }
        Ok(())
    }

    fn owns_keys(&self, spec: &Spec, command: &WireCommand<'_>) -> bool {
        spec.key_positions(&command.args).all(|at| self.slots.contains(topology::slot_of(command.args[at])))
    }

    fn run_one(&mut self, command: &WireCommand<'_>) -> (Reply, EntryId) {
        let Some(spec) = commands::by_id(command.id) else {
            return (Reply::error("ERR unknown command id: the proxy is newer than this node"), 0);
        };
        if usize::from(command.db) >= DATABASES {
            return (Reply::error("ERR DB index is out of range"), 0);
        }
        *self.seed =
            self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let resp3 = command.flags & wire::FLAG_RESP3 != 0;
        let cx = Cx {
            now_ms: self.time_ms,
            db: command.db,
            seed: *self.seed,
            protocol: if resp3 { Protocol::Resp3 } else { Protocol::Resp2 },
            limits: datatypes::Limits::default(),
        };
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        match call(spec, &mut view, &Args::new(&command.args), &cx) {
            Ok(reply) => (reply, view.commit()),
            Err(error) => (Reply::Error(error.text().into_owned().into()), view.discard()),
        }
    }
}

fn call(spec: &Spec, view: &mut View<'_>, args: &Args<'_>, cx: &Cx) -> Result<Reply, CommandError> {
    match spec.handler() {
        Some(Handler::Read(run)) => run(view, args, cx),
        Some(Handler::Write(run)) => run(view, args, cx),
        None => Ok(Reply::error("ERR the command is not for storage nodes")),
    }
}
