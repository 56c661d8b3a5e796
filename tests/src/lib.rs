//! What the tests of a whole cluster share.
//!
//! - [`history`]: what clients asked and were told, and whether it is linearizable.
//! - [`load`]: clients that ask, through every fault.
//! - [`resp`]: a Redis client that shows each byte; it shares no code with the product.
//! - [`sim`]: the whole cluster in one deterministic process.
//! - [`cluster`]: a cluster in a temporary directory, one at a time.
//! - [`wait`]: waiting on a condition, with a deadline.

pub mod cluster;
pub mod history;
pub mod load;
pub mod resp;
pub mod sim;
pub mod wait;
