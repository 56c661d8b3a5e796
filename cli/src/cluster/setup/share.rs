//! Sharing slots out.

use topology::{Slot, SlotSet};

/// The slots of a master: those it had, and those it gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub had: SlotSet,
    pub gets: SlotSet,
}

impl Load {
    pub fn len(&self) -> usize {
        self.had.len() + self.gets.len()
    }
}

/// Gives each of `slots` to one of `loads`, so that the largest ends up as small as can be: in
/// ascending order, each one's share in one piece.
pub(super) fn share_out(slots: &SlotSet, loads: &mut [Load]) {
    let mut left = slots.iter();
    for (count, load) in counts(slots.len(), loads).into_iter().zip(loads) {
        let share: Vec<Slot> = left.by_ref().take(count).collect();
        load.gets = load.gets.union(&SlotSet::from_slots(share));
    }
}

/// How many each gets: one after the other, always whoever has the fewest.
fn counts(slots: usize, loads: &[Load]) -> Vec<usize> {
    let mut sizes: Vec<usize> = loads.iter().map(Load::len).collect();
    for _ in 0..slots {
        if let Some(least) = sizes.iter_mut().min() {
            *least += 1;
        }
    }
    sizes.iter().zip(loads).map(|(size, load)| size - load.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(first: u16, last: u16) -> SlotSet {
        SlotSet::from_slots((first..=last).filter_map(Slot::new))
    }

    #[test]
    fn an_empty_cluster_is_cut_into_equal_pieces() {
        let mut loads = vec![Load::default(); 3];
        share_out(&SlotSet::all(), &mut loads);
        let ranges: Vec<_> = loads.iter().map(|load| load.gets.ranges().to_vec()).collect();
        assert_eq!(ranges, [[(0, 5461)], [(5462, 10922)], [(10923, 16383)]]);
    }

    #[test]
    fn who_has_little_gets_more() {
        let loads = |first: SlotSet| [Load { had: first, gets: SlotSet::default() }, Load::default()];
        let mut even = loads(some(0, 99));
        share_out(&some(100, 299), &mut even);
        assert_eq!(even.each_ref().map(|load| load.gets.len()), [50, 150]);
        let mut uneven = loads(some(0, 9999));
        share_out(&some(10_000, 16_383), &mut uneven);
        assert_eq!(uneven.each_ref().map(|load| load.gets.len()), [0, 6384]);
    }
}
