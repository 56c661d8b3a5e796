//! Strings.

mod get;
mod lcs;
mod multi;
mod number;
mod range;
mod set;

pub use get::{get, getdel, getex, getrange, strlen};
pub use lcs::lcs;
pub use multi::{mget, mset, msetnx};
pub use number::{decr, decrby, incr, incrby, incrbyfloat};
pub use range::{append, setrange};
pub use set::{getset, psetex, set, setex, setnx};
