//! Circles and boxes, and the cells that cover them.

use super::cell::{Area, Cell, Point};
use super::distance::{EARTH_RADIUS_M, distance_m, latitude_distance_m, to_degrees, to_radians};

/// Half of the earth's circumference on the map.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
const STEP_MAX: u8 = 26;

/// What is searched, around a place. Lengths are in a unit of the client's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    Circle { radius: f64, unit_m: f64 },
    Box { width: f64, height: f64, unit_m: f64 },
}

impl Shape {
    /// The distance of a place from the middle in metres, if it is inside.
    pub fn distance_inside_m(self, middle: Point, point: Point) -> Option<f64> {
        match self {
            Self::Circle { radius, unit_m } => {
                let distance = distance_m(middle, point);
                // NaN counts as near, as in Redis.
                if distance > radius * unit_m { None } else { Some(distance) }
            }
            Self::Box { width, height, unit_m } => {
                if latitude_distance_m(point.latitude, middle.latitude) > height * unit_m / 2.0 {
                    return None;
                }
                let across = distance_m(point, Point { longitude: middle.longitude, ..point });
                if across > width * unit_m / 2.0 { None } else { Some(distance_m(middle, point)) }
            }
        }
    }

    /// The distance from the middle to the farthest point.
    fn reach_m(self) -> f64 {
        match self {
            Self::Circle { radius, unit_m } => radius * unit_m,
            Self::Box { width, height, unit_m } => {
                let (width, height) = (width / 2.0, height / 2.0);
                (width * width + height * height).sqrt() * unit_m
            }
        }
    }

    /// Least and greatest degrees: longitudes, latitudes.
    fn bounds(self, middle: Point) -> Bounds {
        let (width, height) = match self {
            Self::Circle { radius, unit_m } => (unit_m * radius, unit_m * radius),
            Self::Box { width, height, unit_m } => (unit_m * (width / 2.0), unit_m * (height / 2.0)),
        };
        let up = to_degrees(height / EARTH_RADIUS_M);
        // Meridians are nearer to one another towards the pole.
        let pole = if middle.latitude < 0.0 { middle.latitude - up } else { middle.latitude + up };
        let across = to_degrees(width / EARTH_RADIUS_M / to_radians(pole).cos());
        Bounds {
            west: middle.longitude - across,
            east: middle.longitude + across,
            south: middle.latitude - up,
            north: middle.latitude + up,
        }
    }
}

struct Bounds {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

/// The cells that cover a shape: the one around its middle, and those of its neighbours that are needed,
/// in Redis's order.
pub fn cells_around(shape: Shape, middle: Point) -> Vec<Cell> {
    let bounds = shape.bounds(middle);
    let mut step = step_for(shape.reach_m(), middle.latitude);
    if step > 1 && !neighbours_suffice(Cell::at(middle, step), &bounds) {
        step -= 1;
    }
    let cell = Cell::at(middle, step);
    let area = cell.area();
    let mut cells = vec![cell];
    for (east, north) in [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)] {
        if step >= 2 && !is_needed(&area, &bounds, east, north) {
            continue;
        }
        let neighbour = cell.neighbour(east, north);
        // On a coarse grid, those on both sides are the same.
        if cells.len() == 1 || cells.last() != Some(&neighbour) {
            cells.push(neighbour);
        }
    }
    cells
}

/// The finest grid on which a cell and its neighbours likely cover what is so far away.
fn step_for(reach_m: f64, latitude: f64) -> u8 {
    if reach_m == 0.0 {
        return STEP_MAX;
    }
    let (mut step, mut reach_m) = (1, reach_m);
    // A step that is too fine is cut anyway.
    while reach_m < MERCATOR_MAX_M && step < 2 * i32::from(STEP_MAX) {
        reach_m *= 2.0;
        step += 1;
    }
    step -= 2;
    if latitude.abs() > 66.0 {
        step -= 1;
        if latitude.abs() > 80.0 {
            step -= 1;
        }
    }
    step.clamp(1, i32::from(STEP_MAX)) as u8
}

fn neighbours_suffice(cell: Cell, bounds: &Bounds) -> bool {
    let area = |east, north| cell.neighbour(east, north).area();
    area(0, 1).latitude.max >= bounds.north
        && area(0, -1).latitude.min <= bounds.south
        && area(1, 0).longitude.max >= bounds.east
        && area(-1, 0).longitude.min <= bounds.west
}

/// Whether the shape leaves the cell towards a neighbour.
fn is_needed(area: &Area, bounds: &Bounds, east: i8, north: i8) -> bool {
    let inside = [
        (north < 0, area.latitude.min < bounds.south),
        (north > 0, area.latitude.max > bounds.north),
        (east < 0, area.longitude.min < bounds.west),
        (east > 0, area.longitude.max > bounds.east),
    ];
    !inside.into_iter().any(|(towards, ends)| towards && ends)
}
