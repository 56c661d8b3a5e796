//! From a decoded request to whoever executes it: checks that every command goes through, then the
//! group of its keys, several groups, or the proxy itself.

use std::{cell::Cell, rc::Rc, sync::atomic::Ordering::Relaxed};

use commands::{
    CommandError, GroupCommand, Id, Kind, Merge, ScriptCommand, Spec, args::cursor, flags::flag, wire,
};
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
    local, monitor, namespaces,
    options::Moved,
    pause::replicates,
    promises::Called,
    scan,
    settings::Number,
    slowlog::{self, Words},
    stats::error_of,
    worker::Worker,
};

/// Arguments of a command that are named without allocating.
pub const ARGS_INLINE: usize = 32;

/// See [`ARGS_INLINE`].
pub type ArgVec<'a> = SmallVec<[&'a [u8]; ARGS_INLINE]>;

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
    /// The command that is being executed and has neither a reply nor a place in the queue of replies.
    under_way: Cell<Option<Call>>,
    /// It has a place in the queue of replies.
    opened: Cell<Option<u64>>,
    /// It has its reply, and took so long that it is remembered.
    slow_us: Cell<Option<u64>>,
}

impl Front {
    pub fn new(conn: Rc<Connection>, session: Session) -> Self {
        Self {
            conn,
            session,
            last: None,
            under_way: Cell::default(),
            opened: Cell::default(),
            slow_us: Cell::default(),
        }
    }

    pub fn execute(&mut self, argv: &[&[u8]], started_us: u64) -> Verdict {
        let promise = self.conn.take_promise();
        if is_http(argv[0]) {
            tracing::warn!(client = %self.conn.info.peer, "an HTTP request on a RESP port: closed");
            self.session.closing = true;
            return Verdict::Done;
        }
        let mut admitted = None;
        match self.admit(argv) {
            Ok(spec) => {
                admitted = Some(spec);
                if let Some(refusal) = self.busy(spec, &argv[1..]) {
                    self.refuse_command(Some(spec), &refusal.into());
                    self.session.command_ended(None);
                    return Verdict::Done;
                }
                if let Some(until_ms) = self.held_until(spec, &argv[1..], promise) {
                    return Verdict::Paused { until_ms };
                }
                self.last = Some(spec);
                if self.session.transaction.is_none() || !local::queue(self, spec, &argv[1..]) {
                    let in_capitals = argv[0][0].is_ascii_uppercase();
                    self.dispatch(argv, Call { spec, started_us, in_capitals });
                }
            }
            Err(reply) => self.refuse_command(commands::named(argv), &reply),
        }
        self.session.command_ended(admitted);
        Verdict::Done
    }

    /// The row that executes the request, if this client may use it.
    fn admit(&self, argv: &[&[u8]]) -> Result<&'static Spec, Reply> {
        let spec = commands::resolve(argv)?;
        if self.session.access.is_restricted {
            self.check_rights(spec, &argv[1..])?;
        }
        if self.session.side == Side::Cluster {
            spec.check_one_database(&argv[1..])?;
        }
        if local::only_listens(self) {
            local::check_mode(spec)?;
        }
        if self.session.feed.is_some() {
            local::check_monitor(spec)?;
        }
        Ok(spec)
    }

    /// Why a command is refused while a script runs: on the plain listener everybody is, else those whose
    /// keys its group has.
    fn busy(&self, spec: &Spec, args: &[&[u8]]) -> Option<CommandError> {
        let Worker { shared, backend, .. } = &*self.conn.worker;
        if !shared.running.any() || spec.flags.has(flag::ALLOW_BUSY) {
            return None;
        }
        // What follows a script on its own connection comes after it.
        if self.conn.waits() {
            return None;
        }
        let limit_ms =
            u64::try_from(shared.settings.number(Number::BusyReplyMs)).ok().filter(|&ms| ms > 0)?;
        let concerns = |group| {
            let is_there = |at: usize| backend.group_of(slot_of(args[at])) == Some(group);
            self.session.side == Side::Plain || spec.key_positions(args).any(is_there)
        };
        shared.running.refusal(shared.now_ms(), limit_ms, concerns)
    }

    /// A command that is not executed spoils the transaction that it is part of; EXEC ends it.
    fn refuse_command(&mut self, spec: Option<&'static Spec>, refusal: &Reply) {
        if let Some(spec) = spec {
            self.conn.worker.stats().rejected(spec);
        }
        match (spec.map(|spec| spec.id), refusal) {
            (Some(Id::Exec), Reply::Error(why)) => local::abort(self, why),
            _ => {
                if let Some(transaction) = &mut self.session.transaction {
                    transaction.refuse();
                }
                self.reply(refusal);
            }
        }
    }

    fn held_until(&self, spec: &Spec, args: &[&[u8]], promise: Option<bool>) -> Option<u64> {
        let shared = &self.conn.worker.shared;
        // Whoever paused must be able to end it.
        if spec.id == Id::ClientUnpause {
            return None;
        }
        let writes = || match (&self.session.transaction, spec.id) {
            (Some(transaction), Id::Exec) => transaction.replicates(),
            _ => replicates(spec, args),
        };
        let until_ms = shared.pause.holds(writes, || shared.now_ms())?;
        if promise == Some(true) {
            return None;
        }
        let may_pass = !shared.pause.holds_all() && self.session.transaction.is_none();
        if may_pass
            && promise.is_none()
            && let Some(called) = Called::by(spec, args)
        {
            let (worker, asker) = (self.conn.worker.clone(), self.asker());
            self.conn.await_promise(async move { called.promises_no_writes(&*worker.backend, asker).await });
        }
        Some(until_ms)
    }

    fn dispatch(&mut self, argv: &[&[u8]], call: Call) {
        // EXEC is shown behind what it executes.
        if self.conn.worker.shared.monitors.any() && call.spec.id != Id::Exec {
            self.show_line(call.spec, self.session.db, argv);
        }
        self.under_way.set(Some(call));
        let args = &argv[1..];
        let is_tracked = self.session.tracking.is_some();
        if is_tracked {
            self.session.track(call.spec);
        }
        let is_remembered = self.session.wire_flags & wire::FLAG_TRACKED != 0;
        match call.spec.kind {
            Kind::Read(_) | Kind::Write(_) => self.keyed(args, call),
            Kind::Group { .. } => self.by_rights(args, call),
            Kind::Broadcast { merge: Merge::Scan, .. } => self.scan(args, call),
            Kind::Broadcast { merge, .. } => self.broadcast(args, call, merge),
            Kind::Local(command) => local::run(self, command, args, call),
            Kind::Container => self.reply(&CommandError::unknown_command(argv[0], args).into()),
        }
        if is_tracked {
            self.session.wire_flags &= !wire::FLAG_TRACKED;
        }
        self.account(None);
        if let Some(token) = self.opened.take() {
            if is_remembered {
                // What was read goes through other hands before it is the reply.
                self.conn.hold_messages(token);
            }
            self.conn.note(token, args);
        }
        if let Some(duration_us) = self.slow_us.take() {
            let words = || slowlog::words(call.spec, call.in_capitals, Some(&Words::of(call.spec, args)));
            self.conn.worker.note_slow(&self.conn.info, call.spec, duration_us, words);
        }
    }

    /// Shows a command to those who monitor, without the name that it was called by.
    pub fn show(&self, spec: &Spec, db: u8, args: &[&[u8]]) {
        let name = spec.full_name.split('|').next().unwrap_or_default();
        let argv: Vec<&[u8]> = std::iter::once(name.as_bytes()).chain(args.iter().copied()).collect();
        self.show_line(spec, db, &argv);
    }

    fn show_line(&self, spec: &Spec, db: u8, argv: &[&[u8]]) {
        let shared = &self.conn.worker.shared;
        // Redis passes over EVAL, and then shows it all the same, before what the script calls.
        let is_script = matches!(spec.kind, Kind::Group { command: GroupCommand::Script(_), .. });
        if !spec.flags.has(flag::SKIP_MONITOR | flag::ADMIN) || is_script {
            let time_ms = shared.env.clock.now_ms();
            shared.monitors.publish(&monitor::line(time_ms, db, &self.conn.info.peer, argv));
        }
    }

    /// Counts the command under way, if it is not counted yet, and an error that a client is told.
    fn account(&self, error: Option<&[u8]>) {
        let worker = &self.conn.worker;
        match (self.under_way.take(), error) {
            (Some(call), error) => {
                let duration_us = worker.shared.now_us().saturating_sub(call.started_us);
                worker.executed(call.spec, duration_us, error);
                self.slow_us.set(worker.is_slow(duration_us).then_some(duration_us));
            }
            (None, Some(text)) => worker.stats().error(text),
            (None, None) => {}
        }
    }

    /// Answers a command that cannot be executed here.
    pub fn reject(&mut self, reply: &Reply) {
        if let Some(call) = self.under_way.take() {
            self.conn.worker.stats().rejected(call.spec);
        }
        self.reply(reply);
    }

    /// A reply that is there already.
    pub fn reply(&mut self, reply: &Reply) {
        self.account(error_of(reply));
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
        self.take_place(call, self.session.is_silent())
    }

    /// Likewise, for a reply that the client gets whatever CLIENT REPLY says.
    pub fn open_always(&self, call: Call) -> u64 {
        self.take_place(call, false)
    }

    fn take_place(&self, call: Call, silent: bool) -> u64 {
        self.under_way.set(None);
        let token = self.conn.open(call, silent);
        self.opened.set(Some(token));
        token
    }

    /// The groups that broadcast commands mean; those that write concern no node but their master.
    pub fn view(&self, writes: bool) -> Vec<GroupId> {
        let backend = &self.conn.worker.backend;
        match self.session.side {
            Side::Cluster if writes => backend.fronted_groups(),
            Side::Cluster => backend.seen_groups(),
            Side::Plain => backend.groups(),
        }
    }

    /// For commands of the proxy itself on behalf of this client.
    pub fn asker(&self) -> Asker {
        let Session { protocol, db, wire_flags: flags, writer, .. } = self.session;
        Asker { origin: self.conn.info.id, protocol, db, flags, writer }
    }

    /// Shows the last command to CLIENT LIST.
    pub fn publish_last(&self) {
        if let Some(spec) = self.last {
            *self.conn.info.last_command.lock() = spec.full_name;
        }
    }

    /// A script runs with the rights of the user, who goes along.
    fn by_rights(&mut self, args: &[&[u8]], call: Call) {
        let Some(user) = self.script_rights(call.spec) else { return self.by_group(args, call) };
        let mut args = ArgVec::from_slice(args);
        args.push(&user);
        self.session.wire_flags |= wire::FLAG_USER;
        self.by_group(&args, call);
        self.session.wire_flags &= !wire::FLAG_USER;
    }

    fn by_group(&mut self, args: &[&[u8]], call: Call) {
        match call.spec.group_command() {
            Some(GroupCommand::Script(ScriptCommand::EvalSha)) => local::eval_sha(self, args, call),
            _ => self.keyed(args, call),
        }
    }

    fn keyed(&mut self, args: &[&[u8]], call: Call) {
        if let Some(refusal) = self.elsewhere(args, call.spec) {
            return self.reject(&refusal);
        }
        if !call.spec.completes_pairs(args.len()) {
            return self.reply(&CommandError::WrongArity(call.spec.full_name).into());
        }
        if namespaces::run(self, args, call) {
            return;
        }
        match call.spec.slot(args) {
            Ok(Some(slot)) if call.spec.timeout.is_some() && blocking::run(self, slot, args, call) => {}
            // A command without keys may run anywhere.
            Ok(slot) => self.submit(Target::Slot(slot.unwrap_or_else(|| slot_of(b""))), args, call),
            Err(CommandError::CrossSlot) => match call.spec.split {
                Some(merge) => self.split(args, call, merge),
                None => self.reject(&CommandError::CrossSlot.into()),
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

    /// A client that tracks gets the reply of a command that several take part in before it is told of
    /// the changes.
    pub fn hold_changes(&self, token: u64) {
        if self.session.tracking.is_some() {
            self.conn.hold_messages(token);
        }
    }

    pub fn submit(&mut self, target: Target, args: &[&[u8]], call: Call) {
        let token = self.open(call);
        // Changes of prefixes come on another stream than replies.
        if self.session.tracking.as_ref().is_some_and(|tracks| tracks.broadcast) {
            self.conn.hold_messages(token);
        }
        // The batch that it travels in keeps its arguments.
        self.opened.set(None);
        if let Some(sink) = self.conn.sink(token) {
            self.send(target, args, call.spec, sink);
        }
    }

    pub fn send(&self, target: Target, args: &[&[u8]], spec: &Spec, sink: Sink) {
        self.send_as(target, args, spec.id, self.session.wire_flags, spec.is_write(), sink);
    }

    /// Sends a command with additional `flags` of [`wire`].
    pub fn send_as(&self, target: Target, args: &[&[u8]], id: Id, flags: u8, write: bool, sink: Sink) {
        if write {
            self.session.written.note(target);
        }
        let flags = flags | wire::flags(self.session.protocol);
        let Session { db, writer, .. } = self.session;
        let command = Outgoing { target, id: id as u16, flags, db, args, write, writer };
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
        self.hold_changes(token);
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

    pub fn gather(&self, token: u64, merge: Merge, parts: impl IntoIterator<Item = Positions>) -> Rc<Gather> {
        let to: Rc<dyn ReplyTarget> = self.conn.clone();
        let seed = if merge == Merge::RandomKey { self.conn.worker.shared.env.entropy.next_u64() } else { 0 };
        Gather::new(to, token, merge, self.session.protocol, parts, seed)
    }

    /// Every group in view.
    fn broadcast(&mut self, args: &[&[u8]], call: Call, merge: Merge) {
        let groups = self.view(call.spec.is_write());
        if groups.is_empty() {
            let reply = self.without_groups(call.spec, merge);
            return self.reply(&reply);
        }
        let token = self.open(call);
        self.hold_changes(token);
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
        let cursor = match cursor(args[0]) {
            Ok(cursor) => cursor,
            Err(error) => return self.reply(&error.into()),
        };
        let view = self.view(false);
        if view.is_empty() {
            return self.reply(&self.without_groups(call.spec, Merge::Scan));
        }
        let backend = self.conn.worker.backend.clone();
        let scan = scan::keys(backend, self.asker(), view, cursor, &args[1..]);
        let token = self.open(call);
        self.conn.run_later(token, self.session.protocol, scan);
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
