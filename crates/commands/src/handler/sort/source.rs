//! What is sorted.

use bytes::Bytes;
use datatypes::list::End;
use datatypes::{Elements, Kv, List, SortedSet, Type};

use super::super::reader;
use crate::{CommandError, Cx};

/// The elements under a key, in their own order; a key that is missing is an empty list.
pub struct Source {
    pub kind: Type,
    pub elements: Vec<Bytes>,
}

impl Source {
    pub fn read(kv: &mut dyn Kv, key: &[u8], cx: &Cx) -> Result<Self, CommandError> {
        let Some(record) = reader(kv, cx).lookup(key)? else {
            return Ok(Self { kind: Type::List, elements: Vec::new() });
        };
        let elements = match record.kind {
            Type::List => {
                let mut list = List::of(&record, cx.db, key)?;
                let len = list.len();
                list.range(kv, 0, End::Front, len)?
            }
            Type::Set => {
                let members = Elements::of(&record, cx.db, key)?.all(kv)?;
                members.into_iter().map(|member| member.name).collect()
            }
            Type::SortedSet => {
                let members = SortedSet::of(&record, cx.db, key)?.slice(kv, 0..u64::MAX)?;
                members.into_iter().map(|scored| scored.member).collect()
            }
            _ => return Err(CommandError::WrongType),
        };
        Ok(Self { kind: record.kind, elements })
    }
}
