//! A compiled path.

use regex::Regex;

use super::{Json, JsonError};

/// Deepest nesting of conditions in a path: parentheses, and conditions in the paths of conditions.
pub const FILTER_DEPTH_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct Query {
    pub steps: Vec<Step>,
}

/// One step of a path.
#[derive(Debug)]
pub(super) struct Step {
    /// `..`: from the value and everything below it.
    pub descend: bool,
    pub select: Selector,
}

#[derive(Debug)]
pub(super) enum Selector {
    All,
    Names(Vec<Box<str>>),
    /// Negative ones count from the end.
    Indices(Vec<i64>),
    Range {
        start: Option<i64>,
        end: Option<i64>,
        step: usize,
    },
    Filter(Filter),
}

#[derive(Debug)]
pub(super) enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    /// There is such a value.
    Exists(Term),
    Compare(Term, Operator, Term),
    Matches(Term, Pattern),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// What a condition is about: none, one or several values.
#[derive(Debug)]
pub(super) enum Term {
    Literal(Json),
    /// From the value that is tested.
    Here(Vec<Step>),
    /// From the root of the document.
    Root(Vec<Step>),
}

#[derive(Debug)]
pub(super) enum Pattern {
    /// `None`: not a regular expression, so nothing matches.
    Fixed(Option<Regex>),
    /// The value that a term finds.
    Found(Term),
}

/// The last step of a path that leads to at most one place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Last<'a> {
    Name(&'a str),
    Index,
}

impl Query {
    /// The steps up to the last and the last, for a path that may be created.
    pub fn split_last(&self) -> Result<(&[Step], Last<'_>), JsonError> {
        if !self.steps.iter().all(Step::is_static) {
            return Err(JsonError::NotStatic);
        }
        let (last, parents) = self.steps.split_last().ok_or(JsonError::NoName)?;
        match &last.select {
            Selector::Names(names) => Ok((parents, Last::Name(&names[0]))),
            _ => Ok((parents, Last::Index)),
        }
    }
}

impl Step {
    /// Leads to at most one place.
    fn is_static(&self) -> bool {
        let single = match &self.select {
            Selector::Names(names) => names.len() == 1,
            Selector::Indices(indices) => indices.len() == 1,
            _ => false,
        };
        single && !self.descend
    }
}
