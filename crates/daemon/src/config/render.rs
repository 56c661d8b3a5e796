//! Prints configuration: in force (`--dump-config`) and as reference for the docs.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{
    field::{Field, Options},
    flags,
};
use crate::logging;

/// `options` as a TOML file with every key explained. Reading it back gives the same options.
pub fn dump<T: Options>(options: &T, logging: &logging::Options) -> String {
    let mut values = flags::object(options);
    values.extend(flags::object(logging));
    flags::fields::<T>().iter().map(|field| dump_field(field, &values)).collect::<Vec<_>>().join("\n")
}

fn dump_field(field: &Field, values: &Map<String, Value>) -> String {
    let comment = field.doc.lines().map(|line| format!("#{line}\n")).collect::<String>();
    match &values[field.name] {
        Value::Null => format!("{comment}# {} =\n", field.name),
        value => format!("{comment}{} = {}\n", field.name, toml_text(value)),
    }
}

fn toml_text(value: &Value) -> String {
    match value {
        Value::String(text) => toml::Value::from(text.as_str()).to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// The options of a program as a Markdown section.
pub fn reference<T: Options>() -> String {
    let defaults = flags::defaults::<T>();
    let mut text = format!("## {}\n\n| key | type | default | |\n|---|---|---|---|\n", T::PROGRAM);
    for field in flags::fields::<T>() {
        let default =
            flags::default_text(&defaults[field.name]).map_or_else(String::new, |d| format!("`{d}`"));
        let help = field.help().replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {default} | {help} |", field.name, field.kind().name());
    }
    let _ = writeln!(text, "\nEnvironment: `{}` and so on.", T::FIELDS[0].variable(T::SECTION));
    text
}
