//! Numbers as Redis reads and writes them.

mod big;
mod double;
mod integer;
mod long_double;

pub use double::{parse_f64, parse_f64_like_c, print_f64_long};
pub use integer::parse_i64;
pub use long_double::LongDouble;
