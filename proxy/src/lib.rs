//! The proxy: speaks RESP to clients, holds no data, routes every command to the group that
//! serves its slot.
//!
//! ```text
//! listener ─► connection ─► execute ─┬─► local (the proxy itself), cluster (CLUSTER …)
//!                ▲                   ├─► gather, scan (several groups)
//!                │                   └─► backend_api ─► backend ─► storage nodes
//!                └────── replies ────────────┘
//! pubsub: messages between clients, by way of storage nodes
//! server: one process · worker: one thread · shared: what workers share
//! ```

mod accounts;
pub mod backend;
pub mod backend_api;
mod blocking;
pub mod cluster;

mod ask;
mod awaited;
mod clients;
mod connection;
mod execute;
mod gather;
mod latency;
mod listener;
mod local;
mod metrics;
mod monitor;
mod namespaces;
mod notices;
mod options;
mod pause;
mod promises;
mod pubsub;
mod redact;
mod rights;
mod running;
mod scan;
mod scripts;
mod server;
mod settings;
mod settings_file;
mod shared;
mod slowlog;
mod stats;
mod tracking;
mod worker;
mod written;

pub use options::Options;
pub use server::{Addresses, run};
