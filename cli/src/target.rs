//! Which cluster a command speaks of, and how its answer is to look.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use local_cluster::{Listener, Manifest, Role};

/// Where `miraft dev` keeps a cluster unless told otherwise.
pub(crate) const DEFAULT_DIR: &str = "miraft-data";

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Target {
    /// Meta nodes to ask, host:port, separated by commas [default: those of the cluster in --dir].
    #[arg(long, value_delimiter = ',', value_parser = parse_address)]
    pub meta: Vec<String>,
    /// Directory of a running `miraft dev`.
    #[arg(long, default_value = DEFAULT_DIR)]
    pub dir: PathBuf,
    /// Give up on meta after so many seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout_s: u64,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl Target {
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    /// host:port of meta nodes: at least one.
    pub fn meta_addresses(&self) -> anyhow::Result<Vec<String>> {
        if !self.meta.is_empty() {
            return Ok(self.meta.clone());
        }
        let dir = self.dir.display();
        let manifest = Manifest::read(&self.dir)
            .with_context(|| format!("no running cluster in {dir}; name its meta nodes with --meta"))?;
        let addresses = addresses(&manifest, Role::Meta, Listener::Rpc);
        ensure!(!addresses.is_empty(), "cluster.json in {dir} names no meta node");
        Ok(addresses)
    }

    /// Of the cluster in --dir, unless --meta names another: how many of a role it has.
    pub fn count(&self, role: Role) -> Option<usize> {
        let manifest = self.manifest()?;
        Some(manifest.nodes.iter().filter(|node| node.role == role).count())
    }

    /// Cluster listeners of the cluster in --dir, for when meta does not tell.
    pub fn proxies(&self) -> Vec<String> {
        let manifest = self.manifest();
        manifest.map(|manifest| addresses(&manifest, Role::Proxy, Listener::Cluster)).unwrap_or_default()
    }

    fn manifest(&self) -> Option<Manifest> {
        self.meta.is_empty().then(|| Manifest::read(&self.dir).ok()).flatten()
    }
}

fn addresses(manifest: &Manifest, role: Role, listener: Listener) -> Vec<String> {
    let of_role = manifest.nodes.iter().filter(|node| node.role == role);
    of_role.filter_map(|node| node.addresses.get(&listener).cloned()).collect()
}

/// host:port.
pub(crate) fn parse_address(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.map(str::parse::<u16>) {
        Some(Ok(1..)) => Ok(text.to_owned()),
        _ => Err("host:port is wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_address;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(parse_address("meta-1:7300").as_deref(), Ok("meta-1:7300"));
        assert_eq!(parse_address("[::1]:7300").as_deref(), Ok("[::1]:7300"));
        for wrong in ["", "meta-1", ":7300", "meta-1:", "meta-1:0", "meta-1:70000"] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }
}
