//! Which keys are namespaces: rules that meta decided on become part of the replicated state, and while
//! one of them comes or goes, the group looks for keys that would be lost from sight. Nothing can add
//! any meanwhile: the log says that their keys are closed.

use std::{collections::BTreeSet, ops::ControlFlow};

use bytes::Bytes;
use datatypes::{
    key,
    kv::{Kv, SHARDS, StoreError, databases},
    slots,
};
use proto::v1::Refusal;
use topology::{
    Namespaces, SLOT_COUNT, Version,
    namespace::{Found, Phase, name_of},
};

use super::Evaluator;
use crate::group::view::View;

/// Keys looked at before others have their turn; a slot is looked at as a whole.
const LOOK_AT_ONCE: usize = 20_000;

/// A search through all keys of the group, a part at a time.
pub(super) struct Search {
    version: u64,
    /// Databases that are left, the present one first.
    databases: Vec<u8>,
    slot: u16,
    in_use: BTreeSet<String>,
}

impl Search {
    fn new(version: u64) -> Self {
        Self { version, databases: databases().collect(), slot: 0, in_use: BTreeSet::new() }
    }

    /// Goes on; answers whether it has come to its end.
    fn go_on(&mut self, kv: &mut dyn Kv, rules: &Namespaces, now_ms: u64) -> Result<bool, StoreError> {
        let mut seen = 0;
        while let Some(&db) = self.databases.first() {
            let Some(slot) = slots::next_used_slot(kv, self.slot, SLOT_COUNT, db)? else {
                self.databases.remove(0);
                self.slot = 0;
                continue;
            };
            let in_use = &mut self.in_use;
            slots::keys_of_slot(kv, slot, db, now_ms, &mut |key, _| {
                seen += 1;
                in_use.extend(in_the_way(rules, db, key).map(str::to_owned));
                ControlFlow::Continue(())
            })?;
            self.slot = slot.number() + 1;
            if seen >= LOOK_AT_ONCE {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The changing rule in whose way a key is.
fn in_the_way<'a>(rules: &'a Namespaces, db: u8, key: &[u8]) -> Option<&'a str> {
    let (name, phase) = match db & SHARDS {
        0 => (key, Phase::Adding),
        _ => (name_of(key)?, Phase::Removing),
    };
    rules.of(name).filter(|(_, rule)| rule.phase == phase).map(|(text, _)| text)
}

impl Evaluator {
    /// What is evaluated from here on goes by the rules, since it follows in the log.
    pub(super) fn adopt_namespaces(&mut self) {
        let desired = self.shared.desired.load_full();
        let (version, is_new) = match &self.namespaces_proposed {
            Some((version, namespaces)) => (*version, *namespaces != desired.namespaces),
            None => {
                let state = self.shared.state.lock();
                (state.applied.namespaces_version, state.applied.namespaces != desired.namespaces)
            }
        };
        if desired.version > version && is_new {
            self.effects.namespaces(desired.version, &desired.namespaces);
            // What waits would write to its keys without being looked at again.
            let is_named = |head: &Bytes| {
                key::parse_head(head).is_some_and(|at| desired.namespaces.of(at.key).is_some())
            };
            let named = |heads: &[Bytes]| heads.iter().any(is_named).then_some(Refusal::WrongGroup);
            self.clients.waiters.refuse_where(named, 0, desired.version);
            self.namespaces_proposed = Some((desired.version, desired.namespaces.clone()));
        }
        self.look_for_keys_in_the_way();
    }

    /// Forgets what was proposed once it is applied, and looks for what is in its way.
    pub(super) fn shed_proposed_namespaces(&mut self) {
        let Some((version, _)) = self.namespaces_proposed else { return };
        if self.shared.state.lock().applied.namespaces_version >= version {
            self.namespaces_proposed = None;
            self.look_for_keys_in_the_way();
        }
    }

    fn look_for_keys_in_the_way(&mut self) {
        if self.suspended.is_some() {
            return;
        }
        let desired = self.shared.desired.load_full();
        let newest = desired.namespaces.changing().map(|(_, rule)| rule.since.0).max();
        let Some(newest) = newest.filter(|&newest| self.shared.namespaces.lock().version.0 < newest) else {
            return;
        };
        let shared = self.shared.clone();
        let state = shared.state.lock();
        if state.applied.namespaces != desired.namespaces || self.namespaces_proposed.is_some() {
            return;
        }
        let mut search = match self.search.take() {
            Some(search) if search.version == newest => search,
            _ => Search::new(newest),
        };
        let mut view = View::new(&state, &mut self.overlay, &mut self.effects, &mut self.written, self.eid);
        let is_done = search.go_on(&mut view, &desired.namespaces, self.time_ms);
        view.discard();
        match is_done {
            Ok(true) => {
                *shared.namespaces.lock() = Found { version: Version(newest), in_use: search.in_use };
                shared.report.notify_one();
            }
            Ok(false) => {
                self.search = Some(search);
                // After whatever else waits for its turn.
                shared.assigned.notify_one();
            }
            Err(error) => tracing::error!(group = shared.group, %error, "keys not looked through"),
        }
    }
}

#[cfg(test)]
mod tests {
    use topology::{ClusterState, Command};

    use super::*;

    #[test]
    fn what_would_be_lost_from_sight_is_in_the_way() {
        let mut state = ClusterState::default();
        let mut apply = |command| drop(state.apply(&command).unwrap());
        apply(Command::Init { cluster_id: "c".into(), replication: 1 });
        for rule in ["users", "old:*", "calm"] {
            apply(Command::AddNamespace { rule: rule.into() });
        }
        let settled = [("old:*", 3), ("calm", 4)];
        for (rule, since) in settled {
            apply(Command::SettleNamespace { rule: rule.into(), since: Version(since), in_use: false });
        }
        apply(Command::RemoveNamespace { rule: "old:*".into() });
        let rules = &state.namespaces;
        assert_eq!(in_the_way(rules, 3, b"users"), Some("users"));
        assert_eq!(in_the_way(rules, 3, b"old:1"), None, "keys can come back to it");
        assert_eq!(in_the_way(rules, 3 | SHARDS, b"{abc}old:1"), Some("old:*"));
        assert_eq!(in_the_way(rules, 3 | SHARDS, b"{abc}calm"), None);
        assert_eq!(in_the_way(rules, 3, b"other"), None);
    }
}
