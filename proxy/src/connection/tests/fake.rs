//! Two groups that keep strings in memory; replies can be held back and released in any order.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use bytes::Bytes;
use commands::{Id, by_id, wire::FLAG_RESP3};
use resp::{Protocol, Reply, encode};
use topology::{GroupId, SLOT_COUNT, Slot, slot_of};

use crate::backend_api::{Outgoing, ReplyTarget, RouteError, Sink, Submit, Target};

const LEFT: GroupId = GroupId(1);
const RIGHT: GroupId = GroupId(2);

type Answer = (Sink, Result<Bytes, RouteError>);

/// Database and key to value.
type Data = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

#[derive(Default)]
pub struct Fake {
    data: RefCell<Data>,
    /// Hold replies back until `release`.
    pub holding: Cell<bool>,
    held: RefCell<Vec<Answer>>,
    /// Commands that came, parts counted singly.
    pub received: Cell<usize>,
    /// Every command fails like this.
    pub failure: RefCell<Option<RouteError>>,
}

/// Keys that a group has of a database.
fn count(data: &Data, group: Target, db: u8) -> i64 {
    let mine = |key: &[u8]| Target::Group(group_of(slot_of(key))) == group;
    data.keys().filter(|(at, key)| *at == db && mine(key)).count() as i64
}

impl Fake {
    pub fn held(&self) -> usize {
        self.held.borrow().len()
    }

    /// Says that what is held is late, all of it this encoded command.
    pub fn tell_late(&self, command: &[u8]) {
        self.held.borrow().iter().for_each(|(sink, _)| sink.to.late(sink.token, command));
    }

    /// Delivers what is held, the last first if `reversed`, then flushes each target once.
    pub fn release(&self, reversed: bool) {
        let mut held = std::mem::take(&mut *self.held.borrow_mut());
        if reversed {
            held.reverse();
        }
        deliver(held);
    }

    /// Delivers one of those that are held.
    pub fn release_one(&self, at: usize) {
        let answer = self.held.borrow_mut().remove(at);
        deliver(vec![answer]);
    }

    fn execute(&self, command: &Outgoing<'_>) -> Reply {
        let spec = by_id(command.id).unwrap();
        let db = command.db;
        let mut data = self.data.borrow_mut();
        let place = |key: &[u8]| (db, key.to_vec());
        let args = command.args;
        match spec.id {
            Id::Get => data.get(&place(args[0])).map_or(Reply::Null, Reply::bulk),
            Id::Set => {
                data.insert(place(args[0]), args[1].to_vec());
                Reply::OK
            }
            Id::Mset => {
                for pair in args.chunks(2) {
                    data.insert(place(pair[0]), pair[1].to_vec());
                }
                Reply::OK
            }
            Id::Mget => Reply::Array(
                args.iter().map(|key| data.get(&place(key)).map_or(Reply::Null, Reply::bulk)).collect(),
            ),
            Id::Del => {
                Reply::Int(args.iter().filter(|key| data.remove(&place(key)).is_some()).count() as i64)
            }
            Id::Dbsize => Reply::Int(count(&data, command.target, db)),
            Id::Figures => {
                let counts = (0..commands::DATABASES).flat_map(|db| [count(&data, command.target, db), 0]);
                Reply::Array([1, 2, 3, 4].into_iter().chain(counts).map(Reply::Int).collect())
            }
            Id::Scan => {
                let Target::Slot(first) = command.target else { panic!("SCAN goes to a slot") };
                let end: u16 = std::str::from_utf8(args[1]).unwrap().parse().unwrap();
                let run = first.number()..end;
                let keys = data.keys().filter(|(at, key)| *at == db && run.contains(&slot_of(key).number()));
                let keys = keys.map(|(_, key)| Reply::bulk(key)).collect();
                Reply::Array(vec![Reply::bulk("0"), Reply::Array(keys)])
            }
            other => panic!("the fake does not know {other:?}"),
        }
    }
}

fn group_of(slot: Slot) -> GroupId {
    if slot.number() < SLOT_COUNT / 2 { LEFT } else { RIGHT }
}

fn deliver(answers: Vec<Answer>) {
    let mut to_flush: Vec<Rc<dyn ReplyTarget>> = Vec::new();
    for (sink, result) in answers {
        if sink.to.reply(sink.token, result) {
            to_flush.push(sink.to);
        }
    }
    to_flush.into_iter().for_each(|target| target.flush());
}

impl Submit for Fake {
    fn submit(&self, command: Outgoing<'_>, sink: Sink) {
        self.received.set(self.received.get() + 1);
        let failure = self.failure.borrow().clone();
        let result = failure.map_or_else(
            || {
                let protocol =
                    if command.flags & FLAG_RESP3 != 0 { Protocol::Resp3 } else { Protocol::Resp2 };
                let mut bytes = Vec::new();
                encode(&self.execute(&command), protocol, &mut bytes);
                Ok(bytes.into())
            },
            Err,
        );
        if self.holding.get() {
            self.held.borrow_mut().push((sink, result));
        } else {
            // As the backend does: later, never from within `submit`.
            tokio::task::spawn_local(async move { deliver(vec![(sink, result)]) });
        }
    }

    fn group_of(&self, slot: Slot) -> Option<GroupId> {
        Some(group_of(slot))
    }

    fn groups(&self) -> Vec<GroupId> {
        vec![LEFT, RIGHT]
    }

    fn fronted_groups(&self) -> Vec<GroupId> {
        vec![LEFT]
    }
}
