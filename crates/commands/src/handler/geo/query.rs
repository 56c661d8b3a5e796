//! What GEOSEARCH and its kin ask for.

use datatypes::geo::{Point, Shape};
use datatypes::number::parse_f64;
use datatypes::{Kv, SortedSet};

use super::{GeoError, point, unit_m};
use crate::CommandError;
use crate::args::{int, is};
use crate::options::GEORADIUS;

/// How a command names what is searched, and what it may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// GEORADIUS; whether it may store.
    Radius(bool),
    /// GEORADIUSBYMEMBER; whether it may store.
    RadiusByMember(bool),
    Search,
    SearchStore,
}

impl Form {
    fn may_store(self) -> bool {
        matches!(self, Self::Radius(true) | Self::RadiusByMember(true))
    }

    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchStore)
    }
}

/// Order of the distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Ascending,
    Descending,
}

/// What is asked for.
#[derive(Debug, Default)]
pub struct Query<'a> {
    pub middle: Option<Point>,
    pub shape: Option<Shape>,
    /// FROMMEMBER was given; the key may be missing.
    from_member: bool,
    from_point: bool,
    pub with_distance: bool,
    pub with_hash: bool,
    pub with_coordinates: bool,
    /// Any of them do, not the nearest.
    pub any: bool,
    pub count: Option<usize>,
    pub sort: Option<Sort>,
    /// The key of STORE or STOREDIST.
    pub store: Option<&'a [u8]>,
    pub store_distance: bool,
}

impl<'a> Query<'a> {
    /// Reads what follows the key that is searched.
    pub fn parse(
        kv: &mut dyn Kv,
        set: &SortedSet,
        words: &'a [&'a [u8]],
        form: Form,
    ) -> Result<Self, CommandError> {
        let mut query = Self::default();
        let options = match (form, words) {
            (Form::Radius(_), [longitude, latitude, radius, unit, options @ ..]) => {
                query.middle = Some(point(longitude, latitude)?);
                query.shape = Some(circle(radius, unit)?);
                options
            }
            // Of a key that is missing, Redis looks at the options only.
            (Form::RadiusByMember(_), [_, _, _, options @ ..]) if set.is_missing() => options,
            (Form::RadiusByMember(_), [member, radius, unit, options @ ..]) => {
                query.middle = Some(place_of(kv, set, member)?);
                query.shape = Some(circle(radius, unit)?);
                options
            }
            (Form::Search | Form::SearchStore, options) => options,
            _ => return Err(CommandError::Syntax),
        };
        if let Some(target) = GEORADIUS.target(options).filter(|_| form.may_store()) {
            query.store = Some(target.key);
            query.store_distance = target.name == "STOREDIST";
        }
        let mut rest = options;
        while let [word, others @ ..] = rest {
            rest = match query.take_flag(word, form) {
                true => others,
                false => query.take_option(kv, set, word, others, form)?,
            };
        }
        query.check(form)?;
        if query.count.is_some() && !query.any {
            query.sort.get_or_insert(Sort::Ascending);
        }
        Ok(query)
    }

    /// Whether the word is an option that stands alone.
    fn take_flag(&mut self, word: &[u8], form: Form) -> bool {
        let flags = [
            ("WITHDIST", &mut self.with_distance),
            ("WITHHASH", &mut self.with_hash),
            ("WITHCOORD", &mut self.with_coordinates),
            ("ANY", &mut self.any),
        ];
        if let Some((_, flag)) = flags.into_iter().find(|(name, _)| is(word, name)) {
            *flag = true;
        } else if is(word, "ASC") {
            self.sort = Some(Sort::Ascending);
        } else if is(word, "DESC") {
            self.sort = Some(Sort::Descending);
        } else if is(word, "STOREDIST") && form == Form::SearchStore {
            self.store_distance = true;
        } else {
            return false;
        }
        true
    }

    /// Takes an option with what belongs to it; answers what is left.
    fn take_option(
        &mut self,
        kv: &mut dyn Kv,
        set: &SortedSet,
        word: &[u8],
        others: &'a [&'a [u8]],
        form: Form,
    ) -> Result<&'a [&'a [u8]], CommandError> {
        match others {
            [count, rest @ ..] if is(word, "COUNT") => {
                let count = usize::try_from(int(count)?).ok().filter(|&count| count > 0);
                self.count = Some(count.ok_or(GeoError::Count)?);
                Ok(rest)
            }
            [_, rest @ ..] if form.may_store() && (is(word, "STORE") || is(word, "STOREDIST")) => Ok(rest),
            [member, rest @ ..] if is(word, "FROMMEMBER") && form.is_search() && !self.from_point => {
                if !set.is_missing() {
                    self.middle = Some(place_of(kv, set, member)?);
                }
                self.from_member = true;
                Ok(rest)
            }
            [longitude, latitude, rest @ ..]
                if is(word, "FROMLONLAT") && form.is_search() && !self.from_member =>
            {
                self.middle = Some(point(longitude, latitude)?);
                self.from_point = true;
                Ok(rest)
            }
            [radius, unit, rest @ ..]
                if is(word, "BYRADIUS")
                    && form.is_search()
                    && !matches!(self.shape, Some(Shape::Box { .. })) =>
            {
                self.shape = Some(circle(radius, unit)?);
                Ok(rest)
            }
            [width, height, unit, rest @ ..]
                if is(word, "BYBOX")
                    && form.is_search()
                    && !matches!(self.shape, Some(Shape::Circle { .. })) =>
            {
                self.shape = Some(rectangle(width, height, unit)?);
                Ok(rest)
            }
            _ => Err(CommandError::Syntax),
        }
    }

    fn check(&self, form: Form) -> Result<(), GeoError> {
        let name = if form == Form::SearchStore { "geosearchstore" } else { "geosearch" };
        if self.with_distance || self.with_hash || self.with_coordinates {
            if form == Form::SearchStore {
                return Err(GeoError::SearchStoreWithOthers);
            }
            if self.store.is_some() {
                return Err(GeoError::StoreWithOthers);
            }
        }
        if form.is_search() && !self.from_member && !self.from_point {
            return Err(GeoError::From(name));
        }
        if form.is_search() && self.shape.is_none() {
            return Err(GeoError::By(name));
        }
        if self.any && self.count.is_none() {
            return Err(GeoError::AnyWithoutCount);
        }
        Ok(())
    }
}

fn place_of(kv: &mut dyn Kv, set: &SortedSet, member: &[u8]) -> Result<Point, CommandError> {
    let score = set.score(kv, member)?.ok_or(GeoError::NoSuchMember)?;
    Ok(Point::of_score(score))
}

fn circle(radius: &[u8], unit: &[u8]) -> Result<Shape, GeoError> {
    let radius = parse_f64(radius).ok_or(GeoError::Radius)?;
    if radius < 0.0 {
        return Err(GeoError::NegativeRadius);
    }
    Ok(Shape::Circle { radius, unit_m: unit_m(unit)? })
}

fn rectangle(width: &[u8], height: &[u8], unit: &[u8]) -> Result<Shape, GeoError> {
    let width = parse_f64(width).ok_or(GeoError::Width)?;
    let height = parse_f64(height).ok_or(GeoError::Height)?;
    if width < 0.0 || height < 0.0 {
        return Err(GeoError::NegativeBox);
    }
    Ok(Shape::Box { width, height, unit_m: unit_m(unit)? })
}
