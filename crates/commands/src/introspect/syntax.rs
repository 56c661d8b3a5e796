//! How a command is written: for HELP and the generated documentation.

use resp::Reply;

use crate::Spec;
use crate::doc::{Arg, ArgType};

/// `SET key value [NX | XX] …`
pub fn syntax(spec: &Spec) -> String {
    let name = spec.full_name.to_ascii_uppercase().replace('|', " ");
    words(&name, spec.doc.args)
}

fn words(name: &str, args: &[Arg]) -> String {
    let args = args.iter().map(argument);
    std::iter::once(name.to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

fn argument(arg: &Arg) -> String {
    let value = match arg.kind {
        ArgType::PureToken => String::new(),
        ArgType::OneOf => join(arg.args, " | "),
        ArgType::Block => join(arg.args, " "),
        _ => arg.display.unwrap_or(arg.name).to_owned(),
    };
    let parts = [arg.token.unwrap_or_default(), &value];
    let mut text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if arg.multiple {
        text = format!("{text} [{text} …]");
    }
    let choice = arg.kind == ArgType::OneOf && !arg.optional;
    match (arg.optional, choice) {
        (true, _) => format!("[{text}]"),
        (false, true) => format!("<{text}>"),
        (false, false) => text,
    }
}

fn join(args: &[Arg], separator: &str) -> String {
    args.iter().map(argument).collect::<Vec<_>>().join(separator)
}

/// HELP of the container of subcommands that `help` (the row of its HELP) belongs to.
pub fn help(help: &Spec) -> Reply {
    let container = help.full_name.split('|').next().unwrap_or_default();
    let subcommands = crate::lookup(container.as_bytes()).map_or(&[][..], |spec| spec.subcommands);
    let title = container.to_ascii_uppercase();
    let mut lines = vec![format!("{title} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    let others = subcommands.iter().filter(|sub| sub.id != help.id);
    for sub in others {
        lines.push(words(&sub.name().to_ascii_uppercase(), sub.doc.args));
        lines.push(format!("    {}", sub.doc.summary));
    }
    lines.extend(["HELP".to_owned(), "    Print this help.".to_owned()]);
    Reply::Array(lines.into_iter().map(|line| Reply::Status(line.into())).collect())
}
