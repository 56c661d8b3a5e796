//! Cells of a grid over the earth, finer with each step.
//!
//! A cell's number interleaves the bits of its column (longitude, the higher ones) and its row
//! (latitude), so the cells within a coarser one follow one another.

/// Steps of the finest cells: 52 bits, all of which a double holds.
const STEP_MAX: u8 = 26;
/// Bits of the columns.
const COLUMNS: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const ROWS: u64 = 0x5555_5555_5555_5555;
const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Letters of a geohash; there are no bits left for the last one.
const GEOHASH_LETTERS: usize = 11;

/// From the least to the greatest degree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    pub min: f64,
    pub max: f64,
}

impl Extent {
    fn contains(self, degrees: f64) -> bool {
        (self.min..=self.max).contains(&degrees)
    }

    /// Where a degree lies when the extent is cut in `2^step` parts.
    fn part(self, degrees: f64, step: u8) -> u32 {
        ((degrees - self.min) / (self.max - self.min) * (1u64 << step) as f64) as u32
    }

    /// The extent of a part.
    fn of_part(self, part: u32, step: u8) -> Self {
        let scale = self.max - self.min;
        let at = |part: u32| self.min + (f64::from(part) / (1u64 << step) as f64) * scale;
        Self { min: at(part), max: at(part.wrapping_add(1)) }
    }

    fn middle(self, all: Self) -> f64 {
        f64::midpoint(self.min, self.max).clamp(all.min, all.max)
    }
}

pub(super) const LONGITUDES: Extent = Extent { min: -180.0, max: 180.0 };
/// Those of the Mercator projection: the poles are not on it.
pub(super) const LATITUDES: Extent = Extent { min: -85.051_128_78, max: 85.051_128_78 };

/// A place, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub longitude: f64,
    pub latitude: f64,
}

impl Point {
    /// Whether the place is on the map.
    pub fn is_valid(self) -> bool {
        LONGITUDES.contains(self.longitude) && LATITUDES.contains(self.latitude)
    }

    /// The place that a score stands for: the middle of its cell.
    pub fn of_score(score: f64) -> Self {
        let area = Cell { bits: score as u64, step: STEP_MAX }.area();
        Self { longitude: area.longitude.middle(LONGITUDES), latitude: area.latitude.middle(LATITUDES) }
    }
}

/// The score of a place on the map.
pub fn score_of(point: Point) -> f64 {
    Cell::at(point, STEP_MAX).least_score() as f64
}

/// The geohash of a place as other systems know it: with latitudes up to the poles.
pub fn geohash(point: Point) -> [u8; GEOHASH_LETTERS] {
    let bits = Cell::within(point, STEP_MAX, Extent { min: -90.0, max: 90.0 }).bits;
    let mut letters = [LETTERS[0]; GEOHASH_LETTERS];
    for (at, letter) in letters[..GEOHASH_LETTERS - 1].iter_mut().enumerate() {
        *letter = LETTERS[(bits >> (52 - 5 * (at + 1))) as usize & 31];
    }
    letters
}

/// A cell of the grid with `2^step` rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    bits: u64,
    step: u8,
}

/// What a cell covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    pub longitude: Extent,
    pub latitude: Extent,
}

impl Cell {
    /// The cell around a place.
    pub(super) fn at(point: Point, step: u8) -> Self {
        Self::within(point, step, LATITUDES)
    }

    fn within(point: Point, step: u8, latitudes: Extent) -> Self {
        let row = spread(latitudes.part(point.latitude, step));
        let column = spread(LONGITUDES.part(point.longitude, step));
        Self { bits: row | column << 1, step }
    }

    pub(super) fn area(self) -> Area {
        Area {
            longitude: LONGITUDES.of_part(gathered(self.bits >> 1), self.step),
            latitude: LATITUDES.of_part(gathered(self.bits), self.step),
        }
    }

    /// The scores of places in the cell: from the first up to the second, which is not.
    pub fn scores(self) -> (f64, f64) {
        let next = Self { bits: self.bits.wrapping_add(1), ..self };
        (self.least_score() as f64, next.least_score() as f64)
    }

    fn least_score(self) -> u64 {
        self.bits << (2 * (STEP_MAX - self.step))
    }

    /// The cell some columns to the east and rows to the north, around the map: -1, 0 or 1 of each.
    pub(super) fn neighbour(self, east: i8, north: i8) -> Self {
        let unused = 64 - 2 * u32::from(self.step);
        let column = moved(self.bits & COLUMNS, COLUMNS >> unused, ROWS >> unused, east);
        let row = moved(self.bits & ROWS, ROWS >> unused, COLUMNS >> unused, north);
        Self { bits: column | row, ..self }
    }
}

/// Counts on the bits of `used`, between which lie those of `gaps`. As in Redis, what does not move
/// may lie beyond the last column or row, where the greatest degree is.
fn moved(bits: u64, used: u64, gaps: u64, by: i8) -> u64 {
    match by {
        0 => bits,
        1.. => bits.wrapping_add(gaps.wrapping_add(1)) & used,
        _ => (bits | gaps).wrapping_sub(gaps.wrapping_add(1)) & used,
    }
}

/// Each bit at twice its place.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, ROWS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// The reverse of [`spread`].
fn gathered(bits: u64) -> u32 {
    let mut bits = bits & ROWS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}
