//! The session against scripted answers, and against a model of the storage side under random
//! failures.

mod chaos;
mod scripted;

use std::sync::Arc;

use bytes::Bytes;
use commands::wire;
use topology::{
    ClusterState, Group, GroupId, Replica, ReplicaId, Slot, SlotSet, StorageNode, StoreId, Version,
};

use super::{Effects, Limits, Origin, Session};
use crate::{
    backend::routes::Routes,
    backend_api::{Outgoing, RouteError, Target},
};

/// Stands for a client's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Tag {
    origin: u64,
    number: u64,
}

impl Origin for Tag {
    fn origin(&self) -> u64 {
        self.origin
    }
}

const WRITE: u16 = 1;
const READ: u16 = 2;

fn slot(number: u16) -> Slot {
    Slot::new(number).expect("a valid slot")
}

/// A topology: each group with its slots and stores.
fn routes(version: u64, groups: &[(u64, &[u16], &[u64])]) -> Arc<Routes> {
    let mut state = ClusterState { version: Version(version), ..ClusterState::default() };
    for &(id, slots, stores) in groups {
        let replicas =
            stores.iter().map(|&s| Replica { id: ReplicaId(id * 100 + s), store: StoreId(s) }).collect();
        let slots = SlotSet::from_slots(slots.iter().map(|&s| slot(s)));
        state.groups.insert(GroupId(id), Group { slots, replicas, formed: true, ..Group::default() });
        for &store in stores {
            let node =
                StorageNode { name: format!("s{store}"), rpc_addr: format!("s{store}:1"), gone: false };
            state.stores.insert(StoreId(store), node);
        }
    }
    Arc::new(Routes::of(state, &topology::ProxyId::of_address("h", 1)))
}

fn submit(session: &mut Session<Tag>, now_ms: u64, at: u16, tag: Tag, write: bool) {
    let args: [&[u8]; 3] = [&at.to_le_bytes(), &tag.origin.to_le_bytes(), &tag.number.to_le_bytes()];
    let id = if write { WRITE } else { READ };
    let command =
        Outgoing { target: Target::Slot(slot(at)), id, flags: 0, db: 0, args: &args, write, writer: 0 };
    session.submit(now_ms, &command, tag);
}

fn effects(session: &mut Session<Tag>) -> Effects<Tag> {
    let mut effects = Effects::default();
    session.take_effects(&mut effects);
    effects
}

type Answer = (Tag, Result<Bytes, RouteError>);

fn answers(session: &mut Session<Tag>) -> Vec<Answer> {
    effects(session).replies
}

/// Replies, one for each command of a batch.
fn replies_to(commands: &[u8], mut reply: impl FnMut(&wire::WireCommand<'_>) -> Vec<u8>) -> Bytes {
    let mut out = Vec::new();
    for command in wire::commands(commands) {
        wire::put_bytes(&mut out, &reply(&command.expect("well formed")));
    }
    out.into()
}
