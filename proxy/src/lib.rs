//! The proxy: speaks RESP to clients, holds no data, routes every command to the group that
//! serves its slot.

pub mod backend;
pub mod backend_api;
pub mod cluster;
