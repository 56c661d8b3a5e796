//! What a check answers.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Ok,
    /// It could not be looked at.
    Unknown,
    /// It works, but less of it than there should be, or not for long.
    Warning,
    /// Something does not work.
    Error,
}

/// Something that was found, or found to be in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The check that found it: a stable name.
    pub check: &'static str,
    pub severity: Severity,
    pub what: String,
    /// Why it matters; empty if nothing is wrong.
    pub why: String,
    /// What to do about it, a command where there is one; empty if nothing is wrong.
    pub next: String,
}

/// What is wrong, without the name of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub severity: Severity,
    pub what: String,
    pub why: String,
    pub next: String,
}

impl Fault {
    pub fn error(what: impl Into<String>) -> Self {
        Self { severity: Severity::Error, what: what.into(), why: String::new(), next: String::new() }
    }

    pub fn warning(what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(what) }
    }

    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: why.into(), ..self }
    }

    pub fn next(self, next: impl Into<String>) -> Self {
        Self { next: next.into(), ..self }
    }
}

/// What a check needs was not told, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unknown(pub &'static str);

/// No fault: all is well.
pub(crate) type Judged = Result<Vec<Fault>, Unknown>;

impl Finding {
    /// What `judged` says in the name of `check`; `title` says what is so when nothing is wrong.
    pub fn all(check: &'static str, title: &str, judged: Judged) -> Vec<Self> {
        let good =
            |severity, what: String| Self { check, severity, what, why: String::new(), next: String::new() };
        match judged {
            Err(Unknown(why)) => vec![good(Severity::Unknown, format!("{title}: not known, {why}"))],
            Ok(faults) if faults.is_empty() => vec![good(Severity::Ok, title.to_owned())],
            Ok(faults) => faults.into_iter().map(|fault| Self::of(check, fault)).collect(),
        }
    }

    fn of(check: &'static str, fault: Fault) -> Self {
        let Fault { severity, what, why, next } = fault;
        Self { check, severity, what, why, next }
    }
}
