//! What storage nodes tell beside replies: what scripts published and called, and that one runs.

use std::sync::Arc;

use commands::Spec;
use proto::v1::{
    Aside, CalledCommand, CalledError, DeniedCall, Publication, RunningScript, ShownCall, denied_call,
};

use crate::{
    accounts::{Context, Reason},
    backend_api::Notices,
    monitor,
    pubsub::{Kind, Topic},
    rights,
    shared::Shared,
};

/// For one worker.
pub struct Listener {
    pub shared: Arc<Shared>,
    /// Of the worker.
    pub number: usize,
}

impl Listener {
    fn publish(&self, Publication { shard, channel, payload }: Publication) {
        let kind = if shard { Kind::Shard } else { Kind::Channel };
        let topic = Topic::new(kind, &channel);
        // The script has been told how many it reaches.
        drop(self.shared.pubsub.publish_once(self.shared.now_ms(), topic, payload));
    }

    fn show(&self, calls: &[ShownCall]) {
        if calls.is_empty() {
            return;
        }
        let time_ms = self.shared.env.clock.now_ms();
        for ShownCall { db, words } in calls {
            let argv: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
            self.shared.monitors.publish(&monitor::line(time_ms, *db as u8, &"lua", &argv));
        }
    }
}

impl Notices for Listener {
    fn wants_calls(&self) -> bool {
        self.shared.monitors.any()
    }

    fn denied(&self, client: u64, call: &DeniedCall) {
        let Some(client) = self.shared.clients.get(client) else { return };
        let reason = match call.reason() {
            denied_call::Reason::Command => Reason::Command,
            denied_call::Reason::Key => Reason::Key,
            denied_call::Reason::Channel => Reason::Channel,
        };
        let name = client.account().name.clone();
        rights::note(&self.shared, &client, reason, Context::Script, &call.object, name);
    }

    fn aside(&self, aside: Aside) {
        // Whoever was refused something is told to `denied`.
        let Aside { published, called, errors, shown, denied: _ } = aside;
        self.show(&shown);
        published.into_iter().for_each(|message| self.publish(message));
        let stats = &self.shared.stats[self.number];
        for CalledCommand { id, calls, rejected, failed } in called {
            let spec: Option<&Spec> = u16::try_from(id).ok().and_then(commands::by_id);
            if let Some(spec) = spec {
                stats.called(spec, calls, rejected, failed);
            }
        }
        for CalledError { code, count } in errors {
            stats.script_errors(&code, count);
        }
    }

    fn running(&self, script: &RunningScript) {
        self.shared.running.note(self.shared.now_ms(), script);
    }
}
