//! Places on earth as scores of sorted sets: geohashes of 52 bits (semantics: Redis's `geohash.c` and
//! `geohash_helper.c`, to the last bit of each result).
//!
//! [`cell`] maps between places and cells of a grid, whose number is a score; [`distance`] measures;
//! [`area`] finds the cells that cover a circle or a box. What is in them is asked of the sorted set.

pub mod area;
pub mod cell;
pub mod distance;
#[cfg(test)]
mod tests;

pub use area::{Shape, cells_around};
pub use cell::{Cell, Point, geohash, score_of};
pub use distance::distance_m;
