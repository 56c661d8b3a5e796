//! SCAN without state: the cursor says where to go on.
//!
//! A cursor is `slot << 48 | position`. Small slots are returned whole; in a large one, `position`
//! is a threshold of the keys' hashes, so what is added or removed meanwhile moves nothing else:
//! a key that is there all the time is returned, whatever happens to others or to the slot's place.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use datatypes::{Kv, SLOT_COUNT, Slot, Type, glob, slots};
use resp::Reply;

use super::super::Outcome;
use crate::args::{cursor, int, is};
use crate::{Args, CommandError, Cx};

/// Keys that a slot may hold to be returned whole.
const SMALL_SLOT_KEYS: usize = 64;
const POSITION_BITS: u32 = 48;
const COUNT_DEFAULT: usize = 10;

/// Where an iteration goes on. The default is the start, and on the wire also the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    pub slot: u16,
    /// Least hash of the keys still to come in `slot`.
    pub position: u64,
}

impl Cursor {
    /// Reads a cursor. Its slot may be past the last one: such an iteration is done.
    pub fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let number = cursor(text)?;
        let position = number & ((1 << POSITION_BITS) - 1);
        Ok(Self { slot: (number >> POSITION_BITS) as u16, position })
    }

    pub fn number(self) -> u64 {
        u64::from(self.slot) << POSITION_BITS | self.position
    }
}

/// Options of SCAN, and of HSCAN and its kin.
#[derive(Debug)]
pub struct Options<'a> {
    pattern: Option<&'a [u8]>,
    pub(crate) count: usize,
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads `[MATCH pattern] [COUNT n] [TYPE name]`.
    pub fn parse(words: &[&'a [u8]]) -> Result<Self, CommandError> {
        Self::parse_some(words, true)
    }

    /// Reads `[MATCH pattern] [COUNT n]`.
    pub(crate) fn of_elements(words: &[&'a [u8]]) -> Result<Self, CommandError> {
        Self::parse_some(words, false)
    }

    fn parse_some(words: &[&'a [u8]], with_type: bool) -> Result<Self, CommandError> {
        let mut options = Self { pattern: None, count: COUNT_DEFAULT, kind: None };
        let (pairs, rest) = words.as_chunks();
        for [word, value] in pairs {
            if is(word, "COUNT") {
                let count = int(value)?;
                options.count = usize::try_from(count).ok().filter(|&n| n > 0).ok_or(CommandError::Syntax)?;
            } else if is(word, "MATCH") {
                options.pattern = Some(value);
            } else if is(word, "TYPE") && with_type {
                options.kind = Some(value);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        // What comes first is refused first.
        if !rest.is_empty() {
            return Err(CommandError::Syntax);
        }
        Ok(options)
    }

    fn accepts(&self, key: &[u8], kind: Type) -> bool {
        self.kind.is_none_or(|wanted| is(wanted, kind.name())) && self.matches(key)
    }

    pub(in crate::handler) fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
    }
}

/// Arguments: cursor, end slot (exclusive), options. The answer's cursor is 0 once the slots before
/// the end are done.
pub fn scan(kv: &mut dyn Kv, args: &Args<'_>, cx: &Cx) -> Outcome {
    let mut cursor = Cursor::parse(args.at(0)?)?;
    let end = u16::try_from(args.int(1)?).map_err(|_| CommandError::InvalidSlot)?.min(SLOT_COUNT);
    let options = Options::parse(args.from(2))?;
    let mut found = Vec::new();
    let mut budget = options.count;
    while let Some(slot) = slots::next_used_slot(kv, cursor.slot, end, cx.db)? {
        if slot.number() != cursor.slot {
            cursor = Cursor { slot: slot.number(), position: 0 };
        }
        let part = Part::collect(kv, slot, cursor.position, budget.max(SMALL_SLOT_KEYS), cx)?;
        budget = budget.saturating_sub(part.len.max(1));
        let next = part.next;
        let kept = part.keys().filter(|(key, kind)| options.accepts(key, *kind));
        found.extend(kept.map(|(key, _)| Reply::Bulk(key)));
        cursor = match next {
            Some(position) => Cursor { position, ..cursor },
            None => Cursor { slot: cursor.slot + 1, position: 0 },
        };
        if budget == 0 {
            break;
        }
    }
    let done = slots::next_used_slot(kv, cursor.slot, end, cx.db)?.is_none();
    let next = if done { 0 } else { cursor.number() };
    let next = Reply::bulk(itoa::Buffer::new().format(next));
    Ok(Reply::Array(vec![next, Reply::Array(found)]))
}

/// The keys of a slot with the least hashes from a position on.
struct Part {
    by_hash: BTreeMap<u64, Vec<(Bytes, Type)>>,
    len: usize,
    /// Where the rest of the slot starts, if there is a rest.
    next: Option<u64>,
}

impl Part {
    /// About `most` keys; more only if their hashes are equal.
    fn collect(
        kv: &mut dyn Kv,
        slot: Slot,
        position: u64,
        most: usize,
        cx: &Cx,
    ) -> Result<Self, CommandError> {
        let mut part = Self { by_hash: BTreeMap::new(), len: 0, next: None };
        slots::keys_of_slot(kv, slot, cx.db, cx.now_ms, &mut |key, kind| {
            let hash = hash(key);
            if hash >= position && part.next.is_none_or(|next| hash < next) {
                part.by_hash.entry(hash).or_default().push((Bytes::copy_from_slice(key), kind));
                part.len += 1;
                part.shed(most);
            }
            ControlFlow::Continue(())
        })?;
        Ok(part)
    }

    /// Gives up the greatest hash if enough is left without it.
    fn shed(&mut self, most: usize) {
        if let Some(last) = self.by_hash.last_entry()
            && self.len - last.get().len() >= most
        {
            self.next = Some(*last.key());
            self.len -= last.remove().len();
        }
    }

    fn keys(self) -> impl Iterator<Item = (Bytes, Type)> {
        self.by_hash.into_values().flatten()
    }
}

/// Position of a key in its slot: FNV-1a, folded. Part of the cursor's meaning, so it never changes.
fn hash(key: &[u8]) -> u64 {
    let hash = key
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ hash >> POSITION_BITS) & ((1 << POSITION_BITS) - 1)
}
