//! A document as it is stored.

use bytes::Bytes;

use super::location::{Collector, Location};
use super::query::Step;
use super::select::{Budget, found_max, select};
use super::{DEPTH_MAX, DOCUMENT_BYTES_MAX, Json, JsonError, Path};
use crate::kv::StoreError;
use crate::record::{Record, Type};

/// A document, read from its record or about to become one.
#[derive(Debug)]
pub struct Document {
    pub root: Json,
    /// Length of its text when it was read; bounds what paths may cost.
    bytes: usize,
    /// Bytes that were announced by [`Self::reserve`].
    reserved: usize,
}

impl Document {
    pub fn new(root: Json) -> Self {
        Self { root, bytes: 0, reserved: 0 }
    }

    /// Reads the payload of a record, which [`Self::payload`] made.
    pub fn read(payload: &[u8]) -> Result<Self, StoreError> {
        let root = Json::parse(payload).map_err(|_| StoreError("corrupt JSON document".to_owned()))?;
        Ok(Self { root, bytes: payload.len(), reserved: 0 })
    }

    /// The text to store.
    pub fn payload(&self) -> Result<Bytes, JsonError> {
        if self.root.depth() > DEPTH_MAX {
            return Err(JsonError::TooDeep);
        }
        self.root.to_text().map(Bytes::from)
    }

    /// The record to store.
    pub fn record(&self, expiry_ms: Option<u64>) -> Result<Record, JsonError> {
        Ok(Record { kind: Type::Json, expiry_ms, ..Record::string(self.payload()?) })
    }

    /// Announces that `copies` of a value with a text of `bytes` will be written into the document: so
    /// that memory is not filled with what would be refused in the end.
    pub fn reserve(&mut self, copies: usize, bytes: usize) -> Result<(), JsonError> {
        self.reserved = self.reserved.saturating_add(copies.saturating_mul(bytes));
        let total = self.reserved.saturating_add(self.bytes);
        if total <= DOCUMENT_BYTES_MAX { Ok(()) } else { Err(JsonError::TooLarge) }
    }

    /// The values that `path` leads to.
    pub fn values(&self, path: &Path<'_>) -> Result<Vec<&Json>, JsonError> {
        let mut values = Vec::new();
        select(&path.compile()?.steps, &self.root, &mut self.budget(), &mut |value, _| {
            values.push(value);
            self.expect_few(values.len())
        })?;
        Ok(values)
    }

    /// The first value that `path` leads to.
    pub fn first(&self, path: &Path<'_>) -> Result<&Json, JsonError> {
        let first = self.values(path)?.first().copied();
        first.ok_or_else(|| JsonError::NoPath(path.text().to_owned()))
    }

    /// The places that `path` leads to; `None` for those whose values are not `wanted`.
    pub fn places(
        &self,
        path: &Path<'_>,
        wanted: impl Fn(&Json) -> bool,
    ) -> Result<Vec<Option<Location>>, JsonError> {
        self.places_of(&path.compile()?.steps, wanted)
    }

    /// [`Self::places`] of a path that is compiled, or the first steps of one.
    pub(super) fn places_of(
        &self,
        steps: &[Step],
        wanted: impl Fn(&Json) -> bool,
    ) -> Result<Vec<Option<Location>>, JsonError> {
        let (mut places, mut collector) = (Vec::new(), Collector::default());
        select(steps, &self.root, &mut self.budget(), &mut |value, trail| {
            places.push(if wanted(value) { Some(collector.location(trail)?) } else { None });
            self.expect_few(places.len())
        })?;
        Ok(places)
    }

    fn expect_few(&self, found: usize) -> Result<(), JsonError> {
        if found <= found_max(self.bytes) { Ok(()) } else { Err(JsonError::TooMuchWork) }
    }

    fn budget(&self) -> Budget {
        Budget::for_document(self.bytes)
    }
}
