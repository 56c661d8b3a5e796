//! Compiled scripts by digest: as many as [`crate::Limits`] allows, the least recently used leave first.

use std::collections::HashMap;

use mlua::Function;

use crate::flags::ScriptFlags;

/// A compiled script.
#[derive(Clone)]
pub struct Script {
    pub function: Function,
    /// `None`: it declares nothing, Redis's rules of old apply.
    pub flags: Option<ScriptFlags>,
}

struct Entry {
    script: Script,
    used_at: u64,
}

pub struct Cache {
    entries: HashMap<String, Entry>,
    scripts_max: usize,
    uses: u64,
}

impl Cache {
    pub fn new(scripts_max: usize) -> Self {
        Self { entries: HashMap::new(), scripts_max: scripts_max.max(1), uses: 0 }
    }

    pub fn get(&mut self, digest: &str) -> Option<Script> {
        self.uses += 1;
        let entry = self.entries.get_mut(digest)?;
        entry.used_at = self.uses;
        Some(entry.script.clone())
    }

    pub fn contains(&self, digest: &str) -> bool {
        self.entries.contains_key(digest)
    }

    pub fn insert(&mut self, digest: String, script: Script) {
        while self.entries.len() >= self.scripts_max {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used_at);
            let Some(oldest) = oldest.map(|(digest, _)| digest.clone()) else { break };
            self.entries.remove(&oldest);
        }
        self.uses += 1;
        self.entries.insert(digest, Entry { script, used_at: self.uses });
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
