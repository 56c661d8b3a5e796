//! The command line of each member: the one description both modes start from.

use std::path::Path;

use crate::{
    config::Config,
    layout::{Layout, Listener, Member, Role},
};

/// Replicas per group, where there are nodes enough.
const REPLICATION: u32 = 3;

/// Flags of `member`, program name not included.
pub(crate) fn of(member: &Member, layout: &Layout, config: &Config, dir: &Path) -> Vec<String> {
    let mut flags = Flags::default();
    let local = |listener| member.address(listener).unwrap_or_default();
    flags.set("http-listen", local(Listener::Http));
    match member.id.role {
        Role::Meta => {
            flags.set("id", member.id.number);
            flags.set("data-dir", dir.join(member.id.to_string()).display());
            flags.set("listen", local(Listener::Rpc));
            flags.set("advertise", local(Listener::Rpc));
            flags.set("peers", meta_peers(layout).join(","));
            flags.set("bootstrap", config.bootstrap.as_str());
            flags.set("expected-nodes", config.nodes);
            flags.set("replication", config.nodes.min(REPLICATION));
        }
        Role::Storage => {
            flags.set("data-dir", dir.join(member.id.to_string()).display());
            flags.set("name", member.id);
            flags.set("listen", local(Listener::Rpc));
            flags.set("advertise", local(Listener::Rpc));
            flags.set("meta", meta_addresses(layout).join(","));
        }
        Role::Proxy => {
            let port = |listener| member.ports.get(&listener).copied().unwrap_or_default();
            flags.set("listen", format!("{}:{}", config.bind, port(Listener::Cluster)));
            flags.set("plain-listen", format!("{}:{}", config.bind, port(Listener::Plain)));
            flags.set("announce-host", &config.announce);
            flags.set("announce-port", port(Listener::Cluster));
            flags.set("meta", meta_addresses(layout).join(","));
            flags.set("settings-file", dir.join(format!("{}.conf", member.id)).display());
        }
    }
    for (_, key, value) in config.options.iter().filter(|(role, ..)| *role == member.id.role) {
        flags.set(&key.replace('_', "-"), value);
    }
    flags.0
}

#[derive(Default)]
struct Flags(Vec<String>);

impl Flags {
    fn set(&mut self, name: &str, value: impl ToString) {
        self.0.push(format!("--{name}={}", value.to_string()));
    }
}

pub(crate) fn meta_addresses(layout: &Layout) -> Vec<String> {
    layout.of_role(Role::Meta).filter_map(|member| member.address(Listener::Rpc)).collect()
}

fn meta_peers(layout: &Layout) -> Vec<String> {
    let numbers = layout.of_role(Role::Meta).map(|member| member.id.number);
    numbers.zip(meta_addresses(layout)).map(|(number, address)| format!("{number}={address}")).collect()
}
