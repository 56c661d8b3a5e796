//! What a query finds.
//!
//! Values come in the order of the document, each step from left to right; one that several ways
//! lead to comes several times. The work is counted, and limited by the length of the document, so
//! that no path costs more than a few passes over it.

use super::filter;
use super::location::Crumb;
use super::query::{Selector, Step};
use super::{Json, JsonError};

/// Work that is allowed on any document, however short.
const WORK_MIN: u64 = 1_000_000;
/// Work that is allowed for each byte of a document.
const WORK_PER_BYTE: u64 = 16;

/// Values that may be found in any document, however short; in a longer one as many more as it has bytes.
const FOUND_MIN: usize = 100_000;

/// How many values a path may find in a document of `bytes`, one that is found often counted as often.
pub(super) fn found_max(bytes: usize) -> usize {
    FOUND_MIN + bytes
}

/// The work that is left.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    pub fn for_document(bytes: usize) -> Self {
        Self(WORK_MIN + WORK_PER_BYTE * bytes as u64)
    }

    pub fn spend(&mut self, work: usize) -> Result<(), JsonError> {
        self.0 = self.0.checked_sub(work as u64).ok_or(JsonError::TooMuchWork)?;
        Ok(())
    }
}

/// Called for each value that is found, with the way to it.
type Found<'s, 'j> = dyn FnMut(&'j Json, &[Crumb<'j>]) -> Result<(), JsonError> + 's;

/// Tells `found` everything that `steps` lead to from the root of a document.
pub(super) fn select<'j>(
    steps: &[Step],
    root: &'j Json,
    budget: &mut Budget,
    found: &mut Found<'_, 'j>,
) -> Result<(), JsonError> {
    Walk { root, budget, trail: Vec::new(), found }.go(steps, root)
}

/// The values that `steps` lead to from `start`, which is in the document `root`.
pub(super) fn values_from<'j>(
    steps: &[Step],
    start: &'j Json,
    root: &'j Json,
    budget: &mut Budget,
) -> Result<Vec<&'j Json>, JsonError> {
    let mut values = Vec::new();
    let mut found = |value, _: &[Crumb<'j>]| {
        values.push(value);
        Ok(())
    };
    Walk { root, budget, trail: Vec::new(), found: &mut found }.go(steps, start)?;
    Ok(values)
}

struct Walk<'w, 's, 'j> {
    root: &'j Json,
    budget: &'w mut Budget,
    trail: Vec<Crumb<'j>>,
    found: &'w mut Found<'s, 'j>,
}

impl<'j> Walk<'_, '_, 'j> {
    fn go(&mut self, steps: &[Step], value: &'j Json) -> Result<(), JsonError> {
        self.budget.spend(1)?;
        let Some((step, rest)) = steps.split_first() else { return (self.found)(value, &self.trail) };
        if step.descend { self.descend(step, rest, value) } else { self.apply(step, rest, value) }
    }

    fn descend(&mut self, step: &Step, rest: &[Step], value: &'j Json) -> Result<(), JsonError> {
        self.budget.spend(1)?;
        self.apply(step, rest, value)?;
        for_each(value, &mut |crumb, child| {
            self.trail.push(crumb);
            self.descend(step, rest, child)?;
            self.trail.pop();
            Ok(())
        })
    }

    fn apply(&mut self, step: &Step, rest: &[Step], value: &'j Json) -> Result<(), JsonError> {
        match (&step.select, value) {
            (Selector::All, _) => for_each(value, &mut |crumb, child| self.enter(rest, crumb, child)),
            (Selector::Names(names), Json::Object(fields)) => names.iter().try_for_each(|name| {
                self.budget.spend(1)?;
                match fields.get_key_value(name) {
                    Some((name, child)) => self.enter(rest, Crumb::Name(name), child),
                    None => Ok(()),
                }
            }),
            (Selector::Indices(indices), Json::Array(items)) => indices.iter().try_for_each(|&index| {
                self.budget.spend(1)?;
                let at = from_start(index, items.len());
                items.get(at).map_or(Ok(()), |child| self.enter(rest, Crumb::Index(at), child))
            }),
            (Selector::Range { start, end, step }, Json::Array(items)) => {
                let start = start.map_or(0, |start| from_start(start, items.len()));
                let end = end.map_or(items.len(), |end| from_start(end, items.len()));
                (start..end).step_by(*step).try_for_each(|at| self.enter(rest, Crumb::Index(at), &items[at]))
            }
            (Selector::Filter(condition), _) => for_each(value, &mut |crumb, child| {
                if filter::holds(condition, child, self.root, self.budget)? {
                    self.enter(rest, crumb, child)?;
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, rest: &[Step], crumb: Crumb<'j>, child: &'j Json) -> Result<(), JsonError> {
        self.trail.push(crumb);
        self.go(rest, child)?;
        self.trail.pop();
        Ok(())
    }
}

/// The elements of an array, or the fields of an object.
fn for_each<'j>(
    value: &'j Json,
    visit: &mut dyn FnMut(Crumb<'j>, &'j Json) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    match value {
        Json::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, child)| visit(Crumb::Index(at), child))
        }
        Json::Object(fields) => fields.iter().try_for_each(|(name, child)| visit(Crumb::Name(name), child)),
        _ => Ok(()),
    }
}

/// The place of an index in an array of `len`; beyond its start is its start, beyond its end is none.
fn from_start(index: i64, len: usize) -> usize {
    match usize::try_from(index) {
        Ok(at) => at.min(len),
        Err(_) => len.saturating_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}
