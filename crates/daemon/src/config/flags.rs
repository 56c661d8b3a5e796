//! The command line, generated from the fields.

use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value};

use super::field::{Field, Kind, Options};
use crate::logging;

pub(super) const CONFIG: &str = "config";
pub(super) const CHECK: &str = "check-config";
pub(super) const DUMP: &str = "dump-config";

/// Every field of a program: its own, then those every process has.
pub(super) fn fields<T: Options>() -> Vec<Field> {
    T::FIELDS.iter().chain(logging::Options::FIELDS).copied().collect()
}

/// The defaults by key.
pub(super) fn defaults<T: Options>() -> Map<String, Value> {
    let mut all = object(&T::default());
    all.extend(object(&logging::Options::default()));
    all
}

pub(super) fn object(options: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(options) {
        Ok(Value::Object(map)) => map,
        other => unreachable!("options serialise as a map: {other:?}"),
    }
}

pub(super) fn command<T: Options>() -> Command {
    let defaults = defaults::<T>();
    let options = fields::<T>().into_iter().map(|field| argument(field, &defaults[field.name]));
    Command::new(T::PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .arg(Arg::new(CONFIG).long(CONFIG).value_name("FILE").help("TOML file to read"))
        .arg(switch(CHECK, "Check the configuration, say what is wrong with it, and stop"))
        .arg(switch(DUMP, "Print the configuration in force as TOML, and stop"))
        .args(options)
        .after_help(format!(
            "Each option is a key of the TOML file (`data_dir` for --data-dir) and an environment\n\
             variable (MIRAFT_{}_DATA_DIR). Flags override the environment, which overrides the file.",
            T::SECTION.to_uppercase().replace('-', "_")
        ))
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn argument(field: Field, default: &Value) -> Arg {
    // The command is built once per process, so its names may live as long as it does.
    let long: &'static str = field.flag().leak();
    let arg = Arg::new(field.name).long(long).help(help(&field, default));
    match field.kind() {
        Kind::List => arg.value_name("A,B,…").action(ArgAction::Append),
        Kind::Bool => arg.value_name("BOOL").num_args(0..=1).default_missing_value("true"),
        Kind::Integer | Kind::Float => arg.value_name("N"),
        Kind::Text => arg.value_name("TEXT"),
    }
}

fn help(field: &Field, default: &Value) -> String {
    match default_text(default) {
        Some(default) => format!("{} [default: {default}]", field.help()),
        None => field.help(),
    }
}

/// How a default is shown; `None` when there is none.
pub(super) fn default_text(default: &Value) -> Option<String> {
    match default {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(default_text).collect::<Vec<_>>().join(",")),
        other => Some(other.to_string()),
    }
}
