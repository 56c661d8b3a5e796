//! Places among the elements of a sorted set.

use smallvec::SmallVec;

use super::score::{BYTES, order};

/// A place between elements: those before it have a lesser key, the others do not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(SmallVec<[u8; 64]>);

impl Place {
    pub fn start() -> Self {
        Self(SmallVec::new())
    }

    pub fn end() -> Self {
        // Greater than the bytes of any score.
        Self(SmallVec::from_slice(&[u8::MAX; BYTES]))
    }

    /// Before all elements of this score.
    pub fn before_score(score: f64) -> Self {
        Self(SmallVec::from_slice(&order(score)))
    }

    /// Behind all elements of this score.
    pub fn behind_score(score: f64) -> Self {
        let next = u64::from_be_bytes(order(score)) + 1;
        Self(SmallVec::from_slice(&next.to_be_bytes()))
    }

    /// Before this element, which need not be there.
    pub fn before(score: f64, member: &[u8]) -> Self {
        let mut key = SmallVec::from_slice(&order(score));
        key.extend_from_slice(member);
        Self(key)
    }

    /// Behind this element, which need not be there.
    pub fn behind(score: f64, member: &[u8]) -> Self {
        let mut place = Self::before(score, member);
        place.0.push(0);
        place
    }

    pub(super) fn of_key(key: &[u8]) -> Self {
        Self(SmallVec::from_slice(key))
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.0
    }

    /// Whether an element lies before this place.
    pub(super) fn is_behind(&self, score: f64, member: &[u8]) -> bool {
        let (head, tail) = self.0.split_at(self.0.len().min(BYTES));
        (&order(score)[..], member) < (head, tail)
    }
}
