//! Who this data directory is.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use daemon::env::Entropy;
use serde::{Deserialize, Serialize};

const FILE: &str = "identity.json";

/// Created with the data directory and never changed, but for the cluster that it joins once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    pub store_id: u64,
    /// Empty until meta accepted the node the first time.
    pub cluster_id: String,
}

impl Identity {
    pub fn load_or_create(dir: &Path, entropy: &dyn Entropy) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(json) => {
                serde_json::from_slice(&json).with_context(|| format!("{} is damaged", path.display()))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // 53 bits: exact in JSON readers that know only doubles.
                let identity =
                    Self { store_id: (entropy.next_u64() >> 11).max(1), cluster_id: String::new() };
                identity.save(dir)?;
                Ok(identity)
            }
            Err(e) => Err(e).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Remembers the cluster; refuses a second one.
    pub fn join(&mut self, dir: &Path, cluster_id: &str) -> anyhow::Result<()> {
        if self.cluster_id == cluster_id {
            return Ok(());
        }
        anyhow::ensure!(
            self.cluster_id.is_empty(),
            "this data directory belongs to cluster {}, but meta serves cluster {cluster_id}",
            self.cluster_id
        );
        self.cluster_id = cluster_id.to_owned();
        self.save(dir)
    }

    fn save(&self, dir: &Path) -> anyhow::Result<()> {
        let temporary = dir.join(format!("{FILE}.new"));
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(FILE))?;
        fs::File::open(dir)?.sync_all()?;
        Ok(())
    }
}
