//! CLUSTER against a topology that was put in force by hand.

use std::sync::Arc;

use resp::{Protocol, encode};
use tokio::sync::watch;
use topology::{Group, GroupId, SlotSet, Version};

use super::*;
use crate::backend::{Routes, Topology};

const HOUR: Duration = Duration::from_secs(3600);

fn id(port: u16) -> ProxyId {
    ProxyId::of_address("127.0.0.1", port)
}

/// Ports 7000 (slots 0-8191) and 7001 (the rest); 7002 replicates 7000 and has a host name.
fn topology(lease_until: Option<Instant>) -> Topology {
    let mut state = ClusterState { version: Version(5), current_epoch: 2, ..ClusterState::default() };
    for (at, port) in [(0, 7000), (1, 7001)] {
        let group = GroupId(at as u64 + 1);
        let slots = SlotSet::share(at, 2);
        state.groups.insert(group, Group { slots, formed: true, ..Group::default() });
        state.proxies.insert(id(port), proxy(port, &[group]));
    }
    let replica =
        Proxy { master_id: Some(id(7000)), announce_hostname: "c.example".to_owned(), ..proxy(7002, &[]) };
    state.proxies.insert(id(7002), replica);
    Topology { routes: Arc::new(Routes::of(state, &id(7000))), lease_until, ..Topology::unknown() }
}

fn proxy(port: u16, fronts: &[GroupId]) -> Proxy {
    Proxy {
        announce_host: "127.0.0.1".to_owned(),
        announce_port: port,
        fronts: fronts.to_vec(),
        live: true,
        ..Proxy::default()
    }
}

fn shown(topologies: Topologies, port: u16) -> Cluster {
    let identity = LinkOptions {
        announce_host: "127.0.0.1".to_owned(),
        announce_port: port,
        announce_hostname: String::new(),
    };
    Cluster::new(Env::real(), topologies, &identity, MetaClient::new(Env::real(), Vec::new()))
}

/// A proxy on `port` whose lease is in force.
fn cluster(port: u16) -> Cluster {
    let (_, receiver) = watch::channel(topology(Some(Instant::now() + HOUR)));
    shown(Topologies::new(receiver), port)
}

fn ready(answer: Answer) -> Reply {
    match answer {
        Answer::Ready(reply) => reply,
        Answer::Ask(question) => panic!("asks {question:?}"),
        Answer::Wait(_) => panic!("waits"),
    }
}

fn ask(cluster: &Cluster, command: &str) -> Reply {
    let args: Vec<_> = command.split(' ').map(str::as_bytes).collect();
    ready(cluster.answer(&args))
}

/// As a RESP2 client reads it.
fn wire(reply: &Reply) -> String {
    let mut out = Vec::new();
    encode(reply, Protocol::Resp2, &mut out);
    String::from_utf8(out).expect("text")
}

fn error(cluster: &Cluster, command: &str) -> String {
    let Reply::Error(text) = ask(cluster, command) else { panic!("no error for {command}") };
    String::from_utf8(text.to_vec()).expect("text")
}

// covers: T14
#[test]
fn slots_as_clients_parse_them() {
    let (a, b, c) = (id(7000), id(7001), id(7002));
    let node = |id: &ProxyId, port: u16, meta: &str| {
        format!("*4\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$40\r\n{id}\r\n{meta}")
    };
    let hostname = "*2\r\n$8\r\nhostname\r\n$9\r\nc.example\r\n";
    let expected = format!(
        "*2\r\n*4\r\n:0\r\n:8191\r\n{}{}*3\r\n:8192\r\n:16383\r\n{}",
        node(&a, 7000, "*0\r\n"),
        node(&c, 7002, hostname),
        node(&b, 7001, "*0\r\n"),
    );
    for port in [7000, 7001, 7002] {
        assert_eq!(wire(&ask(&cluster(port), "SLOTS")), expected, "the same from every proxy");
    }
}

// covers: T14
#[test]
fn shards_as_clients_parse_them() {
    let reply = ask(&cluster(7001), "shards");
    assert_eq!(reply, ask(&cluster(7000), "shards"));
    let Reply::Array(shards) = reply else { panic!("an array") };
    let Reply::Map(first) = &shards[0] else { panic!("a map") };
    assert_eq!(first[0], (Reply::bulk("slots"), Reply::Array(vec![Reply::Int(0), Reply::Int(8191)])));
    let Reply::Array(nodes) = &first[1].1 else { panic!("an array") };
    let Reply::Map(replica) = &nodes[1] else { panic!("a map") };
    let text = |name: &str| {
        let field = replica.iter().find(|(n, _)| *n == Reply::bulk(name));
        field.map(|(_, value)| value.clone()).unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(text("id"), Reply::bulk(id(7002).as_str()));
    assert_eq!(text("port"), Reply::Int(7002));
    assert_eq!((text("ip"), text("endpoint")), (Reply::bulk("127.0.0.1"), Reply::bulk("127.0.0.1")));
    assert_eq!((text("role"), text("health")), (Reply::bulk("replica"), Reply::bulk("online")));
    assert_eq!(text("hostname"), Reply::bulk("c.example"));
}

// covers: T3, T13, T14
#[test]
fn texts_and_ids() {
    let cluster = cluster(7001);
    let Reply::Verbatim(kind, nodes) = ask(&cluster, "NODES") else { panic!("verbatim") };
    assert!(kind == *b"txt" && nodes.ends_with(b"\n") && nodes.starts_with(id(7001).as_str().as_bytes()));
    let Reply::Verbatim(_, info) = ask(&cluster, "info") else { panic!("verbatim") };
    assert!(info.starts_with(b"cluster_state:ok\r\n") && info.ends_with(b"\r\n"));
    assert_eq!(ask(&cluster, "MYID"), Reply::bulk(id(7001).as_str()));
    assert_eq!(ask(&self::cluster(7002), "MYSHARDID"), ask(&self::cluster(7000), "MYSHARDID"));
    assert_eq!(ask(&cluster, "KEYSLOT foo"), Reply::Int(12182));
    assert_eq!(ask(&cluster, "LINKS"), Reply::Array(vec![]));
    assert!(cluster.is_ok());
}

// covers: T14
#[test]
fn questions_about_nodes() {
    let cluster = cluster(7001);
    let Reply::Array(lines) = ask(&cluster, &format!("SLAVES {}", id(7000))) else { panic!("an array") };
    assert_eq!(lines.len(), 1);
    assert_eq!(ask(&cluster, &format!("COUNT-FAILURE-REPORTS {}", id(7000))), Reply::Int(0));
    assert_eq!(error(&cluster, "REPLICAS nobody"), "ERR Unknown node nobody");
    assert_eq!(error(&cluster, "COUNT-FAILURE-REPORTS nobody"), "ERR Unknown node nobody");
    let replica = format!("REPLICAS {}", id(7002));
    assert_eq!(error(&cluster, &replica), "ERR The specified node is not a master");
}

// covers: T14
#[test]
fn keys_of_own_slots_are_asked_for_and_others_are_not_here() {
    let cluster = cluster(7000);
    let question = |command: &str| {
        let args: Vec<_> = command.split(' ').map(str::as_bytes).collect();
        match cluster.answer(&args) {
            Answer::Ask(question) => question,
            _ => panic!("no question"),
        }
    };
    let slot = Slot::new(100).expect("valid");
    assert_eq!(question("COUNTKEYSINSLOT 100"), Question::CountKeysInSlot { slot });
    assert_eq!(question("GETKEYSINSLOT 100 7"), Question::GetKeysInSlot { slot, count: 7 });
    assert_eq!(ask(&cluster, "COUNTKEYSINSLOT 9000"), Reply::Int(0));
    assert_eq!(ask(&cluster, "GETKEYSINSLOT 9000 7"), Reply::Array(vec![]));
    assert_eq!(error(&cluster, "COUNTKEYSINSLOT 16384"), "ERR Invalid slot");
    assert_eq!(error(&cluster, "GETKEYSINSLOT 1 -1"), "ERR Invalid slot or number of keys");
    assert_eq!(error(&cluster, "COUNTKEYSINSLOT x"), "ERR value is not an integer or out of range");
}

#[test]
fn what_cannot_be_done_says_so() {
    let cluster = cluster(7000);
    assert_eq!(error(&cluster, "NODES x"), "ERR wrong number of arguments for 'cluster|nodes' command");
    assert!(matches!(cluster.answer(&[]), Answer::Ready(Reply::Error(_))));
}

// covers: T4
#[tokio::test]
async fn past_the_lease_answers_wait_for_a_new_one() {
    let (writer, receiver) = watch::channel(topology(Some(Instant::now())));
    let cluster = shown(Topologies::new(receiver), 7000);
    let Answer::Wait(waiting) = cluster.answer(&[b"NODES"]) else { panic!("answered without a lease") };
    let (answer, ()) = tokio::join!(waiting, async {
        tokio::task::yield_now().await;
        writer.send_replace(topology(Some(Instant::now() + HOUR)));
    });
    assert!(matches!(ready(answer), Reply::Verbatim(..)));
}
