//! What the cluster looks like: slots, groups, nodes, proxies, and the state that meta replicates.

pub mod id;
pub mod slot;
pub mod state;

pub use id::{GroupId, MetaId, ProxyId, ReplicaId, StoreId, Version};
pub use slot::{SLOT_COUNT, Slot, SlotSet, slot_of};
pub use state::{ClusterState, Group, Proxy, Replica, StorageNode};
