//! Everything a process needs around its work: seams, configuration, logs, health, metrics.

pub mod env;
pub mod grpc;
