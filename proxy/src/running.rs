//! Scripts that keep groups from their other commands, as storage nodes tell. Past `busy-reply-threshold`
//! clients are answered BUSY instead of being kept waiting.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use commands::CommandError;
use parking_lot::Mutex;
use proto::v1::RunningScript;
use topology::GroupId;

/// Storage nodes tell again and again; of one that does not, nothing is known any more.
const SILENT_MS: u64 = 1500;

#[derive(Debug)]
struct Script {
    since_ms: u64,
    heard_ms: u64,
    is_function: bool,
}

/// Those that this process knows of.
#[derive(Debug, Default)]
pub struct Running {
    /// There may be some: all that most commands look at.
    any: AtomicBool,
    /// Held for moments.
    scripts: Mutex<BTreeMap<GroupId, Script>>,
}

impl Running {
    /// What a storage node tells.
    pub fn note(&self, now_ms: u64, told: &RunningScript) {
        let mut scripts = self.scripts.lock();
        let group = GroupId(told.group);
        if told.over {
            scripts.remove(&group);
        } else {
            let since_ms = now_ms.saturating_sub(told.ran_ms);
            let is_function = told.function;
            scripts.insert(group, Script { since_ms, heard_ms: now_ms, is_function });
        }
        self.any.store(!scripts.is_empty(), Relaxed);
    }

    pub fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Why a command has to be refused, if a script of a group that it `concerns` runs for so long.
    pub fn refusal(
        &self,
        now_ms: u64,
        limit_ms: u64,
        concerns: impl Fn(GroupId) -> bool,
    ) -> Option<CommandError> {
        let mut scripts = self.scripts.lock();
        scripts.retain(|_, script| now_ms < script.heard_ms + SILENT_MS);
        self.any.store(!scripts.is_empty(), Relaxed);
        let is_long = |script: &Script| now_ms >= script.since_ms.saturating_add(limit_ms);
        let found = scripts.iter().find(|(group, script)| is_long(script) && concerns(**group));
        found.map(|(_, script)| CommandError::Busy { function: script.is_function })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(group: u64, ran_ms: u64, over: bool) -> RunningScript {
        RunningScript { group, ran_ms, function: group == 2, over }
    }

    #[test]
    fn who_asks_is_refused_past_the_limit_until_it_is_over() {
        let running = Running::default();
        let refused = |now_ms, of: u64| {
            let refusal = running.refusal(now_ms, 100, |group| group == GroupId(of));
            refusal.map(|error| matches!(error, CommandError::Busy { function: true }))
        };
        running.note(1000, &told(1, 50, false));
        assert_eq!((running.any(), refused(1049, 1), refused(1050, 1)), (true, None, Some(false)));
        assert_eq!(refused(1050, 2), None, "another group");
        running.note(1100, &told(2, 100, false));
        assert_eq!(refused(1100, 2), Some(true));
        running.note(1110, &told(1, 160, true));
        assert_eq!((refused(1110, 1), running.any()), (None, true));
        assert_eq!((refused(1100 + SILENT_MS, 2), running.any()), (None, false), "nobody tells any more");
    }
}
