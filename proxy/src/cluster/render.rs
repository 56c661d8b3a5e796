//! The view of the topology as replies.

use resp::Reply;
use topology::view::{Node, Shard, SlotRange, View};

/// Text that RESP3 clients get as verbatim.
pub(super) fn text(text: String) -> Reply {
    Reply::Verbatim(*b"txt", text.into())
}

/// `[start, end, [host, port, id, {hostname}], …]` for each range.
pub(super) fn slots(view: &View<'_>) -> Reply {
    let range = |range: SlotRange<'_, '_>| {
        let bounds = [range.first, range.last].map(|n| Reply::Int(i64::from(n)));
        Reply::Array(bounds.into_iter().chain(range.nodes.into_iter().map(endpoint)).collect())
    };
    Reply::Array(view.slot_ranges().into_iter().map(range).collect())
}

fn endpoint(node: &Node<'_>) -> Reply {
    let hostname = (Reply::bulk("hostname"), Reply::bulk(node.hostname));
    let more = if node.hostname.is_empty() { Vec::new() } else { vec![hostname] };
    let port = Reply::Int(i64::from(node.port));
    Reply::Array(vec![Reply::bulk(node.host), port, Reply::bulk(node.id.as_str()), Reply::Map(more)])
}

/// `{slots: [start, end, …], nodes: [{…}, …]}` for each shard.
pub(super) fn shards(view: &View<'_>) -> Reply {
    let offset = view.version().0 as i64;
    let shard = |shard: Shard<'_, '_>| {
        let bounds = shard.slots.ranges().iter().flat_map(|&(first, last)| [first, last]);
        let slots = bounds.map(|n| Reply::Int(i64::from(n))).collect();
        let nodes = shard.nodes.into_iter().map(|node| shard_node(node, offset)).collect();
        Reply::Map(vec![
            (Reply::bulk("slots"), Reply::Array(slots)),
            (Reply::bulk("nodes"), Reply::Array(nodes)),
        ])
    };
    Reply::Array(view.shards().into_iter().map(shard).collect())
}

/// Every proxy is equally current: the offset is the same for all of a topology version.
fn shard_node(node: &Node<'_>, offset: i64) -> Reply {
    let mut fields = vec![
        (Reply::bulk("id"), Reply::bulk(node.id.as_str())),
        (Reply::bulk("port"), Reply::Int(i64::from(node.port))),
        (Reply::bulk("ip"), Reply::bulk(node.host)),
        (Reply::bulk("endpoint"), Reply::bulk(node.host)),
    ];
    if !node.hostname.is_empty() {
        fields.push((Reply::bulk("hostname"), Reply::bulk(node.hostname)));
    }
    let role = if node.is_master() { "master" } else { "replica" };
    fields.push((Reply::bulk("role"), Reply::bulk(role)));
    fields.push((Reply::bulk("replication-offset"), Reply::Int(offset)));
    fields.push((Reply::bulk("health"), Reply::bulk("online")));
    Reply::Map(fields)
}

pub(super) fn replicas(view: &View<'_>, id: &[u8]) -> Reply {
    match view.replicas_of(id) {
        Ok(lines) => Reply::Array(lines.into_iter().map(Reply::bulk).collect()),
        Err(error) => Reply::error(format!("ERR {error}")),
    }
}
