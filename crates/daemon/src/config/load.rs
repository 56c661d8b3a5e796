//! Merges the layers into one checked struct.

use std::{ffi::OsString, path::PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    field::{Field, Options},
    flags,
    layers::{self, Setting, Settings},
    problem::{ConfigError, Problem},
};
use crate::logging;

/// Where configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Command line, program name first.
    pub arguments: Vec<OsString>,
    /// Environment; variables of other sections are ignored.
    pub variables: Vec<(String, String)>,
}

impl Sources {
    /// Of this process. Variables that are not UTF-8 cannot be meant for us.
    pub fn of_process() -> Self {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self {
            arguments: std::env::args_os().collect(),
            variables: std::env::vars_os().filter_map(text).collect(),
        }
    }
}

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Run,
    Check,
    Dump,
}

/// A configuration without problems.
#[derive(Debug)]
pub struct Loaded<T> {
    pub action: Action,
    pub options: T,
    pub logging: logging::Options,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Unknown flag, or `--help` and `--version`: clap says it.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Reads and checks everything before it complains.
pub fn load<T: Options>(sources: &Sources) -> Result<Loaded<T>, LoadError> {
    let matches = flags::command::<T>().try_get_matches_from(&sources.arguments)?;
    let fields = flags::fields::<T>();
    let (mut settings, mut problems) = (Settings::default(), Vec::new());
    if let Some(path) = matches.get_one::<String>(flags::CONFIG) {
        layers::file(&PathBuf::from(path), &fields, &mut settings, &mut problems);
    }
    layers::environment(&sources.variables, T::SECTION, &fields, &mut settings, &mut problems);
    layers::flags(&matches, &fields, &mut settings);

    let options: T = assemble(T::FIELDS, &settings, &mut problems);
    let logging: logging::Options = assemble(logging::Options::FIELDS, &settings, &mut problems);
    let unfit = options.check().into_iter().chain(logging.check());
    problems.extend(unfit.map(|(key, fix)| Problem::Unfit {
        origin: settings.origin(key),
        key: key.to_owned(),
        fix,
    }));
    if !problems.is_empty() {
        return Err(ConfigError { program: T::PROGRAM, problems }.into());
    }
    let action = match (matches.get_flag(flags::CHECK), matches.get_flag(flags::DUMP)) {
        (_, true) => Action::Dump,
        (true, false) => Action::Check,
        (false, false) => Action::Run,
    };
    Ok(Loaded { action, options, logging })
}

/// Puts each setting into the defaults by itself, so that one wrong value does not hide another.
fn assemble<T: Options>(fields: &[Field], settings: &Settings, problems: &mut Vec<Problem>) -> T {
    let mut document = flags::object(&T::default());
    for field in fields {
        let Some(setting) = settings.0.get(field.name) else { continue };
        let before = document.insert(field.name.to_owned(), setting.value.clone());
        if let Err(error) = read::<T>(&document) {
            problems.push(wrong_value(field, setting, &error));
            document.insert(field.name.to_owned(), before.unwrap_or(Value::Null));
        }
    }
    read(&document).unwrap_or_else(|error| unreachable!("every value was checked: {error}"))
}

fn read<T: DeserializeOwned>(document: &Map<String, Value>) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::Object(document.clone()))
}

fn wrong_value(field: &Field, setting: &Setting, error: &serde_json::Error) -> Problem {
    Problem::WrongValue {
        origin: setting.origin.clone(),
        key: field.name.to_owned(),
        found: error.to_string(),
        fix: format!("give it a value of type {}", field.kind().name()),
    }
}
