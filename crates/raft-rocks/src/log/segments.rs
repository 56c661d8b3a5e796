//! The files of the log, for readers and for the writer.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;
use parking_lot::RwLock;

use super::{
    disk::DiskFile,
    index::Location,
    record::{self, HEADER_BYTES},
    scan::Corruption,
};
use crate::types::{Entry, LogId};

const SUFFIX: &str = ".log";

pub(super) fn file_name(segment: u32) -> String {
    format!("{segment:08x}{SUFFIX}")
}

pub(super) fn parse_file_name(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(SUFFIX)?;
    let valid = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    valid.then(|| u32::from_str_radix(digits, 16).ok())?
}

/// Open segments by number. Written by the writer at rotation and when it frees some.
#[derive(Default)]
pub(super) struct Segments(RwLock<BTreeMap<u32, Arc<dyn DiskFile>>>);

impl Segments {
    pub fn insert(&self, segment: u32, file: Arc<dyn DiskFile>) {
        self.0.write().insert(segment, file);
    }

    pub fn remove(&self, segment: u32) {
        self.0.write().remove(&segment);
    }

    pub fn file(&self, segment: u32) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.0.read().get(&segment).cloned();
        file.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("log segment {segment} is freed")))
    }
}

/// Reads the entry `id` back and checks that it is the one that was written.
pub(super) fn read_entry(file: &dyn DiskFile, id: LogId, location: Location) -> io::Result<Entry> {
    let corrupt =
        |reason| Corruption { file: file_name(location.segment), offset: location.offset.into(), reason };
    let mut bytes = vec![0; location.bytes as usize];
    file.read_at(location.offset.into(), &mut bytes)?;
    let head = bytes.first_chunk::<HEADER_BYTES>().and_then(record::parse);
    let header = head.ok_or_else(|| corrupt("no record header"))?;
    if !record::is_intact(&bytes) || header.log_id() != id {
        return Err(corrupt("checksum of an entry").into());
    }
    let payload = Bytes::from(bytes).slice(HEADER_BYTES..);
    match record::entry_payload(header.kind, payload)? {
        Some(payload) => Ok(Entry { log_id: id, payload }),
        None => Err(corrupt("not an entry").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        assert_eq!(parse_file_name(&file_name(0xBEEF)), Some(0xBEEF));
        for name in ["x.log", "0000beef", "00000000beef.log", "+000beef.log"] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}
