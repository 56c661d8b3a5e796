//! What can be wrong with a configuration, and how it is told.

use std::{fmt, io, path::PathBuf};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Variable(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// One thing to repair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("{origin}: unknown key `{key}`: {fix}")]
    UnknownKey { origin: Origin, key: String, fix: String },
    #[error("{origin}: `{key}`: {found}; {fix}")]
    WrongValue { origin: Origin, key: String, found: String, fix: String },
    #[error("{origin}: `{key}`: {fix}")]
    Unfit { origin: Origin, key: String, fix: String },
    #[error("{}: not valid TOML: {text}", path.display())]
    Syntax { path: PathBuf, text: String },
    #[error("{}: cannot be read: {kind}; check the path given with --config", path.display())]
    Unreadable { path: PathBuf, kind: io::ErrorKind },
}

/// All problems of one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub program: &'static str,
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "the configuration of {} has {count} {noun}:", self.program)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

/// What to do about the unknown name `given`.
pub(super) fn suggestion<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    const SIMILAR_ENOUGH: f64 = 0.75;
    let best = known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= SIMILAR_ENOUGH);
    match best {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => "remove it (--help lists what exists)".to_owned(),
    }
}
