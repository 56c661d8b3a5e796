//! One group's view of the log: `openraft`'s log storage and log reader.

use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use futures::{Stream, TryStreamExt, stream};
use openraft::{LogState, RaftLogReader, storage::RaftLogStorage};
use tokio::time::Instant;

use super::{
    index::Found,
    queue::{GroupShared, Op},
    segments,
    store::Handle,
};
use crate::types::{Entry, EntryPayload, IOFlushed, LogId, TypeConfig, Vote};

/// The log of one group; also its reader. Cheap to clone, clones are the same log.
#[derive(Clone)]
pub struct GroupLog {
    group: Arc<GroupShared>,
    store: Arc<Handle>,
    /// The replica whose proposals may be synced later.
    proposer: Option<u64>,
}

/// Whether the replica that owns this log ran before: then it may have granted a lease that it
/// does not remember.
pub async fn has_history(log: &mut GroupLog) -> io::Result<bool> {
    let state = log.group.state.lock();
    Ok(state.vote.is_some() || state.last().is_some())
}

impl GroupLog {
    pub(super) fn new(group: Arc<GroupShared>, store: Arc<Handle>) -> Self {
        Self { group, store, proposer: None }
    }

    /// The log of this replica, which shares its group with others: what it proposes may be synced later
    /// than they do.
    pub fn of_replica(self, replica: u64) -> Self {
        Self { proposer: Some(replica), ..self }
    }

    fn proposed(&self, entry: &Entry) -> bool {
        self.proposer == Some(entry.log_id.leader_id.node_id)
            && matches!(entry.payload, EntryPayload::Normal(_))
    }

    fn read(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let found = self.group.state.lock().read(start, end, bytes_max);
        let segments = &self.store.shared.segments;
        let load = |found| match found {
            Found::Cached(entry) => Ok(entry),
            Found::Written(id, location) => {
                segments::read_entry(&*segments.file(location.segment)?, id, location)
            }
        };
        found.into_iter().map(load).collect()
    }

    fn check(&self) -> io::Result<()> {
        match self.store.shared.is_failed() {
            true => Err(io::Error::other("the log store failed earlier")),
            false => Ok(()),
        }
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<TypeConfig> for GroupLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (start, end) = bounds(&range);
        self.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, self.store.shared.options.read_bytes_max)
    }

    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (start, end) = bounds(&range);
        let log = self.clone();
        // Read piece by piece: what is to be applied after a restart need not fit in memory.
        let pieces = stream::try_unfold(start, move |start| {
            let log = log.clone();
            async move {
                let entries = log.read(start, end, log.store.shared.options.read_bytes_max)?;
                let next = entries.last().map(|entry| entry.log_id.index + 1);
                Ok::<_, io::Error>(next.map(|next| (stream::iter(entries.into_iter().map(Ok)), next)))
            }
        });
        Box::pin(pieces.try_flatten())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.group.state.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for GroupLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let state = self.group.state.lock();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: state.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.check()?;
        self.group.state.lock().vote = Some(*vote);
        let (group, vote) = (self.group.id, *vote);
        self.store.run(|done| Op::Vote { group, vote, done }).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let newly_dirty = {
            let mut state = self.group.state.lock();
            if state.committed != committed {
                state.committed = committed;
                state.committed_at = Some(Instant::now());
            }
            !std::mem::replace(&mut state.committed_dirty, true)
        };
        if newly_dirty {
            self.store.shared.queue.push_committed(self.group.clone());
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.group.state.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, done: IOFlushed) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        self.check()?;
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut state = self.group.state.lock();
            for entry in &entries {
                state.append(entry)?;
            }
        }
        let proposed = entries.iter().all(|entry| self.proposed(entry));
        self.store.push(Op::Append { group: self.group.clone(), entries, proposed, done });
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.check()?;
        self.group.state.lock().truncate_after(last);
        let group = self.group.id;
        self.store.run(|done| Op::Truncate { group, last, done }).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.check()?;
        self.group.state.lock().purge(upto);
        self.store.push(Op::Purge { group: self.group.id, upto });
        Ok(())
    }
}
