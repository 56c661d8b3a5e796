//! What the cluster looks like: slots, groups, nodes, proxies, and the state that meta replicates.

pub mod change;
pub mod command;
mod fronting;
pub mod id;
mod invariant;
pub mod reconcile;
pub mod slot;
pub mod state;
mod transition;
pub mod view;

pub use change::{Change, Said, SlotMark};
pub use command::{Command, Outcome, Refused, Role};
pub use id::{GroupId, MetaId, ProxyId, ReplicaId, StoreId, Version};
pub use invariant::{Broken, check};
pub use slot::{SLOT_COUNT, Slot, SlotSet, slot_of};
pub use state::{ClusterState, Group, Proxy, Replica, StorageNode};
