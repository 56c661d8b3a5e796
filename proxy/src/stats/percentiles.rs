//! Which percentiles of durations INFO shows.

use parking_lot::Mutex;

/// See the module's documentation.
#[derive(Debug)]
pub struct Percentiles(Mutex<Vec<f64>>);

/// As many as anybody may ask for.
const PERCENTILES_MAX: usize = 64;

impl Default for Percentiles {
    fn default() -> Self {
        Self(Mutex::new(vec![50.0, 99.0, 99.9]))
    }
}

impl Percentiles {
    pub fn get(&self) -> Vec<f64> {
        self.0.lock().clone()
    }

    /// As CONFIG GET shows them.
    pub fn text(&self) -> String {
        self.get().iter().map(|&percent| shown(percent)).collect::<Vec<_>>().join(" ")
    }

    /// Nothing is changed unless all of it is right. Empty: none.
    pub fn set(&self, text: &[u8]) -> Result<(), &'static str> {
        let invalid = "Invalid latency-tracking-info-percentiles parameters";
        let text = std::str::from_utf8(text).map_err(|_| invalid)?;
        let mut percentiles = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let percent: f64 = word.parse().map_err(|_| invalid)?;
            if !(0.0..=100.0).contains(&percent) {
                return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
            }
            percentiles.push(percent);
        }
        if percentiles.len() > PERCENTILES_MAX {
            return Err(invalid);
        }
        *self.0.lock() = percentiles;
        Ok(())
    }
}

/// With six digits behind the point at most.
pub fn shown(percent: f64) -> String {
    let text = format!("{percent:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_checked_and_shown_short() {
        let percentiles = Percentiles::default();
        assert_eq!(percentiles.text(), "50 99 99.9");
        percentiles.set(b"0.0 50.0 100.0").unwrap();
        assert_eq!(percentiles.text(), "0 50 100");
        for wrong in [&b"10.0 50.0 a"[..], b"10.0 101.0", b"-1", b"nan", b"\xff"] {
            assert!(percentiles.set(wrong).is_err());
        }
        assert_eq!(percentiles.text(), "0 50 100");
        percentiles.set(b"").unwrap();
        assert!(percentiles.get().is_empty());
    }
}
