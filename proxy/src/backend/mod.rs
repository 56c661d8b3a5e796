//! The back half of the proxy: takes commands from connections, routes them to storage nodes,
//! and hands the replies back.
//!
//! ```text
//! connection ─ submit ─► session (pure) ─ collect ─► stream to each storage node
//!      ▲                    │    ▲                          │
//!      └── reply, flush ────┘    └──────── reply ───────────┘
//! meta link (one per process) ── topologies ─► session, CLUSTER commands
//! ```
//!
//! One `Backend` per worker thread; nothing here is shared between workers but [`Topologies`].
//! Invariant: the session is never borrowed while a reply target is called, so targets may submit.

mod announced;
mod attempts;
mod bound;
mod link;
mod node;
mod routes;
mod session;
mod stream_error;
#[cfg(test)]
mod tests;
mod topologies;
mod urgent;
mod waiting;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use daemon::env::Env;
use proto::v1::{Batch, BatchReply, DataReply, LeaderHint};
use tokio::{
    sync::Notify,
    task::spawn_local,
    time::{Instant, sleep},
};
use topology::{GroupId, Namespaces, Proxy, ProxyId, Slot, StoreId};

pub use self::{
    announced::{Announced, Relation},
    link::{LinkOptions, link},
    routes::{RoutedGroup, Routes},
    session::Limits,
    stream_error::StreamError,
    topologies::{Topologies, Topology},
};
use self::{
    attempts::{Attempts, Lost},
    node::Node,
    session::{Effects, Origin, Session},
};
use crate::backend_api::{
    Answer, Caches, End, Notices, Outgoing, ReplyTarget, RouteError, Sink, Submit, Wait,
};
use crate::settings::Small;

/// How often a worker without commands looks at its timers.
const IDLE_TICK: Duration = Duration::from_millis(500);

impl Origin for Sink {
    fn origin(&self) -> u64 {
        self.origin
    }

    fn late(&self, command: &[u8]) {
        self.to.late(self.token, command);
    }
}

/// The back half of one worker; cheap to clone.
#[derive(Clone)]
pub struct Backend {
    core: Rc<Core>,
    topologies: Topologies,
    me: ProxyId,
}

impl Backend {
    /// Starts the tasks of one worker on the current `LocalSet`; they end with it.
    pub fn start(
        env: Env,
        topologies: Topologies,
        me: ProxyId,
        limits: Limits,
        small: Arc<Small>,
        caches: Option<Rc<dyn Caches>>,
        notices: Rc<dyn Notices>,
    ) -> Self {
        let seed = env.entropy.next_u64();
        let core = Rc::new(Core {
            env,
            start: Instant::now(),
            recently_ms: Cell::new(0),
            session: RefCell::new(Session::new(limits, seed)),
            nodes: RefCell::new(HashMap::new()),
            spare: RefCell::new(Effects::default()),
            rearm: Notify::new(),
            relief: Notify::new(),
            small,
            caches,
            notices,
            leaders: RefCell::default(),
            attempts: RefCell::default(),
            finished: RefCell::default(),
        });
        spawn_local(core.clone().keep_time());
        spawn_local(core.clone().follow(topologies.clone()));
        Self { core, topologies, me }
    }

    /// The id under which this proxy is announced.
    pub fn proxy_id(&self) -> &ProxyId {
        &self.me
    }

    /// So much waits that clients should not be read for now.
    pub fn is_congested(&self) -> bool {
        self.core.session.borrow().is_congested()
    }

    /// Resolves when `is_congested` is false.
    pub async fn relief(&self) {
        while self.is_congested() {
            self.core.relief.notified().await;
        }
    }

    /// Bytes of commands that wait or are not answered yet.
    pub fn waiting_bytes(&self) -> usize {
        self.core.session.borrow().waiting_bytes()
    }

    /// The routing table this worker goes by.
    pub fn routes(&self) -> Arc<Routes> {
        self.core.session.borrow().routes().clone()
    }

    /// The topology of the process.
    pub fn topologies(&self) -> &Topologies {
        &self.topologies
    }
}

impl Submit for Backend {
    fn submit(&self, command: Outgoing<'_>, sink: Sink) {
        let mut session = self.core.session.borrow_mut();
        if session.waiting_bytes() == 0 {
            self.core.now_ms();
        }
        session.submit(self.core.recently_ms.get(), &command, sink);
        if session.has_effects() {
            drop(session);
            self.core.act(false);
        }
    }

    fn group_of(&self, slot: Slot) -> Option<GroupId> {
        self.core.session.borrow().routes().group_of(slot)
    }

    fn groups(&self) -> Vec<GroupId> {
        let session = self.core.session.borrow();
        let routes = session.routes();
        let serves = |g: &&RoutedGroup| routes.state.groups.get(&g.id).is_some_and(|g| !g.slots.is_empty());
        routes.groups().iter().filter(serves).map(|g| g.id).collect()
    }

    fn fronted_groups(&self) -> Vec<GroupId> {
        let routes = self.routes();
        fronted_by(&routes, routes.state.proxies.get(&self.me))
    }

    fn seen_groups(&self) -> Vec<GroupId> {
        let routes = self.routes();
        let proxies = &routes.state.proxies;
        let myself = proxies.get(&self.me);
        let followed = myself.filter(|me| me.fronts.is_empty()).and_then(|me| me.master_id.as_ref());
        fronted_by(&routes, followed.map_or(myself, |master| proxies.get(master)))
    }

    fn namespaces(&self) -> Option<Arc<Namespaces>> {
        self.core.session.borrow().routes().namespaces().cloned()
    }

    fn with_announced(&self, look: &mut dyn FnMut(&Announced)) {
        let session = self.core.session.borrow();
        if session.routes().is_known() {
            look(session.routes().announced());
        }
    }

    fn wait(&self, slot: Slot, command: Bytes, end: End) -> Wait {
        Box::pin(waiting::Waiting::new(self.core.clone(), slot).run(command, end))
    }

    fn ask_urgently(&self, group: GroupId, command: Bytes) -> Answer {
        Box::pin(urgent::ask(self.core.clone(), group, command))
    }

    fn is_congested(&self) -> bool {
        Backend::is_congested(self)
    }
}

/// What the tasks of a worker share.
struct Core {
    env: Env,
    /// Time zero of the session.
    start: Instant,
    /// The time when the clock was last read. While commands wait, that is never long ago (there is a
    /// timer), so that not every one of them must read it.
    recently_ms: Cell<u64>,
    session: RefCell<Session<Sink>>,
    nodes: RefCell<HashMap<StoreId, Rc<Node>>>,
    /// Memory for effects.
    spare: RefCell<Effects<Sink>>,
    /// A timer of the session may be due earlier than it was.
    rearm: Notify,
    /// Congestion may have ended.
    relief: Notify,
    /// Up to where collections stay small.
    small: Arc<Small>,
    /// Of clients that track.
    caches: Option<Rc<dyn Caches>>,
    /// Who is told what storage nodes tell beside replies.
    notices: Rc<dyn Notices>,
    /// Stores that lead, by group, as meta told last.
    leaders: RefCell<HashMap<u64, u64>>,
    attempts: RefCell<Attempts>,
    /// Sessions of commands that waited and are answered: the groups may forget them.
    finished: RefCell<Vec<(GroupId, u64)>>,
}

impl Core {
    fn env(&self) -> &Env {
        &self.env
    }

    fn now_ms(&self) -> u64 {
        let now_ms = self.start.elapsed().as_millis() as u64;
        self.recently_ms.set(now_ms);
        now_ms
    }

    fn address(&self, store: StoreId) -> Option<Arc<str>> {
        self.session.borrow().routes().address(store).cloned()
    }

    fn wants(&self, store: StoreId) -> bool {
        self.attempts.borrow().wants(store) || self.session.borrow().wants(self.now_ms(), store)
    }

    fn collect(&self, store: StoreId) -> Vec<Batch> {
        let mut batches = self.session.borrow_mut().collect(self.now_ms(), store);
        for batch in batches.iter_mut().filter(|batch| batch.seq > 0) {
            let finished = self
                .finished
                .borrow_mut()
                .extract_if(.., |(group, _)| group.0 == batch.group)
                .collect::<Vec<_>>();
            batch.finished_sessions.extend(finished.into_iter().map(|(_, session)| session));
        }
        batches.extend(self.attempts.borrow_mut().collect(store));
        let limits = self.small.numbers();
        if !limits.is_empty() {
            batches.iter_mut().for_each(|batch| batch.limits.clone_from(&limits));
        }
        if self.notices.wants_calls() {
            batches.iter_mut().for_each(|batch| batch.shows_calls = true);
        }
        batches
    }

    fn replied(self: &Rc<Self>, message: DataReply) {
        let now_ms = self.now_ms();
        {
            let mut session = self.session.borrow_mut();
            let mut attempts = self.attempts.borrow_mut();
            for running in &message.running {
                self.notices.running(running);
                session.is_busy(now_ms, GroupId(running.group));
            }
            for reply in message.replies.into_iter().filter_map(|reply| attempts.reply(reply)) {
                session.reply(now_ms, reply);
            }
        }
        self.act(true);
        if let Some(caches) = &self.caches {
            // Behind the replies: some of them are to what was so before.
            message.changes.into_iter().for_each(|changed| caches.changed(changed));
        }
    }

    /// The stream to `store` broke; `was_used`: it had brought something.
    fn disconnected(self: &Rc<Self>, store: StoreId, was_used: bool) {
        if let Some(caches) = self.caches.as_ref().filter(|_| was_used) {
            caches.stream_lost();
        }
        self.attempts.borrow_mut().disconnected(store);
        self.session.borrow_mut().disconnected(self.now_ms(), store);
        self.act(true);
    }

    /// Does what the session asks for.
    fn act(self: &Rc<Self>, flush: bool) {
        let mut effects = self.spare.take();
        self.session.borrow_mut().take_effects(&mut effects);
        for store in effects.wake.drain(..) {
            self.node(store).wake();
        }
        if std::mem::take(&mut effects.rearm) {
            self.rearm.notify_one();
        }
        if let Some(caches) = &self.caches {
            effects.reads.drain(..).for_each(|(client, key)| caches.has_read(client, &key));
        }
        effects.asides.drain(..).for_each(|aside| self.notices.aside(aside));
        effects.denied.drain(..).for_each(|(client, call)| self.notices.denied(client, &call));
        deliver(effects.replies.drain(..), flush);
        if let Some(caches) = &self.caches {
            effects.unsure.drain(..).for_each(|client| caches.is_unsure(client));
        }
        self.spare.replace(effects);
        if flush && !self.session.borrow().is_congested() {
            self.relief.notify_waiters();
        }
    }

    /// Sends a batch in a session of its own, once.
    async fn attempt(self: &Rc<Self>, store: StoreId, batch: Batch) -> Result<BatchReply, Lost> {
        let answer = self.attempts.borrow_mut().send(store, batch);
        self.node(store).wake();
        answer.await.unwrap_or(Err(Lost))
    }

    fn node(self: &Rc<Self>, store: StoreId) -> Rc<Node> {
        let mut nodes = self.nodes.borrow_mut();
        let node = nodes.entry(store).or_insert_with(|| {
            let node = Node::new(store);
            spawn_local(node.clone().run(self.clone()));
            node
        });
        node.clone()
    }

    async fn keep_time(self: Rc<Self>) {
        loop {
            let now_ms = self.now_ms();
            let next_ms = self.session.borrow().next_timer_ms(now_ms);
            let pause = next_ms.map_or(IDLE_TICK, |at| Duration::from_millis(at.saturating_sub(now_ms)));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.rearm.notified() => {}
            }
            self.attempts.borrow_mut().forget_abandoned();
            self.session.borrow_mut().tick(self.now_ms());
            self.act(true);
        }
    }

    /// A leader that hangs cannot tell that another one has taken over.
    fn notice_leaders(&self, hints: &[LeaderHint]) {
        let mut leaders = self.leaders.borrow_mut();
        let mut has_changed = false;
        for hint in hints {
            let before = leaders.insert(hint.group, hint.store_id);
            has_changed |= before.is_some_and(|store| store != hint.store_id);
        }
        if let Some(caches) = self.caches.as_ref().filter(|_| has_changed) {
            caches.stream_lost();
        }
    }

    async fn follow(self: Rc<Self>, mut topologies: Topologies) {
        loop {
            let Topology { routes, leaders, .. } = topologies.newest();
            self.notice_leaders(&leaders);
            {
                let mut session = self.session.borrow_mut();
                session.routes_changed(self.now_ms(), routes);
                session.leaders(self.now_ms(), &leaders);
            }
            self.act(true);
            if !topologies.changed().await {
                return;
            }
        }
    }
}

/// Hands answers to their targets; each that asks is flushed once, in the order of asking: nothing
/// may depend on where memory was free, or the simulation would not repeat itself.
pub fn deliver(answers: impl Iterator<Item = (Sink, Result<Bytes, RouteError>)>, flush: bool) {
    let mut to_flush: Vec<(usize, Rc<dyn ReplyTarget>)> = Vec::new();
    for (asked, (sink, result)) in answers.enumerate() {
        let wants_flush = sink.to.reply(sink.token, result);
        let is_last = to_flush.last().is_some_and(|(_, last)| address_of(last) == address_of(&sink.to));
        if flush && wants_flush && !is_last {
            to_flush.push((asked, sink.to));
        }
    }
    if to_flush.len() > 1 {
        to_flush.sort_unstable_by_key(|(asked, target)| (address_of(target), *asked));
        to_flush.dedup_by_key(|(_, target)| address_of(target));
        to_flush.sort_unstable_by_key(|(asked, _)| *asked);
    }
    for (_, target) in to_flush {
        target.flush();
    }
}

/// In slot order.
fn fronted_by(routes: &Routes, proxy: Option<&Proxy>) -> Vec<GroupId> {
    let fronts = proxy.map_or(&[][..], |proxy| &proxy.fronts);
    routes.groups().iter().map(|group| group.id).filter(|id| fronts.contains(id)).collect()
}

fn address_of(target: &Rc<dyn ReplyTarget>) -> usize {
    Rc::as_ptr(target).cast::<()>().addr()
}
