//! A run of elements in one block: a listpack, as Redis holds them and dumps them.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::kv::StoreError;
use crate::number::parse_i64;
use crate::rdb::RdbError;
use crate::rdb::listpack::{self, END, HEADER_BYTES};
use crate::record::corrupt;

/// What a listpack has besides its entries.
const FRAME_BYTES: usize = HEADER_BYTES + 1;
/// More than any entry takes besides the bytes of its element.
pub(super) const ENTRY_BYTES_MAX: usize = 10;

/// A listpack, as it was read or as it was changed.
#[derive(Debug, Clone)]
pub struct Pack(Block);

#[derive(Debug, Clone)]
enum Block {
    Shared(Bytes),
    Own(BytesMut),
}

/// An element of a list, where it is.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    item: listpack::Item<'a>,
    /// What it is part of, if that can be shared.
    block: Option<&'a Bytes>,
}

impl Item<'_> {
    pub fn with_text<T>(&self, use_text: impl FnOnce(&[u8]) -> T) -> T {
        match self.item {
            listpack::Item::Text(text) => use_text(text),
            listpack::Item::Number(number) => use_text(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        match (self.item, self.block) {
            (listpack::Item::Text(text), Some(block)) => block.slice_ref(text),
            (listpack::Item::Text(text), None) => Bytes::copy_from_slice(text),
            (listpack::Item::Number(number), _) => Bytes::from(number.to_string()),
        }
    }
}

/// What elements are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Needle<'a> {
    text: &'a [u8],
    number: Option<i64>,
}

impl<'a> Needle<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, number: parse_i64(text) }
    }

    pub fn is(&self, item: &Item<'_>) -> bool {
        match item.item {
            listpack::Item::Text(text) => text == self.text,
            listpack::Item::Number(number) => self.number == Some(number),
        }
    }
}

impl Default for Pack {
    fn default() -> Self {
        Self::new()
    }
}

impl Pack {
    pub fn new() -> Self {
        Self::of(std::iter::empty())
    }

    pub fn of<'a>(elements: impl Iterator<Item = &'a [u8]>) -> Self {
        Self(Block::Own(listpack::write(elements)))
    }

    /// One that was stored.
    pub fn decode(stored: Bytes) -> Result<Self, StoreError> {
        let (header, _) = stored.split_first_chunk::<HEADER_BYTES>().ok_or_else(corrupt)?;
        let [b0, b1, b2, b3, c0, c1] = *header;
        let framed = stored.len() >= FRAME_BYTES && stored.ends_with(&[END]);
        let whole = u32::from_le_bytes([b0, b1, b2, b3]) as usize == stored.len();
        // Blocks are far too small for a number of elements that the header cannot tell.
        if !framed || !whole || u16::from_le_bytes([c0, c1]) == u16::MAX {
            return Err(corrupt());
        }
        Ok(Self(Block::Shared(stored)))
    }

    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Block::Shared(bytes) => bytes,
            Block::Own(bytes) => bytes,
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Block::Shared(bytes) => bytes.clone(),
            Block::Own(bytes) => Bytes::copy_from_slice(bytes),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        let header = self.as_slice();
        u64::from(u16::from_le_bytes([header[4], header[5]]))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Size of the entries.
    pub fn entries_bytes(&self) -> usize {
        self.as_slice().len() - FRAME_BYTES
    }

    /// Size of a listpack with `entries_bytes` of entries.
    pub fn bytes_of(entries_bytes: u64) -> u64 {
        entries_bytes + FRAME_BYTES as u64
    }

    pub fn walk(&self) -> Walk<'_> {
        let block = match &self.0 {
            Block::Shared(bytes) => Some(bytes),
            Block::Own(_) => None,
        };
        Walk { entries: self.entries(), block }
    }

    pub fn get(&self, index: u64) -> Result<Bytes, StoreError> {
        let mut walk = self.walk();
        let from_end = self.len().saturating_sub(index + 1);
        if from_end < index {
            (0..from_end).try_for_each(|_| walk.next_back().map(drop))?;
            return Ok(walk.next_back()?.ok_or_else(corrupt)?.to_bytes());
        }
        (0..index).try_for_each(|_| walk.next().map(drop))?;
        Ok(walk.next()?.ok_or_else(corrupt)?.to_bytes())
    }

    pub fn push_front(&mut self, element: &[u8]) {
        let mut out = self.begin(element.len());
        listpack::put_entry(&mut out, element);
        out.put_slice(self.entries());
        self.finish(out, self.len() + 1);
    }

    pub fn push_back(&mut self, element: &[u8]) {
        let count = self.len() + 1;
        let mut out = match &mut self.0 {
            Block::Own(bytes) => {
                bytes.truncate(bytes.len() - 1);
                std::mem::take(bytes)
            }
            Block::Shared(_) => {
                let mut out = self.begin(element.len());
                out.put_slice(self.entries());
                out
            }
        };
        listpack::put_entry(&mut out, element);
        self.finish(out, count);
    }

    /// Puts `element`, if any, in the place of the elements of `indices`.
    pub fn splice(&mut self, indices: Range<u64>, element: Option<&[u8]>) -> Result<(), StoreError> {
        let (start, end) = (self.offset(indices.start)?, self.offset(indices.end)?);
        let entries = self.entries();
        let mut out = self.begin(element.map_or(0, <[u8]>::len));
        out.put_slice(&entries[..start]);
        if let Some(element) = element {
            listpack::put_entry(&mut out, element);
        }
        out.put_slice(&entries[end..]);
        let count = self.len() - (indices.end - indices.start) + u64::from(element.is_some());
        self.finish(out, count);
        Ok(())
    }

    /// Removes the elements at `indices`, which ascend.
    pub fn remove(&mut self, indices: impl Iterator<Item = u64>) -> Result<(), StoreError> {
        let mut indices = indices.peekable();
        let mut out = self.begin(0);
        let (mut walk, mut index, mut count) = (self.walk(), 0, 0);
        loop {
            let before = walk.entries;
            if walk.next()?.is_none() {
                break;
            }
            if indices.next_if_eq(&index).is_none() {
                out.put_slice(&before[..before.len() - walk.entries.len()]);
                count += 1;
            }
            index += 1;
        }
        self.finish(out, count);
        Ok(())
    }

    /// Those of `other` behind these.
    pub fn append(&mut self, other: &Self) {
        let mut out = self.begin(other.entries_bytes());
        out.put_slice(self.entries());
        out.put_slice(other.entries());
        self.finish(out, self.len() + other.len());
    }

    /// The first `count` elements, and the others.
    pub fn cut(&self, count: u64) -> Result<(Self, Self), StoreError> {
        let at = self.offset(count)?;
        let piece = |entries: &[u8], count| {
            let mut out = BytesMut::zeroed(HEADER_BYTES);
            out.reserve(entries.len() + 1);
            out.put_slice(entries);
            listpack::finish(&mut out, count);
            Self(Block::Own(out))
        };
        let (first, others) = self.entries().split_at(at);
        Ok((piece(first, count), piece(others, self.len() - count)))
    }

    /// In pieces of about equal size with at most `bytes_max` of entries each, or of one element.
    pub fn split(&self, bytes_max: usize) -> Result<Vec<Self>, StoreError> {
        let pieces = self.entries_bytes().div_ceil(bytes_max).max(1);
        let enough = self.entries_bytes().div_ceil(pieces);
        let (mut split, mut rest) = (Vec::new(), self.clone());
        while rest.entries_bytes() > enough {
            let (piece, others) = rest.cut(rest.count_within(enough)?)?;
            split.push(piece);
            rest = others;
        }
        if !rest.is_empty() {
            split.push(rest);
        }
        Ok(split)
    }

    /// How many elements from the front take up to `bytes`; at least one.
    pub fn count_within(&self, bytes: usize) -> Result<u64, StoreError> {
        let (mut walk, mut count) = (self.walk(), 0);
        while walk.next()?.is_some() {
            if count > 0 && self.entries_bytes() - walk.entries.len() > bytes {
                return Ok(count);
            }
            count += 1;
        }
        Ok(count)
    }

    /// Likewise, from the back.
    pub fn count_within_back(&self, bytes: usize) -> Result<u64, StoreError> {
        let (mut walk, mut count) = (self.walk(), 0);
        while walk.next_back()?.is_some() {
            if count > 0 && self.entries_bytes() - walk.entries.len() > bytes {
                return Ok(count);
            }
            count += 1;
        }
        Ok(count)
    }

    fn entries(&self) -> &[u8] {
        let bytes = self.as_slice();
        &bytes[HEADER_BYTES..bytes.len() - 1]
    }

    /// Where the element at `index` begins among the entries.
    fn offset(&self, index: u64) -> Result<usize, StoreError> {
        let mut walk = self.walk();
        for _ in 0..index {
            walk.next()?.ok_or_else(corrupt)?;
        }
        Ok(self.entries_bytes() - walk.entries.len())
    }

    /// What is to become these and `more` bytes of an element.
    fn begin(&self, more: usize) -> BytesMut {
        let mut out = BytesMut::with_capacity(self.as_slice().len() + more + ENTRY_BYTES_MAX);
        out.put_bytes(0, HEADER_BYTES);
        out
    }

    fn finish(&mut self, mut out: BytesMut, count: u64) {
        listpack::finish(&mut out, count);
        self.0 = Block::Own(out);
    }
}

/// Walks over the elements, from both ends.
#[derive(Debug, Clone, Copy)]
pub struct Walk<'a> {
    entries: &'a [u8],
    block: Option<&'a Bytes>,
}

impl<'a> Walk<'a> {
    pub fn next(&mut self) -> Result<Option<Item<'a>>, StoreError> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let (item, bytes) = listpack::entry(self.entries).map_err(stored)?;
        self.entries = &self.entries[bytes..];
        Ok(Some(Item { item, block: self.block }))
    }

    pub fn next_back(&mut self) -> Result<Option<Item<'a>>, StoreError> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let bytes = listpack::last_entry_bytes(self.entries).map_err(stored)?;
        let (others, last) = self.entries.split_at(self.entries.len() - bytes);
        let (item, taken) = listpack::entry(last).map_err(stored)?;
        if taken != bytes {
            return Err(corrupt());
        }
        self.entries = others;
        Ok(Some(Item { item, block: self.block }))
    }
}

/// A listpack of ours is not one.
fn stored(_: RdbError) -> StoreError {
    corrupt()
}
