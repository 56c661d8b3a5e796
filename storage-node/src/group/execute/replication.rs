//! WAIT and WAITAOF: how far the log of the group has come to its replicas.

use commands::{Args, replication::Progress, wire::WireCommand};
use resp::Reply;

use super::{Execution, Outcome};

impl<'e> Execution<'e> {
    /// Without an argument: OK once all that was evaluated before is committed. Else who has the entry
    /// at an index; 0 means the last one applied here, and so all that was answered before.
    pub(super) fn replication(&self, command: &WireCommand<'_>) -> Outcome {
        if command.args.is_empty() {
            let latest = if self.effects.is_empty() { self.eid - 1 } else { self.eid };
            return (Ok(Reply::OK), latest);
        }
        let index = Args::new(&command.args).int(0).map(|index| u64::try_from(index).unwrap_or(0));
        (index.map(|index| self.progress(index)().to_reply()), 0)
    }

    /// Tells how far an entry has come to the replicas, or for 0 the last one applied here.
    pub(super) fn progress(&self, index: u64) -> impl Fn() -> Progress + use<'e> {
        let index = if index == 0 { self.state.applied.index() } else { index };
        let (raft, durable) = (self.raft, self.durable);
        move || {
            let metrics = raft_rocks::metrics(raft);
            let matched = metrics.replication.unwrap_or_default();
            let has = |id: &u64| matched.get(id).and_then(Option::as_ref).is_some_and(|at| at.index >= index);
            let others = matched.keys().filter(|&id| *id != metrics.id && has(id)).count();
            Progress { index, replicas: others as u64, local: has(&metrics.id), durable }
        }
    }
}
