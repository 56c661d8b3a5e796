//! What a proxy tells cluster clients about the cluster.

use std::collections::{BTreeMap, BTreeSet};

use miraft_tests::{
    cluster::{self, info_field},
    resp::{Connection, Value},
};
use tokio::net::TcpStream;

async fn text_at(address: &str, command: &str) -> String {
    Connection::open(address).await.unwrap().run(command).await.unwrap().text()
}

// covers: T2
#[tokio::test]
async fn a_started_cluster_is_whole() {
    let cluster = cluster::shared().await;
    for address in cluster.cluster_addresses() {
        let mut connection = Connection::open(&address).await.unwrap();
        for (field, expected) in [
            ("cluster_enabled", "1"),
            ("cluster_state", "ok"),
            ("cluster_slots_assigned", "16384"),
            ("cluster_slots_ok", "16384"),
            ("cluster_slots_fail", "0"),
            ("cluster_known_nodes", "3"),
        ] {
            let command = if field == "cluster_enabled" { "INFO cluster" } else { "CLUSTER INFO" };
            assert_eq!(info_field(&mut connection, command, field).await.unwrap(), expected, "{field}");
        }
    }
    let mut plain = cluster.connect().await;
    assert_eq!(info_field(&mut plain, "INFO", "cluster_enabled").await.unwrap(), "0");
}

// covers: T3
#[tokio::test]
async fn cluster_nodes_is_the_same_everywhere() {
    let cluster = cluster::shared().await;
    let mut views = BTreeSet::new();
    for address in cluster.cluster_addresses() {
        let nodes = text_at(&address, "CLUSTER NODES").await;
        assert!(nodes.ends_with('\n') && !nodes.ends_with("\n\n"), "{nodes:?}");
        let mine: Vec<&str> = nodes.lines().filter(|line| line.contains("myself,")).collect();
        assert_eq!(mine.len(), 1, "{nodes}");
        assert!(mine[0].contains(&format!(" {address}@")), "{nodes}");
        assert_eq!(nodes.lines().next(), Some(mine[0]), "myself comes first");
        for line in nodes.lines() {
            check_line(line);
        }
        views.insert(nodes.lines().map(|line| line.replace("myself,", "")).collect::<BTreeSet<_>>());
    }
    assert_eq!(views.len(), 1, "{views:#?}");
}

fn check_line(line: &str) {
    let fields: Vec<&str> = line.split(' ').collect();
    assert!(fields.len() >= 8 && fields.iter().all(|field| !field.is_empty()), "{line:?}");
    let id = fields[0];
    assert!(id.len() == 40 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{line}");
    let (address, bus) = fields[1].split_once('@').unwrap();
    let port: u32 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let bus: u32 = bus.split(',').next().unwrap().parse().unwrap();
    assert_eq!(bus, port + 10_000, "{line}");
    assert!(["master", "slave", "myself,master", "myself,slave"].contains(&fields[2]), "{line}");
    assert_eq!(fields[7], "connected");
}

// covers: T3
#[tokio::test]
async fn nothing_listens_on_the_bus_port() {
    let cluster = cluster::shared().await;
    for address in cluster.cluster_addresses() {
        let (host, port) = address.rsplit_once(':').unwrap();
        let bus = port.parse::<u16>().unwrap() + 10_000;
        assert!(TcpStream::connect((host, bus)).await.is_err(), "{bus}");
    }
}

#[tokio::test]
async fn slots_shards_and_nodes_agree() {
    let cluster = cluster::shared().await;
    let mut connection = Connection::open(&cluster.cluster_addresses()[0]).await.unwrap();
    let nodes = slots_of_nodes(&connection.run("CLUSTER NODES").await.unwrap().text());
    assert_eq!(nodes.len(), 16384, "each slot has one master");

    let mut slots = BTreeMap::new();
    for range in connection.run("CLUSTER SLOTS").await.unwrap().items() {
        let [first, last, master, ..] = range.items() else { panic!("{range}") };
        for slot in first.int().unwrap()..=last.int().unwrap() {
            assert_eq!(slots.insert(slot, master.items()[2].text()), None, "slot {slot} twice");
        }
    }
    assert_eq!(slots, nodes);

    let mut shards = BTreeMap::new();
    for shard in connection.run("CLUSTER SHARDS").await.unwrap().items() {
        let [_, ranges, _, members] = shard.items() else { panic!("{shard}") };
        let master = members.items().iter().map(fields).find(|node| node["role"].text() == "master").unwrap();
        for range in ranges.items().chunks(2) {
            for slot in range[0].int().unwrap()..=range[1].int().unwrap() {
                shards.insert(slot, master["id"].text());
            }
        }
    }
    assert_eq!(shards, nodes);
}

fn fields(map: &Value) -> BTreeMap<String, Value> {
    map.items().chunks(2).map(|pair| (pair[0].text(), pair[1].clone())).collect()
}

fn slots_of_nodes(nodes: &str) -> BTreeMap<i64, String> {
    let mut owners = BTreeMap::new();
    for line in nodes.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        for range in &fields[8..] {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            for slot in first.parse::<i64>().unwrap()..=last.parse().unwrap() {
                assert_eq!(owners.insert(slot, fields[0].to_owned()), None, "slot {slot} twice");
            }
        }
    }
    owners
}

#[tokio::test]
async fn small_answers() {
    let cluster = cluster::shared().await;
    let mut connection = Connection::open(&cluster.cluster_addresses()[0]).await.unwrap();
    let id = connection.run("CLUSTER MYID").await.unwrap().text();
    assert_eq!(id.len(), 40);
    assert_eq!(connection.run("CLUSTER MYSHARDID").await.unwrap().text().len(), 40);
    for (command, expected) in [
        ("CLUSTER KEYSLOT foo", "12182"),
        ("CLUSTER KEYSLOT {foo}bar", "12182"),
        ("CLUSTER KEYSLOT foo{}bar", "14292"),
        ("READONLY", "OK"),
        ("READWRITE", "OK"),
        ("ASKING", "OK"),
        ("CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid slot"),
        ("CLUSTER REPLICAS nobody", "-ERR Unknown node nobody"),
    ] {
        assert_eq!(connection.run(command).await.unwrap().to_string(), expected, "{command}");
    }
    let nobody = format!("CLUSTER REPLICAS {id}");
    assert!(matches!(connection.run(&nobody).await.unwrap(), Value::Array(_)));
    assert!(connection.run("CLUSTER HELP").await.unwrap().items().len() > 10);
    assert!(matches!(connection.run("CLUSTER LINKS").await.unwrap(), Value::Array(_)));
}
