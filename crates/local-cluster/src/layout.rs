//! Who the members are and on which ports: decided at the first start, kept in `layout.json`.

use std::{collections::BTreeMap, fmt, io, path::Path};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::{config::Config, ports::Ports};

const LOOPBACK: &str = "127.0.0.1";

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Meta,
    Storage,
    Proxy,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Meta, Role::Storage, Role::Proxy];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Meta => "meta",
            Role::Storage => "storage",
            Role::Proxy => "proxy",
        }
    }

    /// File name of the server's executable.
    pub fn binary(self) -> &'static str {
        match self {
            Role::Meta => "miraft-meta",
            Role::Storage => "miraft-storage",
            Role::Proxy => "miraft-proxy",
        }
    }

    fn listeners(self) -> &'static [Listener] {
        match self {
            Role::Meta | Role::Storage => &[Listener::Rpc, Listener::Http],
            Role::Proxy => &[Listener::Cluster, Listener::Plain, Listener::Http],
        }
    }
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listener {
    /// RESP, as a node of a Redis Cluster.
    Cluster,
    /// RESP, as a single Redis.
    Plain,
    /// gRPC.
    Rpc,
    /// Health and metrics.
    Http,
}

impl Listener {
    pub fn as_str(self) -> &'static str {
        match self {
            Listener::Cluster => "cluster",
            Listener::Plain => "plain",
            Listener::Rpc => "rpc",
            Listener::Http => "http",
        }
    }
}

/// Names a member: `storage-2`. Numbers count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId {
    pub role: Role,
    pub number: u32,
}

impl MemberId {
    pub const fn meta(number: u32) -> Self {
        Self { role: Role::Meta, number }
    }

    pub const fn storage(number: u32) -> Self {
        Self { role: Role::Storage, number }
    }

    pub const fn proxy(number: u32) -> Self {
        Self { role: Role::Proxy, number }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role.as_str(), self.number)
    }
}

/// One server of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    #[serde(flatten)]
    pub id: MemberId,
    /// Ports it listens on.
    pub ports: BTreeMap<Listener, u16>,
    /// Where a client on this machine finds the client listeners; all others are on the loopback
    /// address.
    #[serde(skip)]
    client_host: String,
}

impl Member {
    /// host:port a client on this machine dials.
    pub fn address(&self, listener: Listener) -> Option<String> {
        let host = match listener {
            Listener::Cluster | Listener::Plain => &self.client_host,
            Listener::Rpc | Listener::Http => LOOPBACK,
        };
        self.ports.get(&listener).map(|port| format!("{host}:{port}"))
    }
}

/// All members, metas first, each role in order of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub members: Vec<Member>,
}

impl Layout {
    /// What `dir` remembers, or nothing.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("layout.json");
        match std::fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    pub fn save(&self, dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        crate::os::write_atomically(&dir.join("layout.json"), &text)
            .with_context(|| format!("cannot write into {}", dir.display()))
    }

    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.id.role == role)
    }

    fn count(&self, role: Role) -> u32 {
        self.of_role(role).count() as u32
    }

    /// Adds the members that `config` asks for, and moves proxies to the ports it asks for.
    pub fn grow(&mut self, config: &Config, ports: &mut Ports) -> anyhow::Result<()> {
        self.check_counts(config)?;
        for (role, count) in
            [(Role::Meta, config.meta), (Role::Storage, config.nodes), (Role::Proxy, config.proxies)]
        {
            for number in self.count(role) + 1..=count {
                let id = MemberId { role, number };
                self.members.push(Member { id, ports: BTreeMap::new(), client_host: String::new() });
            }
        }
        self.members.sort_by_key(|member| member.id);
        for member in &mut self.members {
            member.client_host = reachable(&config.bind).to_owned();
            for &listener in member.id.role.listeners() {
                let port = choose_port(config, member, listener, ports)?;
                member.ports.insert(listener, port);
            }
        }
        Ok(())
    }

    /// Proxies and storage nodes may be added at a later start; nothing may be left out, and the
    /// meta group is fixed.
    pub fn check_counts(&self, config: &Config) -> anyhow::Result<()> {
        ensure!(
            config.meta >= 1 && config.nodes >= 1 && config.proxies >= 1,
            "at least one of each is needed"
        );
        ensure!(config.meta % 2 == 1, "the number of meta nodes must be odd (1, 3 or 5)");
        if self.members.is_empty() {
            return Ok(());
        }
        let (meta, nodes, proxies) =
            (self.count(Role::Meta), self.count(Role::Storage), self.count(Role::Proxy));
        ensure!(
            config.meta == meta && config.nodes >= nodes && config.proxies >= proxies,
            "{} holds a cluster of {meta} meta nodes, {nodes} storage nodes and {proxies} proxies; \
             start it with --meta {meta} and no fewer --nodes and --proxies",
            config.dir.display()
        );
        Ok(())
    }
}

/// Where to dial what was bound to `host`.
fn reachable(host: &str) -> &str {
    match host {
        "0.0.0.0" | "::" => LOOPBACK,
        host => host,
    }
}

fn choose_port(
    config: &Config,
    member: &Member,
    listener: Listener,
    ports: &mut Ports,
) -> anyhow::Result<u16> {
    let remembered = member.ports.get(&listener).copied();
    let (wanted, flag, default) = match listener {
        Listener::Cluster => (config.port, "--port", Some(Config::DEFAULT_PORT)),
        Listener::Plain => (config.plain_port, "--plain-port", Some(Config::DEFAULT_PLAIN_PORT)),
        Listener::Rpc | Listener::Http => (None, "", None),
    };
    let nth = |base: u16| {
        base.checked_add((member.id.number - 1) as u16).with_context(|| format!("{flag} {base} is too high"))
    };
    let host = match listener {
        Listener::Cluster | Listener::Plain => &config.bind,
        Listener::Rpc | Listener::Http => LOOPBACK,
    };
    let port = match (wanted, remembered, default) {
        (None | Some(0), Some(port), _) => port,
        (None, None, Some(base)) | (Some(base @ 1..), _, _) => nth(base)?,
        (Some(0), None, _) | (None, None, None) => return ports.free(host).context("no free port"),
    };
    let use_other = if flag.is_empty() { String::new() } else { format!("; choose other ports with {flag}") };
    ports.claim(host, port).with_context(|| {
        format!("the {} listener of {} needs port {port}{use_other}", listener.as_str(), member.id)
    })?;
    Ok(port)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// A layout that is only written holds no port: one test at a time draws them.
    fn drawing() -> MutexGuard<'static, ()> {
        static DRAWING: Mutex<()> = Mutex::new(());
        DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grown(config: &Config) -> anyhow::Result<Layout> {
        let mut layout = Layout::load(&config.dir)?;
        layout.grow(config, &mut Ports::new())?;
        layout.save(&config.dir)?;
        Ok(layout)
    }

    fn ports(layout: &Layout) -> Vec<u16> {
        layout.members.iter().flat_map(|member| member.ports.values().copied()).collect()
    }

    #[test]
    fn free_ports_are_distinct_and_remembered() {
        let _drawing = drawing();
        let dir = tempfile::tempdir().unwrap();
        let config = Config::on_free_ports(dir.path());
        let first = grown(&config).unwrap();
        let mut distinct = ports(&first);
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 3 * 2 + 3 * 2 + 3 * 3);
        assert_eq!(grown(&config).unwrap(), first);
        let unasked = Config { port: None, plain_port: None, ..config };
        assert_eq!(grown(&unasked).unwrap(), first, "remembered ports come before the default ones");
    }

    #[test]
    fn a_given_port_wins_over_the_remembered_one() {
        let _drawing = drawing();
        let dir = tempfile::tempdir().unwrap();
        let remembering = Config { proxies: 1, ..Config::on_free_ports(dir.path()) };
        grown(&remembering).unwrap();
        let other = Ports::new().free(LOOPBACK).unwrap();
        let layout = grown(&Config { port: Some(other), ..remembering }).unwrap();
        let proxy = layout.of_role(Role::Proxy).next().unwrap();
        assert_eq!(proxy.address(Listener::Cluster), Some(format!("{LOOPBACK}:{other}")));
    }

    #[test]
    fn nodes_and_proxies_may_be_added_but_not_left_out() {
        let _drawing = drawing();
        let dir = tempfile::tempdir().unwrap();
        let config = Config::on_free_ports(dir.path());
        let first = grown(&config).unwrap();
        let larger = grown(&Config { nodes: 4, proxies: 5, ..config.clone() }).unwrap();
        assert_eq!(larger.members.len(), 12);
        assert!(first.members.iter().all(|member| larger.members.contains(member)));
        let complaint = grown(&config).unwrap_err().to_string();
        assert!(complaint.contains("3 meta nodes, 4 storage nodes and 5 proxies"), "{complaint}");
        assert!(grown(&Config { meta: 5, nodes: 4, proxies: 5, ..config }).is_err());
    }

    #[test]
    fn a_port_in_use_is_refused_with_the_flag_that_helps() {
        let _drawing = drawing();
        let dir = tempfile::tempdir().unwrap();
        let taken = std::net::TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = Config { port: Some(port), ..Config::on_free_ports(dir.path()) };
        let complaint = format!("{:#}", grown(&config).unwrap_err());
        assert!(
            complaint.contains(&format!("the cluster listener of proxy-1 needs port {port}")),
            "{complaint}"
        );
        assert!(complaint.contains("--port"), "{complaint}");
    }
}
