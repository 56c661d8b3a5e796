//! RocksDB, one small database per group replica.
//!
//! - No write-ahead log: the Raft log is the log. What was not flushed is replayed.
//! - A replica's directory holds generations; `CURRENT` names the one in force and is replaced
//!   atomically, so installing a snapshot is all or nothing.
//! - All databases share one block cache.

mod builder;
mod pages;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, WriteOptions};
pub use rocksdb::{DBRawIterator as StoredPairs, Error as EngineError, WriteBatch};

pub use builder::DbBuilder;
pub use pages::Pages;

const CURRENT: &str = "CURRENT";
const REPLICA: &str = "REPLICA";

/// What all databases of a node share.
#[derive(Clone)]
pub struct Engine {
    root: PathBuf,
    cache: Cache,
    memtable_bytes: usize,
    compression: DBCompressionType,
}

impl Engine {
    /// `root` holds one directory per group.
    pub fn new(
        root: PathBuf,
        cache_bytes: usize,
        memtable_bytes: usize,
        compression: &str,
    ) -> io::Result<Self> {
        let compression = match compression {
            "none" => DBCompressionType::None,
            "lz4" => DBCompressionType::Lz4,
            "zstd" => DBCompressionType::Zstd,
            other => return Err(io::Error::other(format!("unknown compression '{other}'"))),
        };
        fs::create_dir_all(&root)?;
        Ok(Self { root, cache: Cache::new_lru_cache(cache_bytes), memtable_bytes, compression })
    }

    /// Groups that have a directory here, in order.
    pub fn groups(&self) -> io::Result<Vec<u64>> {
        let mut groups = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            groups.extend(entry?.file_name().to_str().and_then(|n| n.parse::<u64>().ok()));
        }
        groups.sort_unstable();
        Ok(groups)
    }

    /// The replica id under which a group's directory was created, if it was.
    pub fn replica_of(&self, group: u64) -> io::Result<Option<u64>> {
        let path = self.group_dir(group).join(REPLICA);
        match fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| io::Error::other(format!("{}: not a replica id", path.display()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Records under which replica id the group's directory is used, before anything else of it.
    pub fn set_replica(&self, group: u64, replica: u64) -> io::Result<()> {
        let dir = self.group_dir(group);
        fs::create_dir_all(&dir)?;
        replace_file(&dir, REPLICA, &replica.to_string())
    }

    /// Opens the current generation of a group, an empty one when there is none.
    pub fn open(&self, group: u64) -> io::Result<GroupDb> {
        let dir = self.group_dir(group);
        fs::create_dir_all(&dir)?;
        let generation = match fs::read_to_string(dir.join(CURRENT)) {
            Ok(text) => text.trim().parse().map_err(|_| {
                io::Error::other(format!("{}: not a generation number", dir.join(CURRENT).display()))
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                set_current(&dir, 1)?;
                1
            }
            Err(e) => return Err(e),
        };
        remove_other_generations(&dir, generation)?;
        self.open_generation(&dir, generation)
    }

    fn group_dir(&self, group: u64) -> PathBuf {
        self.root.join(group.to_string())
    }

    fn open_generation(&self, dir: &Path, generation: u64) -> io::Result<GroupDb> {
        let path = dir.join(generation.to_string());
        let options = self.options().map_err(io::Error::other)?;
        let db = DB::open(&options, &path).map_err(io::Error::other)?;
        Ok(GroupDb { db: Arc::new(db), dir: dir.to_owned(), generation })
    }

    fn options(&self) -> Result<rocksdb::Options, rocksdb::Error> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_block_size(8 << 10);
        table.set_bloom_filter(10.0, false);
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_format_version(5);
        // What is to be durable is flushed by us; a database that is merely dropped keeps nothing more
        // than after a crash.
        let mut options =
            rocksdb::Options::default().get_options_from_string("avoid_flush_during_shutdown=true")?;
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_write_buffer_size(self.memtable_bytes);
        options.set_max_write_buffer_number(3);
        // One writer, sorted batches: each insert starts where the last one ended.
        options.set_allow_concurrent_memtable_write(false);
        options.set_compression_type(self.compression);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_max_background_jobs(2);
        options.set_max_open_files(512);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(4 << 20);
        options.set_stats_dump_period_sec(0);
        options.set_avoid_unnecessary_blocking_io(true);
        Ok(options)
    }
}

/// One group's database.
#[derive(Clone)]
pub struct GroupDb {
    db: Arc<DB>,
    dir: PathBuf,
    generation: u64,
}

impl GroupDb {
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, rocksdb::Error> {
        Ok(self.db.get_pinned(key)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Applies a batch to the memtable; durable after the next [`flush`](Self::flush).
    pub fn write(&self, batch: WriteBatch) -> Result<(), rocksdb::Error> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options)
    }

    /// What is written and not on disk, about.
    pub fn memtable_bytes(&self) -> u64 {
        self.db.property_int_value("rocksdb.cur-size-all-mem-tables").ok().flatten().unwrap_or(0)
    }

    /// Makes everything written so far durable. Blocks.
    pub fn flush(&self) -> Result<(), rocksdb::Error> {
        self.db.flush()
    }

    /// An iterator over `from <= key < to`, at the first of them.
    pub fn range(&self, from: &[u8], to: &[u8]) -> StoredPairs<'_> {
        let mut iterator = self.iterator(from, to);
        iterator.seek(from);
        iterator
    }

    /// Likewise, at the last of them.
    pub fn range_back(&self, from: &[u8], to: &[u8]) -> StoredPairs<'_> {
        let mut iterator = self.iterator(from, to);
        iterator.seek_to_last();
        iterator
    }

    fn iterator(&self, from: &[u8], to: &[u8]) -> StoredPairs<'_> {
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_lower_bound(from.to_vec());
        options.set_iterate_upper_bound(to.to_vec());
        self.db.raw_iterator_opt(options)
    }

    /// A frozen copy (hard links) of what was written so far, to be streamed page by page.
    pub fn pages(&self, name: &str) -> io::Result<Pages> {
        Pages::of_checkpoint(&self.db, self.dir.join(format!("snapshot-{name}")))
    }

    /// Closes and removes this generation, once another one is in force. Other handles to it must
    /// be gone.
    pub fn discard(self) -> io::Result<()> {
        let path = self.dir.join(self.generation.to_string());
        drop(self);
        fs::remove_dir_all(path)
    }

    /// Starts the next generation, to be filled with sorted pairs.
    pub fn next_generation(&self, engine: &Engine) -> io::Result<DbBuilder> {
        DbBuilder::new(engine.clone(), self.dir.clone(), self.generation + 1)
    }
}

/// Atomically and durably makes `generation` the one in force.
fn set_current(dir: &Path, generation: u64) -> io::Result<()> {
    replace_file(dir, CURRENT, &generation.to_string())
}

fn replace_file(dir: &Path, name: &str, content: &str) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = fs::File::create(&temporary)?;
    writeln!(file, "{content}")?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    fs::File::open(dir)?.sync_all()
}

fn remove_other_generations(dir: &Path, keep: u64) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name().to_str() != Some(&keep.to_string()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
