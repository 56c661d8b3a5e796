//! What ROLE and INFO say about a node: master, with its replicas, or replica of a master.

use resp::Reply;
use topology::view::{Node, View};

/// What a node is announced as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    place: Place,
    /// The same on a master and its replicas, as that of what Redis replicates.
    id: String,
    /// What stands for Redis's replication offset: replicas here are never behind.
    offset: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Master { replicas: Vec<Address> },
    ReplicaOf(Address),
}

type Address = (String, u16);

impl Role {
    pub fn of(view: &View<'_>) -> Self {
        let address = |node: &Node<'_>| (node.host.to_owned(), node.port);
        let place = match view.my_master() {
            Some(master) => Place::ReplicaOf(address(master)),
            None => Place::Master { replicas: view.my_replicas().into_iter().map(address).collect() },
        };
        Self { place, id: view.my_shard_id(), offset: view.version().0 }
    }

    /// To clients that know of no other nodes.
    pub fn alone(self) -> Self {
        Self { place: Place::Master { replicas: Vec::new() }, ..self }
    }

    /// ROLE.
    pub fn reply(&self) -> Reply {
        let text = |text: &dyn ToString| Reply::bulk(text.to_string());
        let offset = Reply::Int(self.offset as i64);
        match &self.place {
            Place::Master { replicas } => {
                let replica =
                    |(host, port): &Address| Reply::Array(vec![text(host), text(port), text(&self.offset)]);
                let replicas = replicas.iter().map(replica).collect();
                Reply::Array(vec![Reply::bulk("master"), offset, Reply::Array(replicas)])
            }
            Place::ReplicaOf((host, port)) => Reply::Array(vec![
                Reply::bulk("slave"),
                text(host),
                Reply::Int((*port).into()),
                Reply::bulk("connected"),
                offset,
            ]),
        }
    }

    /// INFO replication.
    pub fn fields(&self) -> Vec<(String, String)> {
        let offset = &self.offset;
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut field = |name: &str, value: &dyn ToString| fields.push((name.to_owned(), value.to_string()));
        let replicas = match &self.place {
            Place::Master { replicas } => {
                field("role", &"master");
                &replicas[..]
            }
            Place::ReplicaOf((host, port)) => {
                field("role", &"slave");
                field("master_host", host);
                field("master_port", port);
                field("master_link_status", &"up");
                field("master_last_io_seconds_ago", &0);
                field("master_sync_in_progress", &0);
                field("slave_read_repl_offset", offset);
                field("slave_repl_offset", offset);
                field("slave_read_only", &1);
                &[]
            }
        };
        field("connected_slaves", &replicas.len());
        for (at, (host, port)) in replicas.iter().enumerate() {
            let shown = format!("ip={host},port={port},state=online,offset={offset},lag=0");
            field(&format!("slave{at}"), &shown);
        }
        field("master_failover_state", &"no-failover");
        field("master_replid", &self.id);
        field("master_repl_offset", offset);
        field("second_repl_offset", &-1);
        field("repl_backlog_active", &0);
        fields
    }
}
