//! Building a database generation from sorted pairs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rocksdb::{IngestExternalFileOptions, SstFileWriter};

use super::{Engine, GroupDb, set_current};
use crate::group::effects::take_string;

/// Pairs are gathered up to this size and become one SST file.
const FILE_BYTES: usize = 32 << 20;

/// Takes pages of sorted pairs, writes SST files, and switches to them at once when finished.
/// Dropped unfinished, it leaves the generation in force untouched.
pub struct DbBuilder {
    engine: Engine,
    dir: PathBuf,
    generation: u64,
    files: Vec<PathBuf>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
}

impl DbBuilder {
    pub(super) fn new(engine: Engine, dir: PathBuf, generation: u64) -> io::Result<Self> {
        let staging = staging(&dir, generation);
        for path in [&staging, &dir.join(generation.to_string())] {
            if path.exists() {
                fs::remove_dir_all(path)?;
            }
        }
        fs::create_dir_all(&staging)?;
        Ok(Self { engine, dir, generation, files: Vec::new(), gathered: Vec::new(), gathered_bytes: 0 })
    }

    /// Adds one page as produced by [`Pages`](super::Pages); pages come in key order.
    pub fn add_page(&mut self, page: Bytes) -> io::Result<()> {
        self.gathered_bytes += page.len();
        self.gathered.push(page);
        if self.gathered_bytes >= FILE_BYTES { self.write_file() } else { Ok(()) }
    }

    fn write_file(&mut self) -> io::Result<()> {
        if self.gathered_bytes == 0 {
            return Ok(());
        }
        self.gathered_bytes = 0;
        let path = staging(&self.dir, self.generation).join(format!("{:06}.sst", self.files.len()));
        let options = rocksdb::Options::default();
        let mut writer = SstFileWriter::create(&options);
        writer.open(&path).map_err(io::Error::other)?;
        for mut page in self.gathered.drain(..) {
            while !page.is_empty() {
                let key = take_string(&mut page).map_err(io::Error::other)?;
                let value = take_string(&mut page).map_err(io::Error::other)?;
                writer.put(&key, &value).map_err(io::Error::other)?;
            }
        }
        writer.finish().map_err(io::Error::other)?;
        self.files.push(path);
        Ok(())
    }

    /// Ingests what was added, makes it durable and puts it in force.
    pub fn finish(mut self) -> io::Result<GroupDb> {
        self.write_file()?;
        let db = self.engine.open_generation(&self.dir, self.generation)?;
        if !self.files.is_empty() {
            let mut options = IngestExternalFileOptions::default();
            options.set_move_files(true);
            let files = std::mem::take(&mut self.files);
            db.db.ingest_external_file_opts(&options, files).map_err(io::Error::other)?;
        }
        fs::remove_dir_all(staging(&self.dir, self.generation))?;
        set_current(&self.dir, self.generation)?;
        Ok(db)
    }
}

fn staging(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("staging-{generation}"))
}
