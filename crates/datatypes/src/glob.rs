//! Glob patterns as KEYS, SCAN and CONFIG GET understand them (semantics: Redis `util.c`,
//! stringmatchlen).
//!
//! Iterative, remembering only the last `*`: time is bounded by pattern length times text length,
//! memory is constant. As in Redis, a pattern does not match if it takes more than 1000 stars.

/// Stars that a match may pass.
const STARS_MAX: usize = 1000;

/// Whether the whole `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_with(pattern, text, |a, b| a == b, |low, high, b| (low..=high).contains(&b))
}

/// [`matches`], without regard to the case of ASCII letters.
pub fn matches_ignore_case(pattern: &[u8], text: &[u8]) -> bool {
    let lower = |b: u8| b.to_ascii_lowercase();
    matches_with(
        pattern,
        text,
        |a, b| lower(a) == lower(b),
        |low, high, b| {
            let (low, high) = (lower(low), lower(high));
            (low.min(high)..=low.max(high)).contains(&lower(b))
        },
    )
}

fn matches_with(
    pattern: &[u8],
    text: &[u8],
    same: impl Fn(u8, u8) -> bool + Copy,
    within: impl Fn(u8, u8, u8) -> bool + Copy,
) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star: pattern behind it, and the text it has not swallowed.
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += pattern[p..].iter().take_while(|&&b| b == b'*').count();
            if p == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            retry = Some((p, t));
        }
        if t == text.len() && p == pattern.len() {
            return true;
        }
        let step = text.get(t).and_then(|&b| step(&pattern[p..], b, same, within));
        match (step, &mut retry) {
            (Some(used), _) => {
                p += used;
                t += 1;
            }
            (None, Some((after, swallowed))) if *swallowed < text.len() => {
                *swallowed += 1;
                (p, t) = (*after, *swallowed);
            }
            _ => return false,
        }
    }
}

/// How many bytes of `pattern` (no star in front) match the single byte `b`.
fn step(
    pattern: &[u8],
    b: u8,
    same: impl Fn(u8, u8) -> bool,
    within: impl Fn(u8, u8, u8) -> bool,
) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (matched, used) = class_match(class, b, same, within);
            matched.then_some(used + 1)
        }
        [b'\\', escaped, ..] => same(*escaped, b).then_some(2),
        [plain, ..] => same(*plain, b).then_some(1),
    }
}

/// Matches `b` against the class whose text follows `[`; answers how long it is, `]` included. A
/// class that is not closed reaches to the end of the pattern.
fn class_match(
    class: &[u8],
    b: u8,
    same: impl Fn(u8, u8) -> bool,
    within: impl Fn(u8, u8, u8) -> bool,
) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut matched = false;
    loop {
        match &class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                matched |= same(*escaped, b);
                at += 2;
            }
            [first, b'-', last, ..] => {
                matched |= within(*first.min(last), *first.max(last), b);
                at += 3;
            }
            [plain, ..] => {
                matched |= same(*plain, b);
                at += 1;
            }
        }
    }
    (matched != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("foo*", "foobar", true),
            ("*bar", "foobar", true),
            ("f*o*r", "foobar", true),
            ("f?o", "foo", true),
            ("f?o", "fo", false),
            ("h[ae]llo", "hello", true),
            ("h[^e]llo", "hello", false),
            ("h[a-e]llo", "hcllo", true),
            ("h[e-a]llo", "hcllo", true),
            ("h[\\a-e]llo", "h-llo", true),
            ("h[ab", "hb", true),
            ("h[", "ha", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("[]", "a", false),
            ("a**b", "ab", true),
            ("*[", "x", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        assert!(matches_ignore_case(b"FO[A-P]*", b"food"));
        assert!(!matches(b"FO*", b"food"));
    }

    #[test]
    fn hostile_patterns_take_bounded_time() {
        let pattern = b"a*".repeat(2000);
        let text = b"a".repeat(20_000);
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text));
        assert!(!matches(&b"*?".repeat(20_000), &text));
        assert!(matches(&b"*?".repeat(1000), &text[..1000]));
    }

    /// The plain recursive definition, for patterns without classes and escapes.
    fn model(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| model(rest, &text[skip..])),
            ([b'?', rest @ ..], [_, tail @ ..]) => model(rest, tail),
            ([p, rest @ ..], [t, tail @ ..]) => p == t && model(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), model(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn never_panics(pattern in any::<Vec<u8>>(), text in any::<Vec<u8>>()) {
            let _ = (matches(&pattern, &text), matches_ignore_case(&pattern, &text));
        }
    }
}
