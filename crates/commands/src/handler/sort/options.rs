//! What is asked of SORT.

use datatypes::slot_of;

use super::Pattern;
use crate::args::is;
use crate::error::SortError;
use crate::options::SORT;
use crate::{Args, CommandError};

#[derive(Debug)]
pub struct Options<'a> {
    /// Where the weights are; the elements themselves if nothing is named.
    pub by: Option<Pattern<'a>>,
    pub get: Vec<Pattern<'a>>,
    /// Offset and count.
    pub limit: (i64, i64),
    pub descending: bool,
    pub alpha: bool,
    pub store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    pub fn parse(args: &Args<'a>, may_store: bool) -> Result<Self, CommandError> {
        let slot = slot_of(args.at(0)?);
        let in_slot = |text: &'a [u8], error: SortError| {
            let pattern = Pattern::parse(text);
            if pattern.stays_in(slot) { Ok(pattern) } else { Err(CommandError::Sort(error)) }
        };
        let (by, get) = (None, Vec::new());
        let store = may_store.then(|| SORT.target(args.from(1))).flatten().map(|target| target.key);
        let mut options = Self { by, get, limit: (0, -1), descending: false, alpha: false, store };
        let mut rest = args.from(1);
        while let [word, behind @ ..] = rest {
            rest = match behind {
                _ if is(word, "ASC") || is(word, "DESC") => {
                    options.descending = is(word, "DESC");
                    behind
                }
                _ if is(word, "ALPHA") => {
                    options.alpha = true;
                    behind
                }
                [offset, count, behind @ ..] if is(word, "LIMIT") => {
                    options.limit = (crate::args::int(offset)?, crate::args::int(count)?);
                    behind
                }
                [_, behind @ ..] if is(word, "STORE") && may_store => behind,
                [text, behind @ ..] if is(word, "BY") => {
                    // It means the element for GET alone.
                    let by = if *text == b"#" { Pattern::Constant } else { in_slot(text, SortError::By)? };
                    options.by = Some(by);
                    behind
                }
                [text, behind @ ..] if is(word, "GET") => {
                    options.get.push(in_slot(text, SortError::Get)?);
                    behind
                }
                _ => return Err(CommandError::Syntax),
            };
        }
        Ok(options)
    }

    /// Whether nothing is sorted: all elements have the same weight.
    pub fn keeps_order(&self) -> bool {
        matches!(self.by, Some(Pattern::Constant))
    }
}
