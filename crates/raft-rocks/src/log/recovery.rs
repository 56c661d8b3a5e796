//! Rebuilds the state of all groups from the segments at start.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
};

use super::{
    disk::{Disk, DiskFile},
    index::{GroupState, Location},
    record::{Header, Kind},
    scan::{Corruption, Scanner},
    segments::{file_name, parse_file_name},
};
use crate::types::{LogId, Vote};

pub(super) const FORMAT: u64 = 1;

/// What the log itself says of a group: the writer's own knowledge, in the order of the records.
#[derive(Debug, Default)]
pub(super) struct Logged {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    /// For each segment with live entries of the group, oldest first: the last index there.
    pub runs: VecDeque<(u32, u64)>,
}

impl Logged {
    pub fn entry(&mut self, segment: u32, index: u64) {
        match self.runs.back_mut() {
            Some((last, upto)) if *last == segment => *upto = index,
            _ => self.runs.push_back((segment, index)),
        }
    }

    pub fn truncate_after(&mut self, last: Option<LogId>) {
        let Some(last) = last else { return self.runs.clear() };
        while let Some(before) = self.runs.len().checked_sub(2) {
            if self.runs[before].1 < last.index {
                break;
            }
            self.runs.pop_back();
        }
        if let Some((_, upto)) = self.runs.back_mut() {
            *upto = (*upto).min(last.index);
        }
    }

    pub fn purge(&mut self, upto: LogId) {
        self.purged = self.purged.max(Some(upto));
        while self.runs.front().is_some_and(|(_, last)| *last <= upto.index) {
            self.runs.pop_front();
        }
    }

    /// The oldest segment with an entry of the group that is neither purged nor truncated.
    pub fn oldest_segment(&self) -> Option<u32> {
        self.runs.front().map(|(segment, _)| *segment)
    }
}

/// Where the writer goes on.
pub(super) struct WriterStart {
    pub logged: BTreeMap<u64, Logged>,
    /// Size of each segment.
    pub sizes: BTreeMap<u32, u64>,
    /// Number of the next segment.
    pub next: u32,
    /// The open segment and the end of its records.
    pub current: Option<(u32, Arc<dyn DiskFile>, u64)>,
}

pub(super) struct Recovered {
    pub groups: BTreeMap<u64, GroupState>,
    pub files: BTreeMap<u32, Arc<dyn DiskFile>>,
    pub writer: WriterStart,
}

pub(super) fn recover(disk: &dyn Disk) -> io::Result<Recovered> {
    let mut numbers: Vec<u32> = disk.list()?.iter().filter_map(|name| parse_file_name(name)).collect();
    numbers.sort_unstable();
    let mut replay = Replay::default();
    let mut files = BTreeMap::new();
    let mut sizes = BTreeMap::new();
    let mut current = None;
    let mut expected = numbers.first().copied().unwrap_or(1);
    let last = numbers.last().copied();
    for number in numbers {
        if number != expected {
            return Err(corrupt(expected, 0, "segment is missing").into());
        }
        expected += 1;
        let file = disk.open(&file_name(number))?;
        match replay.segment(number, file.clone(), Some(number) == last)? {
            End::Sealed => {}
            End::Open(0) => {
                // Its creation was not finished; its predecessor is sealed.
                disk.remove(&file_name(number))?;
                disk.sync_dir()?;
                expected -= 1;
                continue;
            }
            End::Open(end) => current = Some((number, file.clone(), end)),
        }
        sizes.insert(number, file.size()?);
        files.insert(number, file);
    }
    replay.clamp_committed();
    let Replay { groups, logged } = replay;
    Ok(Recovered { groups, files, writer: WriterStart { logged, sizes, next: expected, current } })
}

fn corrupt(segment: u32, offset: u64, reason: &'static str) -> Corruption {
    Corruption { file: file_name(segment), offset, reason }
}

/// How a segment ends.
enum End {
    Sealed,
    /// Records end at this offset, and the segment has no successor.
    Open(u64),
}

#[derive(Default)]
struct Replay {
    groups: BTreeMap<u64, GroupState>,
    logged: BTreeMap<u64, Logged>,
}

impl Replay {
    fn segment(&mut self, number: u32, file: Arc<dyn DiskFile>, is_last: bool) -> io::Result<End> {
        let mut scanner = Scanner::new(file)?;
        let mut offset = 0;
        while let Some(header) = scanner.record(offset)? {
            if (offset == 0) != (header.kind == Kind::Segment) {
                return Err(corrupt(number, offset, "misplaced segment header").into());
            }
            match header.kind {
                Kind::Segment if header.index != u64::from(number) || header.term != FORMAT => {
                    return Err(corrupt(number, offset, "segment header of another file or format").into());
                }
                Kind::Segment => {}
                Kind::Seal => return Ok(End::Sealed),
                _ => self.record(number, offset, &header)?,
            }
            offset += header.padded_bytes() as u64;
        }
        if !is_last {
            return Err(corrupt(number, offset, "ends without a seal").into());
        }
        if scanner.was_durable_beyond(offset)? {
            return Err(corrupt(number, offset, "a record that had been synced is damaged").into());
        }
        Ok(End::Open(offset))
    }

    fn record(&mut self, segment: u32, offset: u64, header: &Header) -> io::Result<()> {
        if header.kind == Kind::Removed {
            self.groups.remove(&header.group);
            self.logged.remove(&header.group);
            return Ok(());
        }
        let group = self.groups.entry(header.group).or_default();
        let logged = self.logged.entry(header.group).or_default();
        let id = header.log_id();
        match header.kind {
            Kind::Blank | Kind::Normal | Kind::Membership => {
                let location =
                    Location { segment, offset: offset as u32, bytes: header.record_bytes() as u32 };
                group.recover(id, location).map_err(|_| corrupt(segment, offset, "entry out of order"))?;
                logged.entry(segment, id.index);
            }
            Kind::Vote | Kind::LeaderVote => {
                group.vote = Some(header.vote());
                logged.vote = group.vote;
            }
            Kind::Committed => {
                group.committed = Some(id);
                logged.committed = group.committed;
            }
            Kind::Truncate | Kind::TruncateAll => {
                let last = (header.kind == Kind::Truncate).then_some(id);
                group.truncate_after(last);
                logged.truncate_after(last);
            }
            Kind::Purge => {
                group.purge(id);
                logged.purge(id);
            }
            Kind::Segment | Kind::Seal | Kind::Removed => {}
        }
        Ok(())
    }

    /// The commit state may have been written before entries that a torn tail took away.
    fn clamp_committed(&mut self) {
        for (id, group) in &mut self.groups {
            let last = group.last();
            group.committed = group.committed.min(last);
            if let Some(logged) = self.logged.get_mut(id) {
                logged.committed = group.committed;
            }
        }
    }
}
