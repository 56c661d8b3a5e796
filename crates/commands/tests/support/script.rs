//! Scripts: `tests/cases/*.txt`.
//!
//! ```text
//! == what is shown          a scenario on an empty store; `[here]` at the end: not on real Redis
//! > SET key "a value"       a command, quoted as in redis-cli
//! +OK                       its reply, as `text::show` writes it
//! @advance 500              lets 500 ms pass
//! @db 3                     selects a database
//! ```

use std::path::Path;

pub struct Scenario {
    pub name: String,
    /// Depends on time or on a later version: real Redis would answer otherwise.
    pub only_here: bool,
    pub steps: Vec<Step>,
}

pub enum Step {
    Command { line: String, argv: Vec<Vec<u8>>, expected: String },
    Advance(u64),
    Database(u8),
}

/// All scenarios of all files.
pub fn all() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| parse(&std::fs::read_to_string(file).unwrap())).collect()
}

fn parse(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("== ") {
            let only_here = name.ends_with("[here]");
            scenarios.push(Scenario { name: name.to_owned(), only_here, steps: Vec::new() });
            continue;
        }
        let step = match line.split_once(' ') {
            Some((">", command)) => Step::Command {
                line: command.to_owned(),
                argv: words(command),
                expected: lines.next().expect("a reply follows each command").to_owned(),
            },
            Some(("@advance", ms)) => Step::Advance(ms.parse().unwrap()),
            Some(("@db", number)) => Step::Database(number.parse().unwrap()),
            _ => panic!("no step: {line}"),
        };
        scenarios.last_mut().expect("a scenario starts with ==").steps.push(step);
    }
    scenarios
}

fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut text, mut ends) = (Vec::new(), Vec::new());
    resp::inline::split(line.as_bytes(), &mut text, &mut ends).expect("balanced quotes");
    let mut start = 0;
    let ends = ends.into_iter().map(|end| end as usize);
    ends.map(|end| text[std::mem::replace(&mut start, end)..end].to_vec()).collect()
}
