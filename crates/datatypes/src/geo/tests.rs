//! Places and cells.

use proptest::prelude::*;

use super::{Point, Shape, cells_around, distance_m, geohash, score_of};

const PALERMO: Point = Point { longitude: 13.361_389, latitude: 38.115_556 };
const CATANIA: Point = Point { longitude: 15.087_269, latitude: 37.502_669 };

fn any_point() -> impl Strategy<Value = Point> {
    (-180.0..=180.0, -85.05..=85.05f64).prop_map(|(longitude, latitude)| Point { longitude, latitude })
}

#[test]
fn known_places_have_the_scores_and_geohashes_that_they_have_in_redis() {
    assert_eq!(score_of(PALERMO), 3_479_099_956_230_698.0);
    assert_eq!(score_of(CATANIA), 3_479_447_370_796_909.0);
    assert_eq!(&geohash(Point::of_score(score_of(PALERMO))), b"sqc8b49rny0");
    let stored = [PALERMO, CATANIA].map(|point| Point::of_score(score_of(point)));
    assert_eq!(format!("{:.4}", distance_m(stored[0], stored[1])), "166274.1516");
}

proptest! {
    #[test]
    fn a_score_stands_for_a_place_nearby(point in any_point()) {
        let stored = Point::of_score(score_of(point));
        prop_assert!(stored.is_valid());
        prop_assert!(distance_m(point, stored) < 1.0);
    }

    /// Within a few thousand kilometres and away from the edges of the map.
    #[test]
    fn what_is_inside_a_circle_is_in_one_of_its_cells(
        longitude in -100.0..100.0, latitude in -60.0..60.0, km in 0.001..2000.0, angle in 0.0..6.3, part in 0.0..0.99,
    ) {
        let middle = Point { longitude, latitude };
        let degrees = km * part / 111.2;
        let point = Point {
            longitude: longitude + degrees * f64::cos(angle),
            latitude: latitude + degrees * f64::sin(angle),
        };
        let shape = Shape::Circle { radius: km, unit_m: 1000.0 };
        let score = score_of(point);
        if shape.distance_inside_m(middle, Point::of_score(score)).is_some() {
            let cells = cells_around(shape, middle);
            let found = cells.iter().filter(|cell| (cell.scores().0..cell.scores().1).contains(&score));
            prop_assert_eq!(found.count(), 1);
        }
    }

    #[test]
    fn numbers_of_any_size_never_panic(longitude: f64, latitude: f64, width: f64, height: f64, unit_m: f64, score: f64) {
        let point = Point { longitude, latitude };
        for shape in [Shape::Circle { radius: width, unit_m }, Shape::Box { width, height, unit_m }] {
            prop_assert!(cells_around(shape, point).len() <= 9);
            let _ = shape.distance_inside_m(point, Point::of_score(score));
        }
        let _ = (geohash(point), score_of(point));
    }
}
