//! The hub against storage nodes that are made up.

use std::{future::poll_fn, task::Poll};

use proto::v1::{EventAnswer, EventItem, Refusal, event_item::Action};
use topology::{
    ClusterState, Group, GroupId, ProxyId, Replica, ReplicaId, SlotSet, StorageNode, Version, slot_of,
};

use super::{subscriber::tests::subscriber, *};
use crate::{backend::Routes, shared::Shared};

const DEADLINE_MS: u64 = 1000;
const LIMITS: OutputLimits = OutputLimits { hard_bytes: 1 << 20, soft_bytes: 0, soft_ms: 0 };

/// So many groups share the slots; each has a replica on store 1 and one on store 2.
pub fn routes(version: u64, groups: u64) -> Arc<Routes> {
    let mut state = ClusterState { version: Version(version), ..ClusterState::default() };
    for group in 1..=groups {
        let replicas =
            [1, 2].map(|store| Replica { id: ReplicaId(group * 10 + store), store: StoreId(store) });
        let slots = SlotSet::share(group as usize - 1, groups as usize);
        let group_state = Group { slots, replicas: replicas.into(), formed: true, ..Group::default() };
        state.groups.insert(GroupId(group), group_state);
    }
    for store in [1, 2] {
        let name = format!("store-{store}");
        let node = StorageNode { name: name.clone(), rpc_addr: format!("{name}:1"), gone: false };
        state.stores.insert(StoreId(store), node);
    }
    Arc::new(Routes::of(state, &ProxyId::of_address("h", 1)))
}

/// A storage node, as far as the hub can tell.
#[derive(Default)]
pub struct Node {
    /// Named in refusals; `None`: it leads every group.
    elsewhere: Option<u64>,
    refused: BTreeMap<u64, u64>,
    topics: BTreeMap<(u64, TopicKind, Bytes), u64>,
    /// What happened and was not told yet.
    events: Vec<Event>,
}

impl Node {
    fn take(&mut self, publisher: u64, item: EventItem) {
        let EventItem { id, group, attempt, .. } = item;
        let mut answer = EventAnswer { id, group, attempt, ..EventAnswer::default() };
        let is_behind = self.refused.get(&group).is_some_and(|&last| attempt <= last);
        if is_behind || self.elsewhere.is_some() {
            self.refused.insert(group, attempt);
            answer.refusal = Refusal::NotLeader.into();
            answer.leader_hint = self.elsewhere.unwrap_or(0);
        } else {
            let (kind, name) = (item.kind(), item.name);
            match item.action {
                Some(Action::Subscribers(0)) => drop(self.topics.remove(&(group, kind, name))),
                Some(Action::Subscribers(count)) => {
                    self.topics.insert((group, kind, name), count);
                }
                Some(Action::Payload(payload)) => {
                    answer.receivers = self.publish(publisher, id, group, kind, name, payload);
                }
                None => {}
            }
        }
        self.events.push(Event { event: Some(event::Event::Answer(answer)) });
    }

    fn publish(
        &mut self,
        publisher: u64,
        id: u64,
        group: u64,
        kind: TopicKind,
        channel: Bytes,
        payload: Bytes,
    ) -> u64 {
        let matches = |(at, of, name): &(u64, TopicKind, Bytes)| {
            let by_pattern = kind == TopicKind::Channel && *of == TopicKind::Pattern;
            *at == group && (*of == kind && *name == channel || by_pattern && glob::matches(name, &channel))
        };
        let receivers = self.topics.iter().filter(|(topic, _)| matches(topic)).map(|(_, count)| count).sum();
        if receivers > 0 {
            let message = EventMessage { group, kind: kind.into(), channel, payload, publisher, id };
            self.events.push(Event { event: Some(event::Event::Message(message)) });
        }
        receivers
    }

    fn subscribers(&self, group: u64, kind: TopicKind, name: &'static str) -> u64 {
        self.topics.get(&(group, kind, Bytes::from(name))).copied().unwrap_or(0)
    }
}

/// Hands over what waits for `store`, and what the node says to it.
pub fn exchange(hub: &Hub, now_ms: u64, store: u64, node: &mut Node) {
    hand_over(hub, now_ms, store, node);
    let reply = EventReply { events: std::mem::take(&mut node.events) };
    hub.received(now_ms, LIMITS, StoreId(store), reply);
}

fn hand_over(hub: &Hub, now_ms: u64, store: u64, node: &mut Node) {
    let items = hub.state.lock().lanes.collect(now_ms, StoreId(store));
    items.into_iter().for_each(|item| node.take(hub.publisher, item));
}

/// A hub that knows a topology, and two nodes of which the first leads.
struct World {
    hub: Hub,
    now_ms: u64,
    nodes: [Node; 2],
}

impl World {
    fn new(groups: u64) -> Self {
        let world =
            Self { hub: Hub::new(9, DEADLINE_MS), now_ms: 0, nodes: [Node::default(), Node::default()] };
        world.adopt(routes(1, groups));
        world
    }

    fn adopt(&self, routes: Arc<Routes>) {
        let mut state = self.hub.state.lock();
        state.lanes.routes_changed(self.now_ms, routes);
        self.hub.settle(state, self.now_ms);
    }

    /// Some time passes in which everything that can be said is said.
    fn run(&mut self) {
        for _ in 0..20 {
            self.now_ms += 20;
            self.hub.tick_for_tests(self.now_ms);
            for (store, node) in (1..).zip(&mut self.nodes) {
                exchange(&self.hub, self.now_ms, store, node);
            }
        }
    }

    /// The second node leads from here on.
    fn fail_over(&mut self) {
        self.nodes[0] = Node { elsewhere: Some(2), ..Node::default() };
        self.nodes[1].elsewhere = None;
        let mut state = self.hub.state.lock();
        state.lanes.disconnected(self.now_ms, StoreId(1));
        self.hub.settle(state, self.now_ms);
    }

    fn subscribe(&self, subscriber: &Arc<Subscriber>, kind: Kind, names: &[&str]) -> (Vec<usize>, Settled) {
        let topics: Vec<Topic> = names.iter().map(|name| Topic::new(kind, name.as_bytes())).collect();
        self.hub.subscribe(self.now_ms, subscriber, &topics).unwrap()
    }

    fn publish(&self, channel: &str, text: &str) -> oneshot::Receiver<lanes::Outcome> {
        let (done, outcome) = oneshot::channel();
        let mut state = self.hub.state.lock();
        let topic = Topic::new(Kind::Channel, channel.as_bytes());
        state.lanes.publish(self.now_ms, topic, Bytes::from(text.to_owned()), Waiter::Once(done));
        self.hub.settle(state, self.now_ms);
        outcome
    }
}

impl Hub {
    fn tick_for_tests(&self, now_ms: u64) {
        let mut state = self.state.lock();
        state.lanes.tick(now_ms);
        self.settle(state, now_ms);
    }
}

/// The payloads that reached a subscriber.
fn heard(subscriber: &Subscriber) -> Vec<String> {
    let mut text = Vec::new();
    subscriber.take(usize::MAX, |bytes| text.extend_from_slice(bytes));
    let text = String::from_utf8(text).unwrap();
    text.split("\r\n").filter(|line| line.starts_with("text")).map(str::to_owned).collect()
}

fn texts(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|number| format!("text{number}")).collect()
}

#[test]
fn a_subscription_is_confirmed_when_the_leader_knows() {
    let mut world = World::new(1);
    let one = subscriber(1);
    let (counts, mut settled) = world.subscribe(&one, Kind::Channel, &["a", "b", "a"]);
    assert_eq!(counts, [1, 2, 2]);
    assert!(settled.try_recv().is_err(), "nobody knows yet");
    world.run();
    assert_eq!(settled.try_recv(), Ok(Ok(())));
    let mut outcome = world.publish("a", "text1");
    world.run();
    assert_eq!(outcome.try_recv(), Ok(Ok(1)));
    assert_eq!(heard(&one), ["text1"]);

    let (counts, mut settled) =
        world.hub.unsubscribe(world.now_ms, &one, &world.hub.topics_of(1, Kind::Channel));
    assert_eq!(counts, [1, 0]);
    world.run();
    assert_eq!(settled.try_recv(), Ok(Ok(())));
    assert!(world.nodes[0].topics.is_empty());
}

#[test]
fn a_client_may_subscribe_to_very_many_channels_at_once() {
    const CHANNELS: usize = 60_000;
    let world = World::new(1);
    let one = subscriber(1);
    let names: Vec<String> = (0..CHANNELS).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (counts, _settled) = world.subscribe(&one, Kind::Channel, &names);
    assert!(counts.into_iter().eq(1..=CHANNELS));
    let (counts, _settled) =
        world.hub.unsubscribe(world.now_ms, &one, &world.hub.topics_of(1, Kind::Channel));
    assert!(counts.into_iter().eq((0..CHANNELS).rev()));
}

#[test]
fn leaders_know_how_many_clients_subscribe() {
    let mut world = World::new(1);
    let (one, two) = (subscriber(1), subscriber(2));
    let _ = (world.subscribe(&one, Kind::Channel, &["a"]), world.subscribe(&two, Kind::Channel, &["a"]));
    world.run();
    assert_eq!(world.nodes[0].subscribers(1, TopicKind::Channel, "a"), 2);
    world.hub.leave(world.now_ms, &one);
    world.run();
    assert_eq!(world.nodes[0].subscribers(1, TopicKind::Channel, "a"), 1);
}

#[test]
fn a_pattern_and_a_notification_channel_are_known_to_every_leader() {
    let mut world = World::new(3);
    let one = subscriber(1);
    let (_, mut patterns) = world.subscribe(&one, Kind::Pattern, &["a*"]);
    let (_, mut channels) = world.subscribe(&one, Kind::Channel, &["__keyspace@0__:k"]);
    world.run();
    assert_eq!((patterns.try_recv(), channels.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
    for group in 1..=3 {
        assert_eq!(world.nodes[0].subscribers(group, TopicKind::Pattern, "a*"), 1);
        assert_eq!(world.nodes[0].subscribers(group, TopicKind::Channel, "__keyspace@0__:k"), 1);
    }
    let outcomes: Vec<_> = (0..20).map(|n| world.publish(&format!("a{n}"), &format!("text{n}"))).collect();
    world.run();
    assert!(outcomes.into_iter().all(|mut outcome| outcome.try_recv() == Ok(Ok(1))));
    assert_eq!(heard(&one).len(), 20);
}

#[test]
fn messages_wait_for_the_next_leader_in_order_and_come_once() {
    let mut world = World::new(1);
    world.nodes[1].elsewhere = Some(1);
    let one = subscriber(1);
    let _ = world.subscribe(&one, Kind::Channel, &["a"]);
    world.run();
    let mut outcomes: Vec<_> = (0..10).map(|n| world.publish("a", &format!("text{n}"))).collect();
    // The leader delivers, but dies before its answers arrive.
    hand_over(&world.hub, world.now_ms, 1, &mut world.nodes[0]);
    let is_message = |event: &Event| matches!(event.event, Some(event::Event::Message(_)));
    let events = world.nodes[0].events.drain(..).filter(is_message).take(5).collect();
    world.hub.received(world.now_ms, LIMITS, StoreId(1), EventReply { events });
    world.fail_over();
    outcomes.extend((10..20).map(|n| world.publish("a", &format!("text{n}"))));
    world.run();
    assert!(outcomes.into_iter().all(|mut outcome| outcome.try_recv() == Ok(Ok(1))));
    assert_eq!(heard(&one), texts(0..20));
    assert_eq!(world.hub.state.lock().lanes.bytes(), 0);
}

#[test]
fn what_follows_a_refused_message_does_not_overtake_it() {
    let mut world = World::new(1);
    let one = subscriber(1);
    let _ = world.subscribe(&one, Kind::Channel, &["a"]);
    world.run();
    let _outcomes: Vec<_> = (0..2).map(|n| world.publish("a", &format!("text{n}"))).collect();
    let items = world.hub.state.lock().lanes.collect(world.now_ms, StoreId(1));
    for (at, item) in items.into_iter().enumerate() {
        // It leads again when the second one comes.
        world.nodes[0].elsewhere = (at == 0).then_some(0);
        world.nodes[0].take(9, item);
    }
    world.nodes[1].elsewhere = Some(1);
    world.run();
    assert_eq!(heard(&one), texts(0..2));
}

#[test]
fn a_closed_group_is_subscribed_to_again() {
    let mut world = World::new(2);
    let one = subscriber(1);
    let _ = world.subscribe(&one, Kind::Pattern, &["*"]);
    world.run();
    world.nodes[0].topics.clear();
    let closed = (1..=2).map(|group| Event { event: Some(event::Event::ClosedGroup(group)) });
    world.nodes[0].events.extend(closed);
    world.nodes[1].elsewhere = Some(1);
    world.run();
    assert_eq!(world.nodes[0].topics.len(), 2);
}

#[test]
fn nothing_remains_of_a_subscription_that_nobody_took() {
    let mut world = World::new(1);
    world.nodes = [1, 2].map(|_| Node { elsewhere: Some(0), ..Node::default() });
    let one = subscriber(1);
    let (_, mut settled) = world.subscribe(&one, Kind::Channel, &["a"]);
    let mut outcome = world.publish("a", "text");
    for _ in 0..4 {
        world.run();
    }
    assert_eq!(settled.try_recv(), Ok(Err(RouteError::Timeout)));
    assert!(matches!(outcome.try_recv(), Ok(Err(RouteError::Timeout | RouteError::Unknown))));
    assert_eq!((world.hub.clients(), world.hub.counts(1)), (0, Counts::default()));
    world.nodes[0].elsewhere = None;
    world.run();
    assert!(world.nodes[0].topics.is_empty());
    assert_eq!(world.hub.state.lock().lanes.bytes(), 0);
}

#[test]
fn topics_and_messages_follow_their_slots() {
    let mut world = World::new(1);
    let one = subscriber(1);
    let names: Vec<String> = (0..30).map(|number| format!("channel{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let _ = world.subscribe(&one, Kind::Channel, &names);
    let _ = world.subscribe(&one, Kind::Pattern, &["none*"]);
    world.run();
    let outcomes: Vec<_> = names.iter().map(|name| world.publish(name, "text")).collect();
    let late = subscriber(2);
    let (_, mut settled) = world.subscribe(&late, Kind::Channel, &names);
    let after = routes(2, 3);
    world.adopt(after.clone());
    world.run();
    assert_eq!(settled.try_recv(), Ok(Ok(())));
    assert!(outcomes.into_iter().all(|mut outcome| matches!(outcome.try_recv(), Ok(Ok(1..)))));
    assert_eq!(heard(&one).len(), 30);
    for (group, kind, name) in world.nodes[0].topics.keys() {
        let at_home = after.group_of(slot_of(name)) == Some(GroupId(*group));
        assert!(*kind == TopicKind::Pattern || at_home, "{name:?} is known to group {group}");
    }
    assert_eq!(world.nodes[0].topics.len(), 30 + 3);
    world.adopt(routes(3, 1));
    world.run();
    assert!(names.iter().all(|name| {
        world.nodes[0].topics.get(&(1, TopicKind::Channel, Bytes::copy_from_slice(name.as_bytes())))
            == Some(&2)
    }));
}

#[test]
fn what_waits_is_bounded() {
    let world = World::new(1);
    let large = "x".repeat(1 << 20);
    let mut outcomes: Vec<_> = (0..80).map(|_| world.publish("a", &large)).collect();
    assert_eq!(outcomes[79].try_recv(), Ok(Err(RouteError::Overloaded)));
    assert!(outcomes[0].try_recv().is_err());
}

#[test]
fn without_a_topology_nobody_is_kept_waiting() {
    let hub = Hub::new(1, DEADLINE_MS);
    let topic = Topic::new(Kind::Channel, b"a");
    assert!(matches!(hub.subscribe(0, &subscriber(1), &[topic]), Err(RouteError::ClusterDown(_))));
    assert_eq!(hub.clients(), 0);
}

/// Leads everything, for the hub of `shared`, as long as it is polled.
pub async fn lead(shared: Arc<Shared>) {
    let mut node = Node::default();
    let writer = Arc::new(Writer::default());
    {
        let mut state = shared.pubsub.state.lock();
        state.lanes.routes_changed(shared.now_ms(), routes(1, 2));
        state.writers.insert(StoreId(1), writer.clone());
        shared.pubsub.settle(state, shared.now_ms());
    }
    loop {
        poll_fn(|cx| if writer.is_woken(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
        loop {
            hand_over(&shared.pubsub, shared.now_ms(), 1, &mut node);
            if node.events.is_empty() {
                break;
            }
            let reply = EventReply { events: std::mem::take(&mut node.events) };
            shared.pubsub.received(shared.now_ms(), shared.settings.pubsub_limits(), StoreId(1), reply);
        }
    }
}
