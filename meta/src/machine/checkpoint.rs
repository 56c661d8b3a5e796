//! The file that holds the last checkpoint.
//!
//! Layout: one line `miraft-meta-checkpoint 1 <crc32 of the rest, 8 hex digits>\n`, then the JSON of
//! a [`Document`](super::document::Document). Replaced by rename, so a crash leaves the old or the
//! new one. Written every thousand entries or so and small: done in place, on the calling thread.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use bytes::Bytes;

const MAGIC: &str = "miraft-meta-checkpoint 1";

/// The JSON of the last checkpoint, if there is one.
pub(crate) fn load(path: &Path) -> io::Result<Option<Bytes>> {
    let content = match fs::read(path) {
        Ok(content) => Bytes::from(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let end = content.iter().position(|&b| b == b'\n').ok_or_else(|| damaged(path))?;
    let json = content.slice(end + 1..);
    match content.slice(..end) == header(&json).as_bytes() {
        true => Ok(Some(json)),
        false => Err(damaged(path)),
    }
}

/// Durable when it returns.
pub(crate) fn store(path: &Path, json: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    writeln!(file, "{}", header(json))?;
    file.write_all(json)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

fn header(json: &[u8]) -> String {
    format!("{MAGIC} {:08x}", crc32fast::hash(json))
}

fn damaged(path: &Path) -> io::Error {
    let text = format!("checkpoint {} is damaged", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_written_and_damage_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        assert_eq!(load(&path).unwrap(), None);
        store(&path, b"{}").unwrap();
        store(&path, b"{\"a\":1}").unwrap();
        assert_eq!(load(&path).unwrap().unwrap(), "{\"a\":1}");

        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, flipped).unwrap();
            assert!(load(&path).is_err(), "byte {at}");
        }
    }
}
