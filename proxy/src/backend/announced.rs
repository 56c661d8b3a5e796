//! What cluster clients are told about slots by this proxy, against what is routed: who is announced
//! as a slot's master, and which slots belong to nodes that this proxy has not met.

use std::sync::Arc;

use topology::{ClusterState, Proxy, ProxyId, Slot, SlotSet, view::View};

/// Of one topology, for one proxy.
#[derive(Debug, Default)]
pub struct Announced {
    /// Slots of the nodes that this proxy knows.
    known: SlotSet,
    /// Nobody else has slots.
    is_whole: bool,
    masters: Vec<Master>,
}

#[derive(Debug)]
struct Master {
    slots: SlotSet,
    /// host:port
    address: Arc<str>,
    relation: Relation,
}

/// What a master is to this proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Myself,
    /// This proxy is announced as a replica of it.
    MyMaster,
    Other,
}

impl Announced {
    pub fn of(state: &ClusterState, me: &ProxyId) -> Self {
        let unlisted = Proxy::default();
        let realm = state.proxies.get(me).unwrap_or(&unlisted).realm;
        let known = state.realm_slots(realm);
        let routed: usize = state.groups.values().map(|g| g.slots.len()).sum::<usize>() + state.moving.len();
        let view = View::new(state, me, &unlisted);
        let my_master = view.myself().master;
        let relation = |node: &topology::view::Node<'_>| match node {
            node if node.myself => Relation::Myself,
            node if Some(node.id) == my_master => Relation::MyMaster,
            _ => Relation::Other,
        };
        let masters = view.nodes().iter().filter(|node| !node.slots.is_empty()).map(|node| Master {
            slots: node.slots.clone(),
            address: format!("{}:{}", node.host, node.port).into(),
            relation: relation(node),
        });
        Self { is_whole: known.len() == routed, masters: masters.collect(), known }
    }

    /// Every slot that is routed is announced.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// No node that this proxy knows has a slot.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// A node that this proxy knows has the slot.
    pub fn knows(&self, slot: Slot) -> bool {
        self.known.contains(slot)
    }

    /// The master of a slot, and its address.
    pub fn master(&self, slot: Slot) -> Option<(Relation, &Arc<str>)> {
        self.masters.iter().find(|m| m.slots.contains(slot)).map(|m| (m.relation, &m.address))
    }
}
