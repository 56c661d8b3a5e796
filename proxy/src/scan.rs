//! SCAN over all slots in view, one run of slots of one group at a time.
//!
//! A cursor is `slot << 48 | position inside the slot`. The command that a storage node executes
//! has the end of its run as an additional argument; when the run is done, the cursor for the
//! client points to the start of the next one.

use std::rc::Rc;

use bytes::Bytes;
use commands::{CommandError, Id, Merge, wire};
use resp::{
    Reply,
    encode::{put_bulk, put_head},
};
use topology::{GroupId, SLOT_COUNT, Slot};

use crate::{
    ask::{Asker, once, received},
    backend_api::{Outgoing, ReplyTarget, RouteError, Sink, Submit, Target},
    execute::ArgVec,
    gather::{of_nothing, split_array},
};

const SLOT_SHIFT: u32 = 48;

/// A run of slots of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub first: Slot,
    /// One past the last.
    pub end: u16,
}

/// Where a scan goes on: the cursor to send, and the run it lies in; `None`: nothing is left.
pub fn place(cursor: u64, backend: &dyn Submit, view: &[GroupId]) -> Option<(u64, Run)> {
    let slot = u16::try_from(cursor >> SLOT_SHIFT).ok()?;
    let run = run_from(slot, backend, view)?;
    let first = run.first.number();
    let cursor = if first == slot { cursor } else { u64::from(first) << SLOT_SHIFT };
    Some((cursor, run))
}

fn run_from(slot: u16, backend: &dyn Submit, view: &[GroupId]) -> Option<Run> {
    let group = |n: u16| backend.group_of(Slot::new(n)?).filter(|g| view.contains(g));
    let first = (slot..SLOT_COUNT).find(|&n| group(n).is_some())?;
    let owner = group(first);
    let end = (first..SLOT_COUNT).find(|&n| group(n) != owner).unwrap_or(SLOT_COUNT);
    Some(Run { first: Slot::new(first)?, end })
}

/// The cursor that a client named.
pub fn parse_cursor(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The arguments for the storage node, from those of the client.
pub fn placed<'a>(cursor: &'a str, end: &'a str, args: &[&'a [u8]]) -> ArgVec<'a> {
    let mut placed = ArgVec::from_slice(&[cursor.as_bytes(), end.as_bytes()]);
    placed.extend_from_slice(&args[1..]);
    placed
}

/// SCAN of a transaction, beside those of its commands that a group executes as one.
pub async fn scan(backend: Rc<dyn Submit>, asker: Asker, view: &[GroupId], args: &[&[u8]]) -> Reply {
    let Some(cursor) = parse_cursor(args[0]) else { return CommandError::InvalidCursor.into() };
    let Some((cursor, run)) = place(cursor, &*backend, view) else {
        return of_nothing(Merge::Scan, asker.protocol);
    };
    let (cursor, end) = (cursor.to_string(), run.end.to_string());
    let (to, reply) = once();
    let to = Continue::new(to, run, &*backend, view);
    let command = Outgoing {
        target: Target::Slot(run.first),
        id: Id::Scan as u16,
        flags: wire::flags(asker.protocol),
        db: asker.db,
        args: &placed(&cursor, &end, args),
        write: false,
        writer: 0,
    };
    backend.submit(command, Sink { to, token: 0, origin: asker.origin });
    received(reply).await.map_or_else(|error| Reply::error(error.to_string()), Reply::Raw)
}

/// Puts the cursor for the client into the reply of one run.
pub struct Continue {
    pub to: Rc<dyn ReplyTarget>,
    /// Start of the next run; `None`: this one is the last.
    pub next: Option<u16>,
}

impl Continue {
    pub fn new(to: Rc<dyn ReplyTarget>, run: Run, backend: &dyn Submit, view: &[GroupId]) -> Rc<Self> {
        Rc::new(Self { to, next: run_from(run.end, backend, view).map(|run| run.first.number()) })
    }

    fn rewrite(&self, reply: Bytes) -> Bytes {
        let Some(next) = self.next else { return reply };
        const DONE: &[u8] = b"$1\r\n0\r\n";
        let rest = split_array(&reply).and_then(|(_, items)| items.strip_prefix(DONE));
        let Some(rest) = rest else { return reply };
        let mut out = Vec::with_capacity(reply.len() + 24);
        put_head(&mut out, b'*', 2);
        put_bulk(&mut out, (u64::from(next) << SLOT_SHIFT).to_string().as_bytes());
        out.extend_from_slice(rest);
        out.into()
    }
}

impl ReplyTarget for Continue {
    fn reply(&self, token: u64, result: Result<Bytes, RouteError>) -> bool {
        self.to.reply(token, result.map(|reply| self.rewrite(reply)))
    }

    fn flush(self: Rc<Self>) {
        self.to.clone().flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups 1 and 2 take turns every 1000 slots; nobody serves those from 16000 on.
    struct Turns;

    impl Submit for Turns {
        fn submit(&self, _: Outgoing<'_>, _: Sink) {}

        fn group_of(&self, slot: Slot) -> Option<GroupId> {
            let n = slot.number();
            (n < 16000).then_some(GroupId(u64::from(n / 1000 % 2) + 1))
        }

        fn groups(&self) -> Vec<GroupId> {
            vec![GroupId(1), GroupId(2)]
        }

        fn fronted_groups(&self) -> Vec<GroupId> {
            vec![GroupId(2)]
        }
    }

    #[test]
    fn runs_follow_the_slots_in_view() {
        let all = [GroupId(1), GroupId(2)];
        let run = |first, end| Run { first: Slot::new(first).unwrap(), end };
        assert_eq!(place(0, &Turns, &all), Some((0, run(0, 1000))));
        let cursor = 1500u64 << 48 | 77;
        assert_eq!(place(cursor, &Turns, &all), Some((cursor, run(1500, 2000))));
        assert_eq!(place(16000 << 48, &Turns, &all), None);
        assert_eq!(place(u64::MAX, &Turns, &all), None);
        let one = [GroupId(2)];
        assert_eq!(place(5, &Turns, &one), Some((1000 << 48, run(1000, 2000))));
    }

    #[test]
    fn a_finished_run_points_to_the_next() {
        struct Nobody;
        impl ReplyTarget for Nobody {
            fn reply(&self, _: u64, _: Result<Bytes, RouteError>) -> bool {
                false
            }
            fn flush(self: Rc<Self>) {}
        }
        let with = |next| Continue { to: Rc::new(Nobody), next };
        let reply = |cursor: &str| Bytes::from(format!("*2\r\n${}\r\n{cursor}\r\n*0\r\n", cursor.len()));
        let next = (1000u64 << 48).to_string();
        assert_eq!(with(Some(1000)).rewrite(reply("0")), reply(&next));
        assert_eq!(with(Some(1000)).rewrite(reply("12345")), reply("12345"));
        assert_eq!(with(None).rewrite(reply("0")), reply("0"));
        let error = Bytes::from_static(b"-ERR x\r\n");
        assert_eq!(with(Some(1)).rewrite(error.clone()), error);
    }
}
