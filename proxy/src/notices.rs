//! What storage nodes tell beside replies: what scripts published and called, and that one runs.

use std::sync::Arc;

use commands::Spec;
use proto::v1::{Aside, CalledCommand, CalledError, Publication, RunningScript};

use crate::{
    backend_api::Notices,
    pubsub::{Kind, Topic},
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
}

impl Notices for Listener {
    fn aside(&self, Aside { published, called, errors }: Aside) {
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
