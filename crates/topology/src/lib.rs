//! What the cluster looks like: slots, groups, nodes, proxies, and the state that meta replicates; and the
//! libraries of functions, which it keeps beside it.

pub mod change;
pub mod command;
mod fronting;
pub mod id;
mod invariant;
mod libraries;
pub mod namespace;
pub mod notifications;
pub mod reconcile;
pub mod slot;
pub mod state;
mod transition;
pub mod users;
pub mod view;

pub use change::{Change, Said, SlotMark};
pub use command::{Command, Outcome, Refused, Role};
pub use id::{GroupId, MetaId, ProxyId, ReplicaId, StoreId, Version};
pub use invariant::{Broken, check};
pub use libraries::{
    LIBRARIES_BYTES_MAX, Libraries, LibraryChange, LibraryRecord, LibraryRefused, RestorePolicy,
};
pub use namespace::Namespaces;
pub use notifications::{Classes, UnknownClass};
pub use slot::{SLOT_COUNT, Slot, SlotSet, slot_of};
pub use state::{ClusterState, Group, Proxy, Replica, StorageNode};
pub use users::{User, Users, UsersChange};
