//! Which places JSON.SET, JSON.MERGE and JSON.MSET write to, and writing there.

use super::location::{Location, Part, outermost};
use super::query::Last;
use super::{Document, Json, JsonError, Path, merge};

/// What must be true of a place to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    #[default]
    None,
    /// NX
    Missing,
    /// XX
    Present,
}

/// A place to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// What is there is replaced.
    Value(Location),
    /// A field of the object at a place is added, if there is such an object without such a field.
    Field(Location, Box<str>),
}

/// The places that a value at `path` is written to. They may be none: nothing is to be done.
pub fn targets(document: &Document, path: &Path<'_>, condition: Condition) -> Result<Vec<Target>, JsonError> {
    let query = path.compile()?;
    if condition != Condition::Missing {
        let places = document.places_of(&query.steps, |_| true)?;
        if !places.is_empty() {
            let places = outermost(places.into_iter().flatten().collect());
            return Ok(places.into_iter().map(Target::Value).collect());
        }
    }
    if condition == Condition::Present {
        return Ok(Vec::new());
    }
    match query.split_last()? {
        (parents, Last::Name(name)) => {
            let parents = document.places_of(parents, |_| true)?;
            Ok(parents.into_iter().flatten().map(|parent| Target::Field(parent, name.into())).collect())
        }
        (_, Last::Index) if document.places_of(&query.steps, |_| true)?.is_empty() => {
            Err(JsonError::IndexOutOfRange)
        }
        (_, Last::Index) => Ok(Vec::new()),
    }
}

/// The places that a merge patch at `path` is for, in the order of the document: also those inside
/// others.
pub fn places(document: &Document, path: &Path<'_>) -> Result<Vec<Target>, JsonError> {
    let found = document.places(path, |_| true)?;
    if found.is_empty() {
        return targets(document, path, Condition::None);
    }
    Ok(found.into_iter().flatten().map(Target::Value).collect())
}

/// Writes `value` to the targets: with `patch`, merges it into what is there. Whether anything
/// was written.
pub fn apply(
    document: &mut Document,
    targets: &[Target],
    value: &Json,
    patch: bool,
) -> Result<bool, JsonError> {
    if targets.len() > 1 {
        document.reserve(targets.len(), value.to_text()?.len())?;
    }
    let mut written = false;
    for target in targets {
        written |= match target {
            Target::Value(place) => match document.root.at_mut(place) {
                Some(old) if patch => {
                    merge(old, value.clone());
                    true
                }
                Some(old) => {
                    *old = value.clone();
                    true
                }
                None => false,
            },
            Target::Field(place, name) => add(&mut document.root, place, name, value),
        };
    }
    Ok(written)
}

fn add(root: &mut Json, place: &[Part], name: &str, value: &Json) -> bool {
    match root.at_mut(place) {
        Some(Json::Object(fields)) if !fields.contains_key(name) => {
            fields.insert(name.into(), value.clone());
            true
        }
        _ => false,
    }
}
