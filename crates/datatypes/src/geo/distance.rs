//! Distances along great circles, by the haversine formula.

use super::cell::Point;

/// Quadratic mean radius of the earth (WGS 84).
pub(super) const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

const RADIANS: f64 = std::f64::consts::PI / 180.0;

pub(super) fn to_radians(degrees: f64) -> f64 {
    degrees * RADIANS
}

pub(super) fn to_degrees(radians: f64) -> f64 {
    radians / RADIANS
}

/// The distance between two places, in metres.
pub fn distance_m(a: Point, b: Point) -> f64 {
    let v = ((to_radians(b.longitude) - to_radians(a.longitude)) / 2.0).sin();
    if v == 0.0 {
        return latitude_distance_m(a.latitude, b.latitude);
    }
    let (south, north) = (to_radians(a.latitude), to_radians(b.latitude));
    let u = ((north - south) / 2.0).sin();
    let square = u * u + south.cos() * north.cos() * v * v;
    2.0 * EARTH_RADIUS_M * square.sqrt().asin()
}

/// The distance between two latitudes, in metres.
pub(super) fn latitude_distance_m(a: f64, b: f64) -> f64 {
    EARTH_RADIUS_M * (to_radians(b) - to_radians(a)).abs()
}
