//! What the declaration of options says about each field.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A struct declared by [`options!`](crate::options).
pub trait Options: Default + Clone + PartialEq + Serialize + DeserializeOwned {
    /// Name of the binary.
    const PROGRAM: &'static str;
    /// Names the environment variables: `MIRAFT_<SECTION>_<KEY>`.
    const SECTION: &'static str;
    const FIELDS: &'static [Field];

    /// Values that do not fit together: (key, what to do about it).
    fn check(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The TOML key.
    pub name: &'static str,
    /// As written in the declaration.
    pub rust_type: &'static str,
    /// Doc comment; each source line begins with a space.
    pub doc: &'static str,
}

/// How text (environment, flags) becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Integer,
    Float,
    Text,
    List,
}

impl Field {
    /// `--like-this`, without the dashes in front.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// `MIRAFT_<SECTION>_<KEY>`.
    pub fn variable(&self, section: &str) -> String {
        format!("MIRAFT_{}_{}", section.to_uppercase().replace('-', "_"), self.name.to_uppercase())
    }

    /// The doc comment as one line.
    pub fn help(&self) -> String {
        self.doc.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn kind(&self) -> Kind {
        let plain = self.rust_type.replace(' ', "");
        let inner = plain.strip_prefix("Option<").and_then(|t| t.strip_suffix('>')).unwrap_or(&plain);
        match inner {
            "bool" => Kind::Bool,
            "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => Kind::Integer,
            "f32" | "f64" => Kind::Float,
            t if t.starts_with("Vec<") => Kind::List,
            _ => Kind::Text,
        }
    }

    /// Reads `text` as this field's kind. What does not parse is passed on as text, so that the
    /// error names both what came and what was expected.
    pub fn value_of(&self, text: &str) -> Value {
        let as_text = || Value::String(text.to_owned());
        match self.kind() {
            Kind::Bool => text.parse::<bool>().map_or_else(|_| as_text(), Value::from),
            Kind::Integer => text
                .parse::<u64>()
                .map(Value::from)
                .or_else(|_| text.parse::<i64>().map(Value::from))
                .unwrap_or_else(|_| as_text()),
            Kind::Float => text.parse::<f64>().map_or_else(|_| as_text(), Value::from),
            Kind::Text => as_text(),
            Kind::List => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
        }
    }
}

impl Kind {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "true or false",
            Kind::Integer => "integer",
            Kind::Float => "number",
            Kind::Text => "text",
            Kind::List => "list",
        }
    }
}
