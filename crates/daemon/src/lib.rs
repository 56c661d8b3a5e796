//! Everything a process needs around its work: the seams to the world, configuration, logs, health,
//! metrics, and its life from start to stop. Knows nothing of Redis, Raft or the topology.

// `options!` names this crate by its name, also in here.
extern crate self as daemon;

pub mod config;
pub mod env;
pub mod grpc;
pub mod http;
pub mod logging;
pub mod meta_client;
pub mod process;
