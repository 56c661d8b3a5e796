//! Which element comes before which.

use std::cmp::Ordering;

use bytes::Bytes;
use datatypes::Kv;
use datatypes::number::parse_f64_like_c;

use super::options::Options;
use super::pattern::Pattern;
use crate::error::SortError;
use crate::{CommandError, Cx};

/// The elements by their weights; by their own texts if `forced`, whatever the options say.
pub fn sort(
    kv: &mut dyn Kv,
    elements: Vec<Bytes>,
    options: &Options<'_>,
    forced: bool,
    cx: &Cx,
) -> Result<Vec<Bytes>, CommandError> {
    let by = options.by.filter(|_| !forced);
    if options.alpha || forced {
        let texts = weigh(kv, elements, by, cx, Ok)?;
        // An element without a weight comes before the others.
        return Ok(arrange(texts, options.descending, Ord::cmp));
    }
    let numbers = weigh(kv, elements, by, cx, |text| text.map_or(Ok(0.0), |text| number(&text)))?;
    // Of the same weight, by their own texts.
    Ok(arrange(numbers, options.descending, |(a, left), (b, right)| {
        a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| left.cmp(right))
    }))
}

/// Each element behind what `read` makes of its weight, which may be missing.
fn weigh<W>(
    kv: &mut dyn Kv,
    elements: Vec<Bytes>,
    by: Option<Pattern<'_>>,
    cx: &Cx,
    read: impl Fn(Option<Bytes>) -> Result<W, CommandError>,
) -> Result<Vec<(W, Bytes)>, CommandError> {
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        let weight = by.unwrap_or(Pattern::Element).lookup(kv, &element, cx)?;
        weighed.push((read(weight)?, element));
    }
    Ok(weighed)
}

fn arrange<W>(
    mut weighed: Vec<(W, Bytes)>,
    descending: bool,
    compare: impl Fn(&(W, Bytes), &(W, Bytes)) -> Ordering,
) -> Vec<Bytes> {
    weighed.sort_by(|a, b| if descending { compare(b, a) } else { compare(a, b) });
    weighed.into_iter().map(|(_, element)| element).collect()
}

/// As C's `strtod` reads a text whole; what it says is out of range is no number.
fn number(text: &[u8]) -> Result<f64, CommandError> {
    let overflows = |number: &f64| number.is_infinite() && text.iter().any(u8::is_ascii_digit);
    parse_f64_like_c(text)
        .filter(|number| !overflows(number))
        .ok_or(CommandError::Sort(SortError::NotNumbers))
}
