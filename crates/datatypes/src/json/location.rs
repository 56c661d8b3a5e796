//! Places in a document.

use std::cmp::Ordering;

use super::{Json, JsonError};

/// One step of the way to a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Name(Box<str>),
    Index(usize),
}

/// The way to a place; empty: the root.
pub type Location = Vec<Part>;

/// A [`Part`] of a document that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Crumb<'j> {
    Name(&'j str),
    Index(usize),
}

/// Most memory for the places that a write is for.
const LOCATIONS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Collects places, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Collector {
    bytes: usize,
}

impl Collector {
    pub fn location(&mut self, trail: &[Crumb<'_>]) -> Result<Location, JsonError> {
        let part = |crumb: &Crumb<'_>| match crumb {
            Crumb::Name(name) => size_of::<Part>() + name.len(),
            Crumb::Index(_) => size_of::<Part>(),
        };
        self.bytes += size_of::<Location>() + trail.iter().map(part).sum::<usize>();
        if self.bytes > LOCATIONS_BYTES_MAX {
            return Err(JsonError::TooMuchWork);
        }
        Ok(trail.iter().map(|crumb| Part::from(*crumb)).collect())
    }
}

impl From<Crumb<'_>> for Part {
    fn from(crumb: Crumb<'_>) -> Self {
        match crumb {
            Crumb::Name(name) => Self::Name(name.into()),
            Crumb::Index(at) => Self::Index(at),
        }
    }
}

impl Json {
    /// The value at a place that may be there no more.
    pub fn at_mut(&mut self, place: &[Part]) -> Option<&mut Json> {
        place.iter().try_fold(self, |value, part| match (value, part) {
            (Json::Object(fields), Part::Name(name)) => fields.get_mut(name),
            (Json::Array(items), Part::Index(at)) => items.get_mut(*at),
            _ => None,
        })
    }

    /// Removes the value at a place; the root stays. The last field of an object takes the place of
    /// one that is removed, as in RedisJSON.
    pub fn remove(&mut self, place: &[Part]) -> bool {
        let Some((last, parents)) = place.split_last() else { return false };
        match (self.at_mut(parents), last) {
            (Some(Json::Object(fields)), Part::Name(name)) => fields.swap_remove(name).is_some(),
            (Some(Json::Array(items)), Part::Index(at)) if *at < items.len() => {
                items.remove(*at);
                true
            }
            _ => false,
        }
    }
}

/// An order in which places can be changed one after the other, so that no change moves a place that
/// is still to come: what is inside comes before what it is in, and later elements before earlier ones.
pub fn deepest_first(a: &Location, b: &Location) -> Ordering {
    let mut by_part = a.iter().zip(b).map(|(a, b)| match (a, b) {
        (Part::Name(a), Part::Name(b)) => a.cmp(b),
        (Part::Index(a), Part::Index(b)) => b.cmp(a),
        (Part::Name(_), Part::Index(_)) => Ordering::Less,
        (Part::Index(_), Part::Name(_)) => Ordering::Greater,
    });
    by_part.find(|order| order.is_ne()).unwrap_or(b.len().cmp(&a.len()))
}

/// The places without those inside others, deepest first.
pub fn outermost(mut places: Vec<Location>) -> Vec<Location> {
    places.sort_by(deepest_first);
    let mut kept: Vec<Location> = Vec::new();
    // From behind, each place comes right before what is inside it.
    for place in places.into_iter().rev() {
        if kept.last().is_none_or(|outer| !place.starts_with(outer)) {
            kept.push(place);
        }
    }
    kept.reverse();
    kept
}
