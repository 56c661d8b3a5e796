//! RANDOMKEY.
//!
//! Of few keys each is equally likely. Of many it is a slot that is drawn, and a key of it: keys share
//! slots by their hash or their tag, so it is as fair as those.

use std::ops::ControlFlow;

use bytes::Bytes;
use datatypes::{Kv, Random, SLOT_COUNT, Slot, slots};
use resp::Reply;

use super::super::Outcome;
use crate::{Args, CommandError, Cx};

const FEW_KEYS: u64 = 100;
/// Slots that are drawn before the next one with a key will do.
const DRAWS: usize = 16;
/// Keys of a slot that are looked at one by one.
const SAMPLE_MAX: u64 = 128;
/// How often a key is drawn that others begin with, instead of these.
const ENDS_ONE_IN: u64 = 256;

pub fn randomkey(kv: &mut dyn Kv, _: &Args<'_>, cx: &Cx) -> Outcome {
    let mut random = Random::new(cx.seed);
    let mut choice = Choice::default();
    if kv.key_count(cx.db) <= FEW_KEYS {
        let mut from = 0;
        while let Some(slot) = slots::next_used_slot(kv, from, SLOT_COUNT, cx.db)? {
            choice.among(kv, slot, &mut random, cx)?;
            from = slot.number() + 1;
        }
        return Ok(choice.reply());
    }
    let first = slots::next_used_slot(kv, 0, SLOT_COUNT, cx.db)?;
    let (Some(first), Some(last)) = (first, slots::last_used_slot(kv)?) else { return Ok(Reply::Null) };
    let slot_count = u64::from(last.number() - first.number()) + 1;
    let mut drawn = first.number();
    for _ in 0..DRAWS {
        drawn = first.number() + random.below(slot_count) as u16;
        if let Some(slot) = slots::next_used_slot(kv, drawn, drawn + 1, cx.db)?
            && choice.of_slot(kv, slot, &mut random, cx)?
        {
            return Ok(choice.reply());
        }
    }
    for (mut from, end) in [(drawn, SLOT_COUNT), (0, drawn)] {
        while let Some(slot) = slots::next_used_slot(kv, from, end, cx.db)? {
            if choice.of_slot(kv, slot, &mut random, cx)? {
                return Ok(choice.reply());
            }
            from = slot.number() + 1;
        }
    }
    Ok(Reply::Null)
}

/// One of the live keys that were seen, each as likely.
#[derive(Default)]
struct Choice {
    key: Option<Bytes>,
    seen: u64,
}

impl Choice {
    fn reply(self) -> Reply {
        self.key.map_or(Reply::Null, Reply::Bulk)
    }

    /// Looks at a slot; whether there is a key. Where there are many, at some of them from a random one on.
    fn of_slot(
        &mut self,
        kv: &mut dyn Kv,
        slot: Slot,
        random: &mut Random,
        cx: &Cx,
    ) -> Result<bool, CommandError> {
        let is_all = self.among(kv, slot, random, cx)?;
        if !is_all && let Some(start) = descend(kv, slot, random, cx)? {
            let mut further = Self::default();
            further.among_next(kv, slot, &start, SAMPLE_MAX, random, cx)?;
            if further.key.is_some() {
                *self = further;
            }
        }
        Ok(self.key.is_some())
    }

    /// Looks at the keys of a slot, or the first of them; whether these are all.
    fn among(
        &mut self,
        kv: &mut dyn Kv,
        slot: Slot,
        random: &mut Random,
        cx: &Cx,
    ) -> Result<bool, CommandError> {
        let before = self.seen;
        self.among_next(kv, slot, b"", SAMPLE_MAX, random, cx)?;
        Ok(self.seen - before < SAMPLE_MAX)
    }

    /// Looks at up to `limit` keys of a slot from `start` on.
    fn among_next(
        &mut self,
        kv: &mut dyn Kv,
        slot: Slot,
        start: &[u8],
        limit: u64,
        random: &mut Random,
        cx: &Cx,
    ) -> Result<(), CommandError> {
        let end = self.seen + limit;
        slots::keys_of_slot_from(kv, slot, cx.db, start, cx.now_ms, &mut |key, _| {
            self.seen += 1;
            if random.below(self.seen) == 0 {
                self.key = Some(Bytes::copy_from_slice(key));
            }
            if self.seen < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(())
    }
}

/// A key of a slot with many, live or not: byte by byte, each drawn between those of the first and the
/// last key that begin alike.
fn descend(kv: &mut dyn Kv, slot: Slot, random: &mut Random, cx: &Cx) -> Result<Option<Bytes>, CommandError> {
    let mut prefix = Vec::new();
    loop {
        let first = slots::first_key_from(kv, slot, cx.db, &prefix)?;
        let last = slots::last_key_with(kv, slot, cx.db, &prefix)?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        let common = first.iter().zip(&last).take_while(|(one, other)| one == other).count();
        let Some(&high) = last.get(common) else { return Ok(Some(first)) };
        // The first one may end where others go on.
        let low = match first.get(common) {
            Some(&low) => low,
            None if random.below(ENDS_ONE_IN) == 0 => return Ok(Some(first)),
            None => {
                let second = slots::first_key_from(kv, slot, cx.db, &[&first[..], &[0]].concat())?;
                second.and_then(|key| key.get(common).copied()).unwrap_or(high)
            }
        };
        let drawn = low + random.below(u64::from(high.saturating_sub(low)) + 1) as u8;
        let wanted = [&first[..common], &[drawn]].concat();
        let Some(next) = slots::first_key_from(kv, slot, cx.db, &wanted)? else { return Ok(None) };
        prefix = next.get(..=common).map(<[u8]>::to_vec).unwrap_or_default();
        if prefix.is_empty() {
            return Ok(Some(next));
        }
    }
}
