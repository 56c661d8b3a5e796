//! Delays between attempts: doubling, bounded, jittered, so that the workers of many proxies do not
//! fall on a new leader in step.

const FIRST_MS: u64 = 2;
const LAST_MS: u64 = 100;

/// Deterministic randomness for jitter and session ids (SplitMix64), seeded from the environment.
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Milliseconds to wait before attempt number `attempt` (1 = the first repetition): between half of
/// the doubling delay and all of it.
pub fn delay_ms(attempt: u32, rng: &mut Rng) -> u64 {
    let full = (FIRST_MS << attempt.saturating_sub(1).min(10)).min(LAST_MS);
    full / 2 + rng.next_u64() % (full / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_are_bounded() {
        let mut rng = Rng::new(7);
        for attempt in 1..100 {
            let delay = delay_ms(attempt, &mut rng);
            assert!((1..=LAST_MS).contains(&delay), "attempt {attempt}: {delay}");
        }
        assert!(delay_ms(1, &mut rng) <= FIRST_MS);
        assert!(delay_ms(60, &mut rng) >= LAST_MS / 2);
    }
}
