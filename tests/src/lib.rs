//! What the tests of a whole cluster share.
//!
//! - [`history`]: what clients asked and were told, and whether it is linearizable.
//! - [`joiner`]: a meta node that waits to be added.
//! - [`load`]: clients that ask, through every fault.
//! - [`resp`]: a Redis client that shows each byte; it shares no code with the product.
//! - [`real_redis`]: a real redis-server beside the cluster.
//! - [`relay`]: a slow network between two processes.
//! - [`sim`]: the whole cluster in one deterministic process.
//! - [`cluster`]: a cluster in a temporary directory, one at a time.
//! - [`python`]: the Python that the tests use.
//! - [`wait`]: waiting on a condition, with a deadline.

pub mod cluster;
pub mod history;
pub mod joiner;
pub mod load;
pub mod python;
pub mod real_redis;
pub mod relay;
pub mod resp;
pub mod sim;
pub mod wait;
