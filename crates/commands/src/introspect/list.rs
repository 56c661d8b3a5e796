//! COMMAND COUNT and COMMAND LIST.

use datatypes::glob;
use resp::Reply;

use crate::args::is;
use crate::flags::Categories;
use crate::{Args, CommandError, Spec, table};

/// COMMAND COUNT: subcommands are not counted.
pub fn count() -> Reply {
    Reply::Int(table::commands().count() as i64)
}

/// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern], subcommands included.
pub fn list(args: &Args<'_>) -> Result<Reply, CommandError> {
    match args.from(1) {
        [] => Ok(names(|_| true)),
        [word, kind, value] if is(word, "FILTERBY") => filtered(kind, value),
        _ => Err(CommandError::Syntax),
    }
}

fn filtered(kind: &[u8], value: &[u8]) -> Result<Reply, CommandError> {
    if is(kind, "MODULE") {
        Ok(names(|_| false))
    } else if is(kind, "ACLCAT") {
        let wanted = Categories::parse(value);
        Ok(names(|spec| wanted.is_some_and(|wanted| spec.categories().has(wanted.0))))
    } else if is(kind, "PATTERN") {
        Ok(names(|spec| glob::matches_ignore_case(value, spec.full_name.as_bytes())))
    } else {
        Err(CommandError::Syntax)
    }
}

fn names(keep: impl Fn(&Spec) -> bool) -> Reply {
    let specs = table::all().filter(|spec| !spec.internal && keep(spec));
    Reply::Array(specs.map(|spec| Reply::bulk(spec.full_name)).collect())
}
