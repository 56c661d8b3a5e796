//! A JSON value in memory.

use indexmap::IndexMap;

/// The fields of an object, in order of insertion.
pub type Fields = IndexMap<Box<str>, Json>;

/// A JSON value. Integers and other numbers are told apart, as they were written.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above `i64::MAX`.
    Big(u64),
    /// Finite.
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(Box<Fields>),
}

impl Json {
    /// What JSON.TYPE calls it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Big(_) => "integer",
            Self::Float(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    pub fn is_bool(&self) -> bool {
        matches!(self, Self::Bool(_))
    }

    pub fn is_number(&self) -> bool {
        self.number().is_some()
    }

    pub fn is_string(&self) -> bool {
        matches!(self, Self::String(_))
    }

    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// A number, as near as a float comes.
    pub fn number(&self) -> Option<f64> {
        match *self {
            Self::Int(number) => Some(number as f64),
            Self::Big(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            _ => None,
        }
    }

    /// Whether it is an array or an object without elements.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Array(items) => items.is_empty(),
            Self::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }

    /// How deep arrays and objects nest; 0 of a scalar.
    pub fn depth(&self) -> usize {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or_default(),
            Self::Object(fields) => 1 + fields.values().map(Self::depth).max().unwrap_or_default(),
            _ => 0,
        }
    }

    /// About how many bytes a reply takes in memory that tells the value part by part; counted up to
    /// `most`.
    pub fn reply_bytes(&self, most: usize) -> usize {
        const PART: usize = 64;
        let mut bytes = PART;
        match self {
            Self::String(text) => bytes += text.len(),
            Self::Array(items) => {
                for item in items {
                    bytes += item.reply_bytes(most.saturating_sub(bytes));
                    if bytes > most {
                        break;
                    }
                }
            }
            Self::Object(fields) => {
                for (name, field) in fields.iter() {
                    bytes += PART + name.len() + field.reply_bytes(most.saturating_sub(bytes));
                    if bytes > most {
                        break;
                    }
                }
            }
            _ => {}
        }
        bytes
    }

    /// How much memory RedisJSON takes for a value like this that was read as a whole.
    pub fn memory_bytes(&self) -> usize {
        WORD_BYTES + self.allocated_bytes()
    }

    /// Without the word that holds the value, or where it is.
    fn allocated_bytes(&self) -> usize {
        let room = |len: usize| len.next_power_of_two().max(ROOM_MIN);
        match self {
            Self::Null | Self::Bool(_) => 0,
            Self::Int(-128..384) => 0,
            Self::Int(-0x80_0000..0x80_0000) => 4,
            Self::Int(_) | Self::Big(_) | Self::Float(_) => 2 * WORD_BYTES,
            Self::String(text) => text.len(),
            Self::Array(items) if items.is_empty() => 0,
            Self::Array(items) => {
                let inside: usize = items.iter().map(Self::allocated_bytes).sum();
                inside + (room(items.len()) + 2) * WORD_BYTES
            }
            Self::Object(fields) if fields.is_empty() => 0,
            Self::Object(fields) => {
                let inside: usize =
                    fields.iter().map(|(name, value)| name.len() + value.allocated_bytes()).sum();
                inside + (3 * room(fields.len()) + 2) * WORD_BYTES
            }
        }
    }
}

const WORD_BYTES: usize = 8;
/// Elements that a container which is not empty has room for at least; it doubles.
const ROOM_MIN: usize = 4;
