//! What must not be shown of a command, to whoever watches (MONITOR) or looks back (SLOWLOG).

/// Shown instead of a secret.
pub const REDACTED: &[u8] = b"(redacted)";

/// Parameters of CONFIG SET whose values are secret.
const SECRET_PARAMETERS: [&str; 3] = ["requirepass", "masterauth", "masteruser"];

/// The words of a command, its name first, as they may be shown.
pub fn shown<'a>(argv: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let is_secret = secrets(argv);
    argv.iter().enumerate().map(|(at, word)| if is_secret(at) { REDACTED } else { word }).collect()
}

/// Which words are secret.
fn secrets<'a>(argv: &'a [&'a [u8]]) -> impl Fn(usize) -> bool + 'a {
    let is =
        move |at: usize, word: &str| argv.get(at).is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()));
    let is_config = is(0, "config") && is(1, "set");
    let end = argv.len();
    let all_in = if is(0, "auth") {
        1..end
    } else if is(0, "hello") {
        (1..end).find(|&at| is(at, "auth")).map_or(end, |at| at + 1)..end
    } else if is(0, "acl") && (is(1, "setuser") || is(1, "dryrun")) {
        2..end
    } else if is(0, "migrate") {
        // Other options are single words.
        let option = (6..end).find(|&at| is(at, "auth") || is(at, "auth2") || is(at, "keys"));
        let words = |at| if is(at, "keys") { 0 } else { 1 + usize::from(is(at, "auth2")) };
        option.map_or(end..end, |at| at + 1..at + 1 + words(at))
    } else {
        end..end
    };
    move |at| {
        let is_value = is_config && at >= 3 && at % 2 == 1;
        all_in.contains(&at) || is_value && SECRET_PARAMETERS.iter().any(|name| is(at - 1, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_line(line: &str) -> String {
        let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        shown(&argv).iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn secrets_are_not_shown() {
        for (line, expected) in [
            ("AUTH hush", "AUTH (redacted)"),
            ("auth user hush", "auth (redacted) (redacted)"),
            ("hello 3 AUTH user hush", "hello 3 AUTH (redacted) (redacted)"),
            ("hello 3 setname me", "hello 3 setname me"),
            ("config set requirepass hush", "config set requirepass (redacted)"),
            ("config SET timeout 5 RequirePass hush", "config SET timeout 5 RequirePass (redacted)"),
            ("config set timeout requirepass", "config set timeout requirepass"),
            ("acl setuser me >hush", "acl setuser (redacted) (redacted)"),
            ("set auth hello", "set auth hello"),
            ("migrate h 1 k 0 0 COPY AUTH hush REPLACE", "migrate h 1 k 0 0 COPY AUTH (redacted) REPLACE"),
            (
                "MIGRATE h 1 k 0 0 auth2 me hush KEYS a",
                "MIGRATE h 1 k 0 0 auth2 (redacted) (redacted) KEYS a",
            ),
            ("migrate h 1 k 0 0 KEYS auth a", "migrate h 1 k 0 0 KEYS auth a"),
        ] {
            assert_eq!(shown_line(line), expected);
        }
    }
}
