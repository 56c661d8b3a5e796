//! The layers above the defaults, each read into (key, value, origin) triples.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use toml::de::DeTable;

use super::{
    field::Field,
    problem::{Origin, Problem, suggestion},
};

/// What the layers so far say; a later layer overwrites.
#[derive(Debug, Default)]
pub(super) struct Settings(pub BTreeMap<&'static str, Setting>);

#[derive(Debug)]
pub(super) struct Setting {
    pub value: Value,
    pub origin: Origin,
}

impl Settings {
    fn set(&mut self, field: &Field, value: Value, origin: Origin) {
        self.0.insert(field.name, Setting { value, origin });
    }

    pub fn origin(&self, key: &str) -> Origin {
        self.0.get(key).map_or(Origin::Default, |setting| setting.origin.clone())
    }
}

fn find<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
    fields.iter().find(|field| field.name == name)
}

/// The TOML file at `path`.
pub(super) fn file(path: &Path, fields: &[Field], settings: &mut Settings, problems: &mut Vec<Problem>) {
    match std::fs::read_to_string(path) {
        Ok(text) => toml_text(path, &text, fields, settings, problems),
        Err(error) => problems.push(Problem::Unreadable { path: path.to_owned(), kind: error.kind() }),
    }
}

fn toml_text(
    path: &Path,
    text: &str,
    fields: &[Field],
    settings: &mut Settings,
    problems: &mut Vec<Problem>,
) {
    let parsed = text.parse::<toml::Table>().and_then(|values| Ok((values, DeTable::parse(text)?)));
    let (values, spans) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let text = error.to_string().trim_end().to_owned();
            return problems.push(Problem::Syntax { path: path.to_owned(), text });
        }
    };
    let line_of = |key: &str| {
        let start =
            spans.get_ref().iter().find(|(k, _)| k.get_ref() == key).map_or(0, |(k, _)| k.span().start);
        text[..start].matches('\n').count() + 1
    };
    for (key, value) in values {
        let origin = Origin::File { path: path.to_owned(), line: line_of(&key) };
        match find(fields, &key) {
            Some(field) => settings.set(field, json_of(value), origin),
            None => {
                let fix = suggestion(&key, fields.iter().map(|field| field.name));
                problems.push(Problem::UnknownKey { origin, key, fix });
            }
        }
    }
}

fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::from(flag),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json_of(value))).collect(),
    }
}

/// Variables that begin with `MIRAFT_<SECTION>_`.
pub(super) fn environment(
    variables: &[(String, String)],
    section: &str,
    fields: &[Field],
    settings: &mut Settings,
    problems: &mut Vec<Problem>,
) {
    let names: Vec<String> = fields.iter().map(|field| field.variable(section)).collect();
    let prefix = format!("MIRAFT_{}_", section.to_uppercase().replace('-', "_"));
    for (name, text) in variables.iter().filter(|(name, _)| name.starts_with(&prefix)) {
        let origin = Origin::Variable(name.clone());
        match names.iter().position(|known| known == name) {
            Some(at) => settings.set(&fields[at], fields[at].value_of(text), origin),
            None => {
                let fix = suggestion(name, names.iter().map(String::as_str));
                problems.push(Problem::UnknownKey { origin, key: name.clone(), fix });
            }
        }
    }
}

/// Flags given on the command line.
pub(super) fn flags(matches: &clap::ArgMatches, fields: &[Field], settings: &mut Settings) {
    for field in fields {
        if let Some(given) = matches.get_many::<String>(field.name) {
            let text = given.map(String::as_str).collect::<Vec<_>>().join(",");
            settings.set(field, field.value_of(&text), Origin::Flag(field.flag()));
        }
    }
}
