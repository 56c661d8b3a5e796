//! docs/commands.md.

use std::fmt::Write;

use super::syntax;
use crate::doc::{Deprecated, Group};
use crate::spec::{Kind, Spec};
use crate::table;

/// The text of docs/commands.md.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Commands\n\n\
         Generated from the command table (`crates/commands/src/table`); \
         `REGENERATE=1 cargo test --release -p commands --test docs` writes it anew.\n\n\
         *Where*: `slot` = by the group that serves the keys' slot; `split` = by every group that \
         serves one of the keys, the answers merged; `all` = by every group in the listener's view; \
         `proxy` = by the proxy itself.\n",
    );
    for &group in Group::ALL {
        section(&mut out, group);
    }
    out
}

fn section(out: &mut String, group: Group) {
    let title = group.name();
    write!(out, "\n## {}{}\n\n", title[..1].to_ascii_uppercase(), &title[1..]).expect("a String takes all");
    out.push_str("| Command | What it does | Where | Since | Complexity | Flags | Categories |\n");
    out.push_str("|---|---|---|---|---|---|---|\n");
    let executable = |spec: &&Spec| !spec.internal && !matches!(spec.kind, Kind::Container);
    for spec in table::all().filter(executable).filter(|spec| spec.doc.group == group) {
        out.push_str(&row(spec));
    }
}

fn row(spec: &Spec) -> String {
    let doc = &spec.doc;
    let replaced = doc.deprecated.as_ref();
    // A `!` keeps what builds Redis's own pages from making a link of a word.
    let instead = |d: &Deprecated| d.replaced_by.replace("`!", "`");
    let note =
        replaced.map(|d| format!(" *Deprecated since {}: {}.*", d.since, instead(d))).unwrap_or_default();
    let categories: Vec<_> = spec.categories().names().map(|name| format!("@{name}")).collect();
    let flags: Vec<_> = spec.flags.names().collect();
    format!(
        "| `{}` | {}{} | {} | {} | {} | {} | {} |\n",
        syntax(spec).replace('|', "\\|"),
        doc.summary,
        note,
        place(spec),
        doc.since,
        doc.complexity,
        flags.join(" "),
        categories.join(" "),
    )
}

fn place(spec: &Spec) -> &'static str {
    match spec.kind {
        _ if spec.split.is_some() => "split",
        Kind::Read(_) | Kind::Write(_) | Kind::Group { .. } => "slot",
        Kind::Broadcast { .. } => "all",
        Kind::Local(_) | Kind::Container => "proxy",
    }
}
