//! From a decoded request to whoever executes it: checks that every command goes through, then the
//! group of its keys, several groups, or the proxy itself.

use std::{rc::Rc, sync::atomic::Ordering::Relaxed};

use commands::{CommandError, Kind, Merge, Spec, flags::flag, wire};
use resp::Reply;
use smallvec::SmallVec;
use topology::{GroupId, Slot, slot_of};

use crate::{
    ask::Asker,
    backend::{Announced, Relation},
    backend_api::{Outgoing, ReplyTarget, RouteError, Sink, Target},
    blocking,
    clients::Side,
    connection::{Call, Connection, Session},
    gather::{self, Gather, Positions},
    local, monitor,
    options::Moved,
    scan,
};

/// Arguments of a command that are named without allocating.
pub const ARGS_INLINE: usize = 32;

type ArgVec<'a> = SmallVec<[&'a [u8]; ARGS_INLINE]>;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has its place in the queue of replies (or needs none).
    Done,
    /// CLIENT PAUSE holds it back: try it again then. Milliseconds since the process started.
    Paused { until_ms: u64 },
}

/// A connection as commands see it.
pub struct Front {
    pub conn: Rc<Connection>,
    pub session: Session,
    /// The last command.
    last: Option<&'static Spec>,
}

impl Front {
    pub fn new(conn: Rc<Connection>, session: Session) -> Self {
        Self { conn, session, last: None }
    }

    pub fn execute(&mut self, argv: &[&[u8]], started_us: u64) -> Verdict {
        if is_http(argv[0]) {
            tracing::warn!(client = %self.conn.info.peer, "an HTTP request on a RESP port: closed");
            self.session.closing = true;
            return Verdict::Done;
        }
        match self.admit(argv) {
            Ok(spec) => {
                if let Some(until_ms) = self.held_until(spec) {
                    return Verdict::Paused { until_ms };
                }
                self.last = Some(spec);
                if self.session.transaction.is_none() || !local::queue(self, spec, &argv[1..]) {
                    self.dispatch(argv, Call { spec, started_us });
                }
            }
            Err(reply) => {
                if let Some(transaction) = &mut self.session.transaction {
                    transaction.refuse();
                }
                self.reply(&reply);
            }
        }
        self.session.command_ended();
        Verdict::Done
    }

    /// The row that executes the request, if this client may use it.
    fn admit(&self, argv: &[&[u8]]) -> Result<&'static Spec, Reply> {
        let spec = commands::resolve(argv)?;
        if !self.session.authenticated && !spec.flags.has(flag::NO_AUTH) {
            return Err(Reply::error("NOAUTH Authentication required."));
        }
        if self.session.side == Side::Cluster && spec.needs_databases() {
            return Err(CommandError::NotInCluster(spec.full_name).into());
        }
        if local::only_listens(self) {
            local::check_mode(spec)?;
        }
        Ok(spec)
    }

    fn held_until(&self, spec: &Spec) -> Option<u64> {
        let shared = &self.conn.worker.shared;
        // Whoever paused must be able to end it.
        if matches!(spec.kind, Kind::Local(_)) && spec.full_name.starts_with("client|") {
            return None;
        }
        shared.pause.holds(spec.is_write(), || shared.now_ms())
    }

    fn dispatch(&mut self, argv: &[&[u8]], call: Call) {
        let shared = &self.conn.worker.shared;
        if shared.monitors.any() && !call.spec.flags.has(flag::SKIP_MONITOR | flag::ADMIN) {
            let time_ms = shared.env.clock.now_ms();
            shared.monitors.publish(&monitor::line(time_ms, self.session.db, &self.conn.info, argv));
        }
        let args = &argv[1..];
        match call.spec.kind {
            Kind::Read(_) | Kind::Write(_) | Kind::Group { .. } => self.keyed(args, call),
            Kind::Broadcast { merge: Merge::Scan, .. } => self.scan(args, call),
            Kind::Broadcast { merge, .. } => self.broadcast(args, call, merge),
            Kind::Local(command) => local::run(self, command, args, call),
            Kind::Container => self.reply(&CommandError::unknown_command(argv[0], args).into()),
        }
    }

    /// A reply that is there already.
    pub fn reply(&mut self, reply: &Reply) {
        if !self.session.is_silent() {
            self.conn.push(reply, self.session.protocol);
        }
    }

    /// Answers and closes.
    pub fn refuse(&mut self, reply: &Reply) {
        self.reply(reply);
        self.session.closing = true;
    }

    /// Takes a place in the queue for a reply to come.
    pub fn open(&self, call: Call) -> u64 {
        self.conn.open(call, self.session.is_silent())
    }

    /// The groups that broadcast commands mean.
    pub fn view(&self) -> Vec<GroupId> {
        let backend = &self.conn.worker.backend;
        match self.session.side {
            Side::Cluster => backend.fronted_groups(),
            Side::Plain => backend.groups(),
        }
    }

    /// For commands of the proxy itself on behalf of this client.
    pub fn asker(&self) -> Asker {
        Asker { origin: self.conn.info.id, protocol: self.session.protocol, db: self.session.db }
    }

    /// Shows the last command to CLIENT LIST.
    pub fn publish_last(&self) {
        if let Some(spec) = self.last {
            *self.conn.info.last_command.lock() = spec.full_name;
        }
    }

    fn keyed(&mut self, args: &[&[u8]], call: Call) {
        if let Some(refusal) = self.elsewhere(args, call.spec) {
            return self.reply(&refusal);
        }
        match call.spec.slot(args) {
            Ok(Some(slot)) if call.spec.timeout.is_some() && blocking::run(self, slot, args, call) => {}
            // A command without keys may run anywhere.
            Ok(slot) => self.submit(Target::Slot(slot.unwrap_or_else(|| slot_of(b""))), args, call),
            Err(CommandError::CrossSlot) => match call.spec.split {
                Some(merge) => self.split(args, call, merge),
                None => self.reply(&CommandError::CrossSlot.into()),
            },
            Err(error) => self.reply(&error.into()),
        }
    }

    /// Why this node of the announced cluster does not serve the keys: others that it has not met
    /// have the slot, or redirections are wanted and another one is announced for it.
    pub fn elsewhere(&self, args: &[&[u8]], spec: &Spec) -> Option<Reply> {
        if self.session.side == Side::Plain {
            return None;
        }
        let always_moved = self.conn.worker.shared.moved == Moved::Always;
        let mut refusal = None;
        self.conn.worker.backend.with_announced(&mut |announced| {
            if always_moved || !announced.is_whole() {
                let mut slots = spec.key_positions(args).map(|at| slot_of(args[at]));
                refusal = slots.find_map(|slot| self.elsewhere_by_slot(announced, slot, spec));
            }
        });
        match refusal {
            // Which node to go to is not one answer.
            Some(_) if always_moved && spec.slot(args).is_err() => Some(CommandError::CrossSlot.into()),
            refusal => refusal,
        }
    }

    fn elsewhere_by_slot(&self, announced: &Announced, slot: Slot, spec: &Spec) -> Option<Reply> {
        if !announced.knows(slot) {
            return Some(Reply::error("CLUSTERDOWN Hash slot not served"));
        }
        if self.conn.worker.shared.moved == Moved::Never {
            return None;
        }
        let readonly = self.conn.info.readonly.load(Relaxed) && !spec.flags.has(flag::WRITE);
        match announced.master(slot)? {
            (Relation::Myself, _) => None,
            (Relation::MyMaster, _) if readonly => None,
            (_, address) => Some(Reply::error(format!("MOVED {} {address}", slot.number()))),
        }
    }

    fn submit(&mut self, target: Target, args: &[&[u8]], call: Call) {
        let token = self.open(call);
        if let Some(sink) = self.conn.sink(token) {
            self.send(target, args, call.spec, sink);
        }
    }

    fn send(&self, target: Target, args: &[&[u8]], spec: &Spec, sink: Sink) {
        let flags = wire::flags(self.session.protocol);
        let write = spec.is_write();
        let command = Outgoing { target, id: spec.id as u16, flags, db: self.session.db, args, write };
        self.conn.worker.backend.submit(command, sink);
    }

    /// One part for each group that serves some of the keys.
    fn split(&mut self, args: &[&[u8]], call: Call, merge: Merge) {
        let parts = self.parts(args, call.spec);
        let token = self.open(call);
        if let [part] = parts.as_slice() {
            if let Some(sink) = self.conn.sink(token) {
                self.send(Target::Slot(part.slot), args, call.spec, sink);
            }
            return;
        }
        let positions = parts.iter().map(|p| p.positions.clone());
        let gather = self.gather(token, merge, positions);
        for (at, part) in parts.iter().enumerate() {
            let sink = Sink { to: gather.clone(), token: at as u64, origin: self.conn.info.id };
            self.send(Target::Slot(part.slot), &part.args, call.spec, sink);
        }
    }

    fn parts<'a>(&self, args: &[&'a [u8]], spec: &Spec) -> SmallVec<[Part<'a>; 4]> {
        let backend = &self.conn.worker.backend;
        let (step, shared) = spec.split_shape();
        let (own, shared) = args.split_at(args.len() - shared);
        let mut parts: SmallVec<[Part<'a>; 4]> = SmallVec::new();
        for (number, at) in spec.key_positions(args).enumerate() {
            let slot = slot_of(args[at]);
            let group = backend.group_of(slot);
            let known = parts.iter().position(|p| p.group == group);
            let part = match known {
                Some(known) => &mut parts[known],
                None => {
                    parts.push(Part { group, slot, args: ArgVec::new(), positions: Positions::new() });
                    let last = parts.len() - 1;
                    &mut parts[last]
                }
            };
            part.args.extend_from_slice(&own[at..own.len().min(at + step)]);
            part.positions.push(number as u32);
        }
        for part in &mut parts {
            part.args.extend_from_slice(shared);
        }
        parts
    }

    fn gather(&self, token: u64, merge: Merge, parts: impl IntoIterator<Item = Positions>) -> Rc<Gather> {
        let to: Rc<dyn ReplyTarget> = self.conn.clone();
        let seed = if merge == Merge::RandomKey { self.conn.worker.shared.env.entropy.next_u64() } else { 0 };
        Gather::new(to, token, merge, self.session.protocol, parts, seed)
    }

    /// Every group in view.
    fn broadcast(&mut self, args: &[&[u8]], call: Call, merge: Merge) {
        let groups = self.view();
        if groups.is_empty() {
            let reply = self.without_groups(call.spec, merge);
            return self.reply(&reply);
        }
        let token = self.open(call);
        let gather = self.gather(token, merge, groups.iter().map(|_| Positions::new()));
        for (at, group) in groups.into_iter().enumerate() {
            let sink = Sink { to: gather.clone(), token: at as u64, origin: self.conn.info.id };
            self.send(Target::Group(group), args, call.spec, sink);
        }
    }

    /// There is nobody to ask: this proxy is announced without slots, or there is no topology yet.
    fn without_groups(&self, spec: &Spec, merge: Merge) -> Reply {
        match self.session.side {
            Side::Plain => Reply::error(RouteError::ClusterDown("The cluster is down").to_string()),
            Side::Cluster if spec.is_write() && !self.conn.worker.backend.groups().is_empty() => {
                Reply::error("READONLY You can't write against a read only replica.")
            }
            Side::Cluster => gather::of_nothing(merge, self.session.protocol),
        }
    }

    fn scan(&mut self, args: &[&[u8]], call: Call) {
        let Some(cursor) = args.first().and_then(|text| parse_cursor(text)) else {
            return self.reply(&CommandError::InvalidCursor.into());
        };
        let view = self.view();
        let backend = self.conn.worker.backend.clone();
        let place = scan::place(cursor, &*backend, &view);
        let Some((cursor, run)) = place else {
            let reply = match view.is_empty() {
                true => self.without_groups(call.spec, Merge::Scan),
                false => gather::of_nothing(Merge::Scan, self.session.protocol),
            };
            return self.reply(&reply);
        };
        let (cursor, end) = (cursor.to_string(), run.end.to_string());
        let mut placed: ArgVec<'_> = SmallVec::from_slice(&[cursor.as_bytes(), end.as_bytes()]);
        placed.extend_from_slice(&args[1..]);
        let token = self.open(call);
        let to = scan::Continue::new(self.conn.clone(), run, &*backend, &view);
        self.send(Target::Slot(run.first), &placed, call.spec, Sink { to, token, origin: self.conn.info.id });
    }
}

/// The keys of a split command that one group serves.
struct Part<'a> {
    /// `None`: nobody serves them.
    group: Option<GroupId>,
    /// Of its first key.
    slot: Slot,
    args: ArgVec<'a>,
    /// Which keys of the command they are.
    positions: Positions,
}

/// Redis closes connections that start like HTTP: somebody's browser is being used against us.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

fn parse_cursor(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
