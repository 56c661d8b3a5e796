//! What happens to keys, in Redis's words.

use topology::Classes;

/// One thing that may happen to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub class: Classes,
    pub name: &'static str,
}

impl Event {
    pub const fn generic(name: &'static str) -> Self {
        Self { class: Classes::GENERIC, name }
    }

    pub const fn string(name: &'static str) -> Self {
        Self { class: Classes::STRING, name }
    }

    pub const fn list(name: &'static str) -> Self {
        Self { class: Classes::LIST, name }
    }

    pub const fn set(name: &'static str) -> Self {
        Self { class: Classes::SET, name }
    }

    pub const fn hash(name: &'static str) -> Self {
        Self { class: Classes::HASH, name }
    }

    pub const fn sorted_set(name: &'static str) -> Self {
        Self { class: Classes::SORTED_SET, name }
    }

    pub const fn stream(name: &'static str) -> Self {
        Self { class: Classes::STREAM, name }
    }

    /// Of a type that is a module in Redis.
    pub const fn module(name: &'static str) -> Self {
        Self { class: Classes::MODULE, name }
    }
}

pub const DEL: Event = Event::generic("del");
pub const EXPIRE: Event = Event::generic("expire");
pub const PERSIST: Event = Event::generic("persist");
/// The moment of its expiry has come.
pub const EXPIRED: Event = Event { class: Classes::EXPIRED, name: "expired" };
/// That of fields of a hash.
pub const HASH_EXPIRED: Event = Event::hash("hexpired");
/// There was no such key.
pub const NEW: Event = Event { class: Classes::NEW, name: "new" };
/// A key was read that is not there.
pub const KEYMISS: Event = Event { class: Classes::MISS, name: "keymiss" };
