//! COMMAND DOCS.

use resp::Reply;

use super::by_full_name;
use crate::doc::Arg;
use crate::{Args, Spec, table};

/// COMMAND DOCS [name …]; leaves out what is not in the table.
pub fn docs(args: &Args<'_>) -> Reply {
    match args.from(1) {
        [] => documented(table::commands()),
        names => documented(names.iter().filter_map(|name| by_full_name(name))),
    }
}

fn documented<'a>(specs: impl Iterator<Item = &'a Spec>) -> Reply {
    Reply::Map(specs.map(|spec| (Reply::bulk(spec.full_name), document(spec))).collect())
}

fn document(spec: &Spec) -> Reply {
    let doc = &spec.doc;
    let mut fields =
        vec![text("summary", doc.summary), text("since", doc.since), text("group", doc.group.name())];
    if !doc.complexity.is_empty() {
        fields.push(text("complexity", doc.complexity));
    }
    let flags = [(doc.deprecated.is_some(), "deprecated"), (doc.system, "syscmd")];
    if flags.iter().any(|(set, _)| *set) {
        fields.push((Reply::bulk("doc_flags"), Reply::Set(words(&flags))));
    }
    if let Some(deprecated) = &doc.deprecated {
        fields.push(text("deprecated_since", deprecated.since));
        fields.push(text("replaced_by", deprecated.replaced_by));
    }
    if !doc.args.is_empty() {
        fields.push((Reply::bulk("arguments"), arguments(doc.args)));
    }
    if !spec.subcommands.is_empty() {
        fields.push((Reply::bulk("subcommands"), documented(spec.subcommands.iter())));
    }
    Reply::Map(fields)
}

fn arguments(args: &[Arg]) -> Reply {
    Reply::Array(args.iter().map(argument).collect())
}

fn argument(arg: &Arg) -> Reply {
    let mut fields = vec![text("name", arg.name), text("type", arg.kind.name())];
    if !arg.kind.is_compound() {
        fields.push(text("display_text", arg.display.unwrap_or(arg.name)));
    }
    if let Some(index) = arg.key_spec {
        fields.push((Reply::bulk("key_spec_index"), Reply::Int(i64::from(index))));
    }
    fields.extend(arg.token.map(|token| text("token", token)));
    fields.extend(arg.since.map(|since| text("since", since)));
    let flags = words(&[
        (arg.optional, "optional"),
        (arg.multiple, "multiple"),
        (arg.multiple_token, "multiple_token"),
    ]);
    if !flags.is_empty() {
        fields.push((Reply::bulk("flags"), Reply::Set(flags)));
    }
    if arg.kind.is_compound() {
        fields.push((Reply::bulk("arguments"), arguments(arg.args)));
    }
    Reply::Map(fields)
}

/// Those that are set.
fn words(flags: &[(bool, &'static str)]) -> Vec<Reply> {
    flags.iter().filter(|(set, _)| *set).map(|(_, name)| Reply::Simple(name)).collect()
}

fn text(name: &str, value: &str) -> (Reply, Reply) {
    (Reply::bulk(name), Reply::bulk(value))
}
