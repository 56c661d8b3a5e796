//! Commands on a whole namespace. Each group executes them on the shards that it has; one that does not
//! have them all any more refuses, and those are asked for again by a newer topology. So every shard is
//! dealt with exactly once, and shards of different groups at different moments.

use std::{pin::Pin, rc::Rc, time::Duration};

use bytes::Bytes;
use commands::{
    CommandError, Spec,
    error::NamespaceError,
    namespace::{Join, TASK, encode_shards, joined},
};
use resp::Reply;
use tokio::time::{Instant, sleep};
use topology::{GroupId, Namespaces, Slot, namespace::shards, slot_of};

use crate::{
    ask::{Asker, Question, ask_this, malformed},
    backend_api::{RouteError, Submit, Target},
    connection::Call,
    execute::Front,
};

/// How long a group may take to learn of a change that the proxy knows of, or the proxy of one that the
/// group knows of.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

type Answer = Pin<Box<dyn Future<Output = Result<Bytes, RouteError>>>>;

pub fn run(front: &mut Front, rules: &Namespaces, args: &[&[u8]], call: Call, join: Join) {
    if call.spec.is_write() {
        // Shards are everywhere.
        front.session.written.note(Target::Group(GroupId(0)));
    }
    let questions: Vec<_> = match call.spec.key_positions(args).count() {
        // Each key of several is a command of its own.
        2.. => args.iter().map(|key| Asking::new(front, rules, &[key], call.spec, join)).collect(),
        _ => vec![Asking::new(front, rules, args, call.spec, join)],
    };
    let token = front.open(call);
    front.hold_changes(token);
    front.conn.run_later(token, front.session.protocol, async move {
        let mut replies = Vec::with_capacity(questions.len());
        for question in questions {
            match question.finish().await {
                Ok(reply) => replies.push(reply),
                Err(error) => return Reply::error(error.to_string()),
            }
        }
        // Of several keys, numbers are counted; of one, this is its answer.
        if replies.len() == 1 { replies.remove(0) } else { joined(Join::Sum, replies) }
    });
}

/// A command on one key, sent.
struct Asking {
    backend: Rc<dyn Submit>,
    asker: Asker,
    spec: &'static Spec,
    args: Vec<Bytes>,
    join: Join,
    asked: Vec<(Vec<Slot>, Answer)>,
}

impl Asking {
    /// Sends it, in order behind what the client sent before.
    fn new(front: &Front, rules: &Namespaces, args: &[&[u8]], spec: &'static Spec, join: Join) -> Self {
        let backend = front.conn.worker.backend.clone();
        let args = args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect();
        let mut asking = Self { backend, asker: front.asker(), spec, args, join, asked: Vec::new() };
        let name = spec.key_positions(&asking.arg_slices()).next().map(|at| asking.args[at].clone());
        let name = name.unwrap_or_default();
        match rules.phase_of(&name) {
            Some(_) => asking.send(shards().collect()),
            None => {
                let (target, args) = (Target::Slot(slot_of(&name)), asking.args.clone());
                let question = Question { asker: asking.asker, target, spec, args, writes: spec.is_write() };
                let answer = ask_this(&*asking.backend, &question, 0);
                asking.asked.push((Vec::new(), Box::pin(answer)));
            }
        }
        asking
    }

    fn arg_slices(&self) -> Vec<&[u8]> {
        self.args.iter().map(|arg| &arg[..]).collect()
    }

    /// To each group, or to nobody, the shards that it has.
    fn send(&mut self, shards: Vec<Slot>) {
        let mut parts: Vec<(Option<GroupId>, Vec<Slot>)> = Vec::new();
        for slot in shards {
            let group = self.backend.group_of(slot);
            match parts.iter_mut().find(|(known, _)| *known == group) {
                Some((_, slots)) => slots.push(slot),
                None => parts.push((group, vec![slot])),
            }
        }
        let spec = TASK.spec();
        for (_, slots) in parts {
            let mut args = vec![Bytes::from(encode_shards(&slots)), super::id_of(self.spec)];
            args.extend_from_slice(&self.args);
            let target = Target::Slot(slots[0]);
            let writes = self.spec.is_write();
            let question = Question { asker: self.asker, target, spec, args, writes };
            self.asked.push((slots, Box::pin(ask_this(&*self.backend, &question, self.asker.flags))));
        }
    }

    async fn finish(mut self) -> Result<Reply, RouteError> {
        let deadline = Instant::now() + PATIENCE;
        let mut replies = Vec::new();
        loop {
            let mut left = Vec::new();
            for (slots, answer) in std::mem::take(&mut self.asked) {
                let bytes = answer.await?;
                if !slots.is_empty() && bytes.starts_with(b"-TRYAGAIN") {
                    left.extend(slots);
                    continue;
                }
                let reply = resp::parse(&bytes, self.asker.protocol).ok().flatten();
                replies.push(reply.map_or_else(malformed, |(reply, _)| reply));
            }
            if left.is_empty() {
                return Ok(joined(self.join, replies));
            }
            if Instant::now() >= deadline {
                return Ok(CommandError::from(NamespaceError::Changing).into());
            }
            sleep(PAUSE).await;
            left.sort_unstable();
            self.send(left);
        }
    }
}
