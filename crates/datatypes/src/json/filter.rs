//! Whether the conditions of a path hold.
//!
//! A comparison holds if it does for any of the values on its sides; so it fails if there is none.
//! `!=` is the opposite of `==`.

use std::cmp::Ordering;

use super::compile::regex;
use super::query::{Filter, Operator, Pattern, Term};
use super::select::{Budget, values_from};
use super::{Json, JsonError};

/// What compiling a regular expression counts as.
const REGEX_WORK: usize = 5_000;
/// Bytes that a regular expression goes over for as much work as visiting a value.
const REGEX_BYTES_PER_WORK: usize = 32;

/// Whether the condition holds for `value`, which is in the document `root`.
pub(super) fn holds(
    filter: &Filter,
    value: &Json,
    root: &Json,
    budget: &mut Budget,
) -> Result<bool, JsonError> {
    budget.spend(1)?;
    match filter {
        Filter::Any(any) => any_holds(any, true, value, root, budget),
        Filter::All(all) => any_holds(all, false, value, root, budget).map(|failed| !failed),
        Filter::Exists(term) => Ok(!find(term, value, root, budget)?.is_empty()),
        Filter::Compare(left, operator, right) => {
            let left = find(left, value, root, budget)?;
            let right = find(right, value, root, budget)?;
            compare(&left, *operator, &right, budget)
        }
        Filter::Matches(left, pattern) => {
            let left = find(left, value, root, budget)?;
            match pattern {
                Pattern::Fixed(pattern) => any_matches(pattern.as_ref(), &left, budget),
                Pattern::Found(term) => {
                    let patterns = find(term, value, root, budget)?;
                    any_matches_any(&patterns, &left, budget)
                }
            }
        }
    }
}

/// Whether any of the conditions is `wanted`.
fn any_holds(
    filters: &[Filter],
    wanted: bool,
    value: &Json,
    root: &Json,
    budget: &mut Budget,
) -> Result<bool, JsonError> {
    for filter in filters {
        if holds(filter, value, root, budget)? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

fn find<'j>(
    term: &'j Term,
    value: &'j Json,
    root: &'j Json,
    budget: &mut Budget,
) -> Result<Vec<&'j Json>, JsonError> {
    match term {
        Term::Literal(literal) => Ok(vec![literal]),
        Term::Here(steps) => values_from(steps, value, root, budget),
        Term::Root(steps) => values_from(steps, root, root, budget),
    }
}

fn compare(
    left: &[&Json],
    operator: Operator,
    right: &[&Json],
    budget: &mut Budget,
) -> Result<bool, JsonError> {
    let (opposite, test): (bool, fn(Ordering) -> bool) = match operator {
        Operator::Less => (false, Ordering::is_lt),
        Operator::LessOrEqual => (false, Ordering::is_le),
        Operator::Greater => (false, Ordering::is_gt),
        Operator::GreaterOrEqual => (false, Ordering::is_ge),
        Operator::Equal => (false, Ordering::is_eq),
        Operator::NotEqual => (true, Ordering::is_eq),
    };
    let whole = matches!(operator, Operator::Equal | Operator::NotEqual);
    for a in left {
        for b in right {
            budget.spend(1)?;
            let holds = match order(a, b) {
                Some(order) => test(order),
                None => whole && alike(a, b, budget)?,
            };
            if holds {
                return Ok(!opposite);
            }
        }
    }
    Ok(opposite)
}

/// Scalars of one type have an order.
fn order(a: &Json, b: &Json) -> Option<Ordering> {
    match (a, b) {
        (Json::Int(a), Json::Int(b)) => Some(a.cmp(b)),
        (Json::Big(a), Json::Big(b)) => Some(a.cmp(b)),
        (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
        (Json::Bool(a), Json::Bool(b)) => Some(a.cmp(b)),
        (Json::Null, Json::Null) => Some(Ordering::Equal),
        _ => a.number()?.partial_cmp(&b.number()?),
    }
}

/// Whether two values are the same, however their numbers are written.
fn alike(a: &Json, b: &Json, budget: &mut Budget) -> Result<bool, JsonError> {
    budget.spend(1)?;
    match (a, b) {
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                if !alike(a, b, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Json::Object(a), Json::Object(b)) if a.len() == b.len() => {
            for (name, a) in a.iter() {
                let same = match b.get(name) {
                    Some(b) => alike(a, b, budget)?,
                    None => false,
                };
                if !same {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(order(a, b) == Some(Ordering::Equal)),
    }
}

fn any_matches_any(patterns: &[&Json], texts: &[&Json], budget: &mut Budget) -> Result<bool, JsonError> {
    for pattern in patterns {
        let Json::String(pattern) = pattern else { continue };
        budget.spend(REGEX_WORK + pattern.len())?;
        if any_matches(regex(pattern).as_ref(), texts, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn any_matches(
    pattern: Option<&regex::Regex>,
    texts: &[&Json],
    budget: &mut Budget,
) -> Result<bool, JsonError> {
    let Some(pattern) = pattern else { return Ok(false) };
    for text in texts {
        let Json::String(text) = text else { continue };
        budget.spend(1 + text.len() / REGEX_BYTES_PER_WORK)?;
        if pattern.is_match(text) {
            return Ok(true);
        }
    }
    Ok(false)
}
