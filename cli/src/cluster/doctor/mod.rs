//! `miraft cluster doctor`: what is wrong, why it matters, and what to do about it.
//!
//! First everything is collected (from meta's leader, from each meta node by itself, from proxies and
//! storage nodes at their addresses), then each check judges what was collected; a check is a pure
//! function. What could not be collected makes checks answer "not known", never "fine".

mod checks;
mod collect;
mod finding;
mod nodes_text;
mod probe;

use serde::Serialize;

use self::{
    collect::Collected,
    finding::{Finding, Severity},
};
use super::{Outcome, Target, names};
use crate::paint::{Paint, Tone};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Password of the proxies.
    #[arg(long, env = "REDISCLI_AUTH", hide_env_values = true)]
    auth: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// `--json`.
#[derive(Debug, Serialize)]
struct Report {
    /// No errors and no warnings.
    healthy: bool,
    errors: usize,
    warnings: usize,
    /// The worst first.
    findings: Vec<Finding>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<Outcome> {
    let admin = super::admin(&args.target)?;
    let collected = Collected::ask(&admin, &args.target, args.auth.as_deref()).await;
    let report = Report::of(checks::run(&collected));
    super::print(&args.target, &report, |paint| report.text(paint))?;
    Ok(if report.healthy { Outcome::Fine } else { Outcome::Findings })
}

impl Report {
    fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        Self { healthy: errors + warnings == 0, errors, warnings, findings }
    }

    fn text(&self, paint: Paint) -> String {
        let findings: String = self.findings.iter().map(|finding| finding.text(paint)).collect();
        let sum = match self.healthy {
            true => paint.apply(Tone::Good, "nothing is wrong"),
            false => {
                format!("{}, {}", names::count(self.errors, "error"), names::count(self.warnings, "warning"))
            }
        };
        format!("{findings}\n{sum}\n")
    }
}

impl Finding {
    fn text(&self, paint: Paint) -> String {
        let (tone, word) = match self.severity {
            Severity::Ok => (Tone::Good, "ok"),
            Severity::Unknown => (Tone::Faint, "?"),
            Severity::Warning => (Tone::Doubtful, "warning"),
            Severity::Error => (Tone::Bad, "ERROR"),
        };
        let mut text = format!("{}  {}\n", paint.apply(tone, &format!("{word:<7}")), self.what);
        for (label, line) in [("why", &self.why), ("next", &self.next)] {
            if !line.is_empty() {
                text += &format!("{:9}{} {line}\n", "", paint.apply(Tone::Faint, &format!("{label}:")));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_checks_keep_their_order() {
        let finding = |what: &str, severity| Finding {
            check: "c",
            severity,
            what: what.to_owned(),
            why: String::new(),
            next: "do this".to_owned(),
        };
        let report = Report::of(vec![
            finding("fine", Severity::Ok),
            finding("first", Severity::Error),
            finding("doubtful", Severity::Warning),
            finding("second", Severity::Error),
        ]);
        let order: Vec<&str> = report.findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(order, ["first", "second", "doubtful", "fine"]);
        assert!(!report.healthy);
        let text = report.text(Paint::OFF);
        assert!(text.starts_with("ERROR    first\n         next: do this\n"), "{text}");
        assert!(text.ends_with("\n2 errors, 1 warning\n"), "{text}");
    }
}
