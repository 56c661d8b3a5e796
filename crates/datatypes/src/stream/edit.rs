//! A stream that is being changed.

use bytes::Bytes;

use super::Stream;
use super::parts::{Parts, owned};
use super::state::State;
use crate::keyspace::{Entry, Keyspace};
use crate::kv::{KvMut, StoreError};
use crate::record::{Record, Type};

/// What is changed of a stream's head record is written by [`Self::save`]; parts are written at once.
#[must_use = "what was changed must be saved"]
pub struct StreamEdit<'a, 'kv> {
    keyspace: &'a mut Keyspace<'kv>,
    entry: Entry,
    expiry_ms: Option<u64>,
    stream: Stream,
    /// As stored; `None` for a new stream.
    stored: Option<State>,
}

impl<'a, 'kv> StreamEdit<'a, 'kv> {
    /// The stream under the entry's key; `None` if the key is missing.
    pub(crate) fn open(keyspace: &'a mut Keyspace<'kv>, entry: Entry) -> Result<Option<Self>, StoreError> {
        let Some(record) = entry.live() else { return Ok(None) };
        let expiry_ms = record.expiry_ms;
        let Some(stream) = Stream::under(record, entry.head())? else { return Ok(None) };
        Ok(Some(Self { keyspace, entry, expiry_ms, stream, stored: Some(stream.state) }))
    }

    /// An empty one that replaces whatever is under the entry's key.
    pub(crate) fn create(
        keyspace: &'a mut Keyspace<'kv>,
        entry: Entry,
        expiry_ms: Option<u64>,
    ) -> Result<Self, StoreError> {
        let id = keyspace.fresh_id(entry.head())?;
        let parts = Parts::new(entry.head(), id);
        keyspace.kv.put(owned(&parts.anchor()), Bytes::new());
        let stream = Stream { state: State::default(), parts, id };
        Ok(Self { keyspace, entry, expiry_ms, stream, stored: None })
    }

    /// The stream, and where it is stored.
    pub fn split(&mut self) -> (&mut Stream, &mut dyn KvMut) {
        (&mut self.stream, self.keyspace.kv)
    }

    /// Writes the head record if it changed.
    pub fn save(self) {
        if self.stored == Some(self.stream.state) {
            return;
        }
        let payload = self.stream.state.payload(self.stream.id);
        let string = Record::string(payload);
        let record = Record { kind: Type::Stream, expiry_ms: self.expiry_ms, large: true, ..string };
        self.keyspace.put(self.entry, &record);
    }
}
