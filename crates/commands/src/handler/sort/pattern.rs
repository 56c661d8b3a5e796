//! Patterns of BY and GET: which key, or field of a hash, belongs to an element.

use bytes::Bytes;
use datatypes::{Elements, Kv, Slot, Type, slot_of};

use super::super::reader;
use crate::{CommandError, Cx};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// Without `*`: nothing belongs to an element.
    Constant,
    /// The element between two texts is the name of a key.
    Key { before: &'a [u8], behind: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    pub fn parse(text: &'a [u8]) -> Self {
        if text == b"#" {
            return Self::Element;
        }
        let Some(star) = text.iter().position(|&byte| byte == b'*') else { return Self::Constant };
        let (before, rest) = (&text[..star], &text[star + 1..]);
        let arrow = rest.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < rest.len());
        match arrow {
            Some(at) => Self::Key { before, behind: &rest[..at], field: Some(&rest[at + 2..]) },
            None => Self::Key { before, behind: rest, field: None },
        }
    }

    /// Whether what belongs to an element is in `slot`, whatever the element: a hash tag stands before it.
    pub fn stays_in(&self, slot: Slot) -> bool {
        match self {
            Self::Element | Self::Constant => true,
            Self::Key { before, .. } => has_tag(before) && slot_of(before) == slot,
        }
    }

    /// The string, or the value of the field, that belongs to `element`.
    pub fn lookup(&self, kv: &mut dyn Kv, element: &Bytes, cx: &Cx) -> Result<Option<Bytes>, CommandError> {
        let (key, field) = match self {
            Self::Element => return Ok(Some(element.clone())),
            Self::Constant => return Ok(None),
            Self::Key { before, behind, field } => ([before, &element[..], behind].concat(), field),
        };
        let Some(record) = reader(kv, cx).lookup(&key)? else { return Ok(None) };
        match (field, record.kind) {
            (None, Type::String) => Ok(Some(record.payload)),
            (Some(field), Type::Hash) => {
                Ok(Elements::of(&record, cx.db, &key)?.at(kv, cx.now_ms)?.get(kv, field)?)
            }
            _ => Ok(None),
        }
    }
}

/// Whether the first `{` is followed by a `}` with something between them.
fn has_tag(text: &[u8]) -> bool {
    let behind = text.iter().position(|&byte| byte == b'{').map(|at| &text[at + 1..]);
    let tag = behind.and_then(|behind| behind.iter().position(|&byte| byte == b'}'));
    tag.is_some_and(|len| len > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_redis_does() {
        let key = |before: &'static str, behind: &'static str, field: Option<&'static str>| Pattern::Key {
            before: before.as_bytes(),
            behind: behind.as_bytes(),
            field: field.map(str::as_bytes),
        };
        for (text, pattern) in [
            ("#", Pattern::Element),
            ("nosort", Pattern::Constant),
            ("#x", Pattern::Constant),
            ("a->b", Pattern::Constant),
            ("*", key("", "", None)),
            ("w_*", key("w_", "", None)),
            ("w_*_*", key("w_", "_*", None)),
            ("h*->f", key("h", "", Some("f"))),
            ("h->*x->f->g", key("h->", "x", Some("f->g"))),
            ("x*->", key("x", "->", None)),
        ] {
            assert_eq!(Pattern::parse(text.as_bytes()), pattern, "{text}");
        }
    }

    #[test]
    fn only_a_tag_before_the_element_keeps_the_slot() {
        let slot = slot_of(b"{k}1");
        for (text, stays) in [
            ("{k}w_*", true),
            ("a{k}*->f", true),
            ("#", true),
            ("nosort", true),
            ("{k*}", false),
            ("*{k}", false),
            ("{}{k}*", false),
            ("{j}*", false),
            ("w_*", false),
        ] {
            assert_eq!(Pattern::parse(text.as_bytes()).stays_in(slot), stays, "{text}");
        }
    }
}
