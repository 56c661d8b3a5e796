//! Outcomes of messages on their way back to the worker whose client published them. Many arrive
//! together, and each connection is written to once.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, task::spawn_local};

use super::lanes::Outcome;
use crate::{backend::deliver, backend_api::Sink};

/// Filled by whoever hears of an outcome, emptied by the worker. It holds no more than the worker's
/// clients have under way.
#[derive(Default)]
pub struct Mailbox {
    outcomes: Mutex<Vec<(u64, Outcome)>>,
    arrived: Notify,
}

impl Mailbox {
    pub fn put(&self, number: u64, outcome: Outcome) {
        let mut outcomes = self.outcomes.lock();
        outcomes.push((number, outcome));
        let is_first = outcomes.len() == 1;
        drop(outcomes);
        if is_first {
            self.arrived.notify_one();
        }
    }
}

/// The messages of one worker's clients that have no outcome yet.
#[derive(Default)]
pub struct Publications {
    mailbox: Arc<Mailbox>,
    sinks: RefCell<BTreeMap<u64, Sink>>,
    last: Cell<u64>,
}

impl Publications {
    /// Where the outcome of one more message is to be put, and under which number: it becomes the
    /// reply for `sink`.
    pub fn expect(self: &Rc<Self>, sink: Sink) -> (Arc<Mailbox>, u64) {
        if self.last.get() == 0 {
            spawn_local(self.clone().distribute());
        }
        let number = self.last.get() + 1;
        self.last.set(number);
        self.sinks.borrow_mut().insert(number, sink);
        (self.mailbox.clone(), number)
    }

    async fn distribute(self: Rc<Self>) {
        loop {
            self.mailbox.arrived.notified().await;
            let outcomes = std::mem::take(&mut *self.mailbox.outcomes.lock());
            let mut answers = Vec::with_capacity(outcomes.len());
            for (number, outcome) in outcomes {
                let Some(sink) = self.sinks.borrow_mut().remove(&number) else { continue };
                let reply = outcome.map(|receivers| format!(":{receivers}\r\n").into());
                answers.push((sink, reply));
            }
            deliver(answers.into_iter(), true);
        }
    }
}
