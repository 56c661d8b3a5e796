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
    let mut draw = Draw { kv, cx, random: Random::new(cx.seed), key: None, seen: 0 };
    if draw.kv.key_count(cx.db) <= FEW_KEYS {
        let mut from = 0;
        while let Some(slot) = slots::next_used_slot(draw.kv, from, SLOT_COUNT, cx.db)? {
            draw.look(slot, b"")?;
            from = slot.number() + 1;
        }
    } else {
        draw.by_slot()?;
    }
    Ok(draw.key.map_or(Reply::Null, Reply::Bulk))
}

/// Draws one of the live keys that it sees, each as likely.
struct Draw<'a> {
    kv: &'a mut dyn Kv,
    cx: &'a Cx,
    random: Random,
    key: Option<Bytes>,
    seen: u64,
}

impl Draw<'_> {
    fn by_slot(&mut self) -> Result<(), CommandError> {
        let first = slots::next_used_slot(self.kv, 0, SLOT_COUNT, self.cx.db)?;
        let (Some(first), Some(last)) = (first, slots::last_used_slot(self.kv)?) else { return Ok(()) };
        let slot_count = u64::from(last.number() - first.number()) + 1;
        let mut drawn = first.number();
        for _ in 0..DRAWS {
            drawn = first.number() + self.random.below(slot_count) as u16;
            if let Some(slot) = Slot::new(drawn)
                && self.of_slot(slot)?
            {
                return Ok(());
            }
        }
        for (mut from, end) in [(drawn, SLOT_COUNT), (0, drawn)] {
            while let Some(slot) = slots::next_used_slot(self.kv, from, end, self.cx.db)? {
                if self.of_slot(slot)? {
                    return Ok(());
                }
                from = slot.number() + 1;
            }
        }
        Ok(())
    }

    /// Draws a key of a slot; whether there is one. Where there are many, from those behind a random one.
    fn of_slot(&mut self, slot: Slot) -> Result<bool, CommandError> {
        if self.look(slot, b"")? == SAMPLE_MAX
            && let Some(start) = descend(self.kv, slot, &mut self.random, self.cx)?
        {
            let among_first = self.key.take();
            self.seen = 0;
            self.look(slot, &start)?;
            self.key = self.key.take().or(among_first);
        }
        Ok(self.key.is_some())
    }

    /// Looks at the keys of a slot from `start` on, but not at too many; at how many.
    fn look(&mut self, slot: Slot, start: &[u8]) -> Result<u64, CommandError> {
        let Self { kv, cx, random, key: drawn, seen } = self;
        let before = *seen;
        slots::keys_of_slot_from(*kv, slot, cx.db, start, cx.now_ms, &mut |key, _| {
            *seen += 1;
            if random.below(*seen) == 0 {
                *drawn = Some(Bytes::copy_from_slice(key));
            }
            if *seen - before < SAMPLE_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(*seen - before)
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
        match next.get(..=common) {
            Some(longer) => prefix = longer.to_vec(),
            None => return Ok(Some(next)),
        }
    }
}
