//! How many replies were errors, by their code: the first word of the text.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Codes that are told apart; scripts may invent any number of them.
const CODES_MAX: usize = 128;
/// A first word that is longer is no code.
const CODE_BYTES_MAX: usize = 32;
/// For texts without a code.
const UNNAMED: &str = "ERR";

/// Error replies of one worker's clients.
#[derive(Debug, Default)]
pub struct Errors(Mutex<Counts>);

/// Error replies, in all and by their codes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    pub total: u64,
    pub by_code: BTreeMap<String, u64>,
}

impl Errors {
    /// `text` is without the leading `-`.
    pub fn count(&self, text: &[u8]) {
        self.add(text, 1);
    }

    /// So many whose texts begin like that.
    pub fn add(&self, text: &[u8], number: u64) {
        let code = code(text);
        let mut counts = self.0.lock();
        counts.total += number;
        if let Some(count) = counts.by_code.get_mut(&*code) {
            *count += number;
        } else if counts.by_code.len() < CODES_MAX {
            counts.by_code.insert(code.into_owned(), number);
        }
    }

    pub fn reset(&self) {
        *self.0.lock() = Counts::default();
    }

    /// Adds them to `sum`.
    pub fn add_to(&self, sum: &mut Counts) {
        let counts = self.0.lock();
        sum.total += counts.total;
        for (code, count) in &counts.by_code {
            *sum.by_code.entry(code.clone()).or_default() += count;
        }
    }
}

/// As it can stand in a line of INFO.
fn code(text: &[u8]) -> std::borrow::Cow<'_, str> {
    let end = text.iter().take(CODE_BYTES_MAX).position(|&byte| byte == b' ');
    let Some(end) = end.filter(|&end| end > 0) else { return UNNAMED.into() };
    match std::str::from_utf8(&text[..end]) {
        Ok(word) if word.bytes().all(|byte| byte.is_ascii_graphic() && !b"#:".contains(&byte)) => word.into(),
        _ => UNNAMED.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(texts: &[&str]) -> Counts {
        let errors = Errors::default();
        texts.iter().for_each(|text| errors.count(text.as_bytes()));
        let mut counts = Counts::default();
        errors.add_to(&mut counts);
        counts
    }

    #[test]
    fn the_first_word_is_the_code() {
        let counts =
            counted(&["WRONGTYPE Operation", "ERR no", "ERR yes", "oops", " x", "a:b c", "\u{e9}\n x"]);
        let expected = [("ERR".to_owned(), 6), ("WRONGTYPE".to_owned(), 1)];
        assert_eq!((counts.total, counts.by_code), (7, BTreeMap::from(expected)));
        let long = format!("{} x", "A".repeat(CODE_BYTES_MAX));
        assert_eq!(counted(&[&long]).by_code.keys().collect::<Vec<_>>(), ["ERR"]);
    }

    #[test]
    fn codes_are_bounded_the_total_is_not() {
        let texts: Vec<String> = (0..CODES_MAX + 10).map(|n| format!("C{n} x")).collect();
        let counts = counted(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((counts.total as usize, counts.by_code.len()), (CODES_MAX + 10, CODES_MAX));
    }
}
