//! Random elements, each equally likely.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::elements::{Element, Elements, element};
use super::large::Large;
use crate::kv::{Kv, StoreError};
use crate::random::Random;

/// Up to this size, a random element is found by counting.
const COUNTED_MAX: u64 = 128;
/// Elements that a window has on average, and the most it may have to be taken.
const WINDOW_AVERAGE: u64 = 8;
const WINDOW_MAX: u64 = 3 * WINDOW_AVERAGE;
/// Windows tried before the elements are counted after all: names may be chosen to share a position.
const WINDOWS_MAX: usize = 64;

impl Elements {
    /// A random element; `None` if there are none.
    pub fn pick(&self, kv: &mut dyn Kv, random: &mut Random) -> Result<Option<Element>, StoreError> {
        let len = self.len()?;
        if let Self::Large(large) = self
            && len > COUNTED_MAX
        {
            for _ in 0..WINDOWS_MAX {
                if let Some(element) = pick_in_window(large, kv, random)? {
                    return Ok(Some(element));
                }
            }
        }
        self.nth(kv, random.below(len))
    }

    /// `count` random elements, the same one more than once perhaps; none if there are none.
    pub fn picks(
        &self,
        kv: &mut dyn Kv,
        count: usize,
        random: &mut Random,
    ) -> Result<Vec<Element>, StoreError> {
        let len = self.len()?;
        if cheaper_to_read_all(len, count) {
            let all = self.all(kv)?;
            let bound = if all.is_empty() { 0 } else { count };
            return Ok((0..bound).map(|_| all[random.below(all.len() as u64) as usize].clone()).collect());
        }
        let mut picked = Vec::new();
        while picked.len() < count {
            let Some(element) = self.pick(kv, random)? else { break };
            picked.push(element);
        }
        Ok(picked)
    }

    /// `count` different random elements in random order, or all of them if there are no more.
    pub fn sample(
        &self,
        kv: &mut dyn Kv,
        count: usize,
        random: &mut Random,
    ) -> Result<Vec<Element>, StoreError> {
        let len = self.len()?;
        if count as u64 >= len {
            return self.all(kv);
        }
        if cheaper_to_read_all(len, count) {
            let mut all = self.all(kv)?;
            let count = count.min(all.len());
            for at in 0..count {
                let other = at + random.below((all.len() - at) as u64) as usize;
                all.swap(at, other);
            }
            all.truncate(count);
            return Ok(all);
        }
        let (mut seen, mut sample) = (BTreeSet::new(), Vec::new());
        while sample.len() < count {
            let Some(element) = self.pick(kv, random)? else { break };
            if seen.insert(element.name.clone()) {
                sample.push(element);
            }
        }
        Ok(sample)
    }

    fn nth(&self, kv: &mut dyn Kv, n: u64) -> Result<Option<Element>, StoreError> {
        let (mut left, mut found) = (n, None);
        self.each(kv, &mut |name, value| {
            if left == 0 {
                found = Some(element(name, value));
                return ControlFlow::Break(());
            }
            left -= 1;
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }
}

fn cheaper_to_read_all(len: u64, count: usize) -> bool {
    len <= COUNTED_MAX || (count as u64).saturating_mul(WINDOW_MAX) >= len
}

/// A random element of a random window of positions, taken with a chance that grows with the number
/// of elements in the window: so each element of the collection is equally likely (Olken, "Random
/// sampling from databases", 1993: acceptance/rejection). `None` if the window is not taken.
fn pick_in_window(
    large: &Large,
    kv: &mut dyn Kv,
    random: &mut Random,
) -> Result<Option<Element>, StoreError> {
    let width = ((1 << 32) * WINDOW_AVERAGE / large.seen_len().max(1)).max(1);
    let start = random.next_u64() as u32;
    let mut window = Vec::new();
    let end = u64::from(start) + width;
    let mut collect = |from: u32, end: u64| {
        large.scan(kv, from, &mut |position, name, value| {
            if u64::from(position) >= end || window.len() as u64 > WINDOW_MAX {
                return ControlFlow::Break(());
            }
            window.push(element(name, value));
            ControlFlow::Continue(())
        })
    };
    collect(start, end)?;
    if let Some(wrapped) = end.checked_sub(1 << 32) {
        collect(0, wrapped)?;
    }
    let ticket = random.below(WINDOW_MAX) as usize;
    if window.len() as u64 > WINDOW_MAX {
        return Ok(None);
    }
    Ok((ticket < window.len()).then(|| window.swap_remove(ticket)))
}
