//! What each command changes, and what it refuses.

use miraft_tests::real_redis::RealRedis;

use super::*;

// covers: T8, T9, T10, T14
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_it_says() {
    let cluster = manual(4).await;
    let addresses = cluster.cluster_addresses();
    strangers(&addresses).await;
    foreigners(&addresses).await;
    by_hand(&addresses[..3]).await;
    meeting(&addresses).await;
    slots(&addresses).await;
    open_slots(&addresses).await;
    replicating(&addresses).await;
    transactions(&addresses).await;
    keys_block_a_reset(&addresses).await;
}

/// Islands: each alone, and refused what makes no sense.
async fn strangers(addresses: &[String]) {
    let [one, two, ..] = addresses else { panic!("four proxies") };
    let (mine, theirs) = (my_id(one).await, my_id(two).await);
    for (command, expected) in [
        ("CLUSTER SET-CONFIG-EPOCH 7".to_owned(), "OK".to_owned()),
        ("CLUSTER SET-CONFIG-EPOCH 8".into(), "-ERR Node config epoch is already non-zero".into()),
        (format!("CLUSTER REPLICATE {theirs}"), format!("-ERR Unknown node {theirs}")),
        (format!("CLUSTER REPLICATE {mine}"), "-ERR Can't replicate myself".into()),
        (format!("CLUSTER FORGET {theirs}"), format!("-ERR Unknown node {theirs}")),
        (format!("CLUSTER FORGET {mine}"), "-ERR I tried hard but I can't forget myself...".into()),
        (format!("CLUSTER SETSLOT 1 NODE {theirs}"), format!("-ERR Unknown node {theirs}")),
        (format!("CLUSTER SETSLOT 1 IMPORTING {theirs}"), format!("-ERR I don't know about node {theirs}")),
        (format!("CLUSTER SETSLOT 1 MIGRATING {theirs}"), "-ERR I'm not the owner of hash slot 1".into()),
        ("CLUSTER MEET 127.0.0.1 1".into(), "-ERR No node can be reached at 127.0.0.1:1".into()),
        ("CLUSTER MEET 127.0.0.1 x".into(), "-ERR Invalid base port specified: x".into()),
        ("CLUSTER FAILOVER".into(), "-ERR You should send CLUSTER FAILOVER to a replica".into()),
        ("CLUSTER DELSLOTS 3".into(), "-ERR Slot 3 is already unassigned".into()),
        ("CLUSTER SAVECONFIG".into(), "OK".into()),
        ("SET foo bar".into(), "-CLUSTERDOWN Hash slot not served".into()),
    ] {
        assert_eq!(ask(one, &command).await, expected, "{command}");
    }
}

/// A node of another cluster answers at the address.
async fn foreigners(addresses: &[String]) {
    let redis = RealRedis::start(&["--cluster-enabled", "yes"]).await;
    let (host, port) = redis.address.rsplit_once(':').unwrap();
    let answer = ask(&addresses[0], &format!("CLUSTER MEET {host} {port}")).await;
    assert!(answer.starts_with("-ERR The node at ") && answer.contains("another cluster"), "{answer}");
    assert_eq!(info(&addresses[0], "cluster_known_nodes").await, "1");
}

/// Once is enough, in either direction, by any address that leads there.
async fn meeting(addresses: &[String]) {
    for address in &addresses[..3] {
        assert_eq!(info(address, "cluster_known_nodes").await, "3");
        assert_eq!(info(address, "cluster_state").await, "ok");
    }
    let views: std::collections::BTreeSet<Vec<String>> =
        [nodes(&addresses[0]).await, nodes(&addresses[1]).await, nodes(&addresses[2]).await]
            .into_iter()
            .map(|view| view.into_values().map(|line| line.replace("myself,", "")).collect())
            .collect();
    assert_eq!(views.len(), 1, "{views:#?}");
    let (_, port) = addresses[3].rsplit_once(':').unwrap();
    let bus_port = port.parse::<u32>().unwrap() + 10_000;
    must(&addresses[1], &format!("CLUSTER MEET localhost {port} {}", bus_port % 65_536)).await;
    let epoch = ask(&addresses[3], "CLUSTER SET-CONFIG-EPOCH 3").await;
    assert!(epoch.contains("only when the node does not know any other node"), "{epoch}");
    let (host, port) = addresses[0].rsplit_once(':').unwrap();
    must(&addresses[3], &format!("CLUSTER MEET {host} {port}")).await;
    assert_eq!(info(&addresses[0], "cluster_known_nodes").await, "4");
    let forgotten = my_id(&addresses[3]).await;
    for address in &addresses[..3] {
        must(address, &format!("CLUSTER FORGET {forgotten}")).await;
    }
    assert_eq!(info(&addresses[3], "cluster_known_nodes").await, "1");
    must(&addresses[3], &format!("CLUSTER MEET {host} {port}")).await;
}

/// An unowned slot fails the cluster; its keys are there again when it is assigned again.
async fn slots(addresses: &[String]) {
    must(&addresses[0], "SET foo kept").await;
    assert_eq!(ask(&addresses[2], "CLUSTER COUNTKEYSINSLOT 12182").await, "1");
    must(&addresses[1], "CLUSTER DELSLOTS 12182").await;
    for address in addresses {
        assert_eq!(info(address, "cluster_state").await, "fail");
        assert_eq!(ask(address, "GET foo").await, "-CLUSTERDOWN Hash slot not served");
    }
    assert_eq!(ask(&addresses[0], "SET other 1").await, "OK", "other slots are served");
    let elsewhere = ask(&addresses[1], "CLUSTER ADDSLOTS 12182").await;
    assert!(elsewhere.starts_with("-ERR Slot 12182 holds keys"), "{elsewhere}");
    must(&addresses[2], "CLUSTER ADDSLOTS 12182").await;
    assert_eq!(text(&addresses[0], "GET foo").await, "kept");
    assert_eq!(info(&addresses[0], "cluster_state").await, "ok");
    assert_eq!(
        strings(
            &Connection::open(&addresses[2])
                .await
                .unwrap()
                .run("CLUSTER GETKEYSINSLOT 12182 10")
                .await
                .unwrap()
        ),
        ["foo"]
    );
    // An empty one goes to whoever asks.
    must(&addresses[1], "CLUSTER DELSLOTS 5").await;
    must(&addresses[1], "CLUSTER ADDSLOTS 5").await;
    assert!(nodes(&addresses[0]).await[&my_id(&addresses[1]).await].ends_with(" 5 5461-10922"));
}

/// SETSLOT: marks on the own line, and the move of a slot without keys.
async fn open_slots(addresses: &[String]) {
    let ids = [my_id(&addresses[0]).await, my_id(&addresses[1]).await];
    must(&addresses[0], &format!("CLUSTER SETSLOT 10 MIGRATING {}", ids[1])).await;
    must(&addresses[1], &format!("CLUSTER SETSLOT 10 IMPORTING {}", ids[0])).await;
    assert!(nodes(&addresses[0]).await[&ids[0]].ends_with(&format!(" [10->-{}]", ids[1])));
    assert!(nodes(&addresses[1]).await[&ids[1]].ends_with(&format!(" [10-<-{}]", ids[0])));
    assert!(!nodes(&addresses[2]).await[&ids[0]].contains('['), "on the own line only");
    for address in &addresses[..3] {
        must(address, &format!("CLUSTER SETSLOT 10 NODE {}", ids[1])).await;
    }
    assert!(nodes(&addresses[2]).await[&ids[1]].contains(" 5 10 5461-10922"));
    assert!(!nodes(&addresses[0]).await[&ids[0]].contains('['), "closed");
    let full = ask(&addresses[2], &format!("CLUSTER SETSLOT 12182 NODE {}", ids[1])).await;
    assert!(full.starts_with("-ERR Can't assign hashslot 12182 to a different node"), "{full}");
    assert_eq!(text(&addresses[1], "GET foo").await, "kept");
}

async fn replicating(addresses: &[String]) {
    let (master, replica) = (my_id(&addresses[0]).await, my_id(&addresses[3]).await);
    let busy = ask(&addresses[1], &format!("CLUSTER REPLICATE {master}")).await;
    assert_eq!(busy, "-ERR To set a master the node must be empty and without assigned slots.");
    must(&addresses[3], &format!("CLUSTER REPLICATE {master}")).await;
    for address in addresses {
        let line = &nodes(address).await[&replica];
        assert!(line.contains(&format!("slave {master} ")), "{line}");
    }
    let again = ask(&addresses[1], &format!("CLUSTER REPLICATE {replica}")).await;
    assert!(again.starts_with("-ERR"), "{again}");
    assert_eq!(ask(&addresses[3], "CLUSTER ADDSLOTS 1").await, "-ERR Please use ADDSLOTS only with masters.");
    roles(&addresses[0], &addresses[3]).await;
    keys_of_a_replica(&addresses[0], &addresses[3]).await;
    must(&addresses[3], "CLUSTER FAILOVER").await;
    roles(&addresses[3], &addresses[0]).await;
    let seen = nodes(&addresses[1]).await;
    assert!(seen[&master].contains(&format!("slave {replica} ")), "{seen:#?}");
    assert!(seen[&replica].contains("master - ") && seen[&replica].contains("0-"), "{seen:#?}");
    must(&addresses[0], "CLUSTER FAILOVER FORCE").await;
    assert!(ask(&addresses[0], "CLUSTER BUMPEPOCH").await.starts_with("STILL "));
    assert!(ask(&addresses[1], "CLUSTER BUMPEPOCH").await.starts_with("BUMPED "));
}

/// A replica shows the keys of its master, and does not remove them.
async fn keys_of_a_replica(master: &str, replica: &str) {
    // Of slot 5061.
    must(master, "SET bar kept").await;
    for command in ["DBSIZE", "KEYS *", "SCAN 0 COUNT 1000", "RANDOMKEY", "CLUSTER COUNTKEYSINSLOT 5061"] {
        let (shown, expected) = (ask(replica, command).await, ask(master, command).await);
        assert!(shown == expected && !["0", "[]", "nil"].contains(&shown.as_str()), "{command}: {shown}");
    }
    assert!(text(replica, "INFO keyspace").await.contains("db0:keys="));
    assert_eq!(ask(replica, "FLUSHALL").await, "-READONLY You can't write against a read only replica.");
    assert_eq!(ask(master, "DEL bar").await, "1");
}

/// What a master and its replica say of themselves.
async fn roles(master: &str, replica: &str) {
    let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
    let role = ask(master, "ROLE").await;
    assert!(
        role.starts_with("[master ") && role.contains(&format!(" [[127.0.0.1 {} ", port(replica))),
        "{role}"
    );
    let role = ask(replica, "ROLE").await;
    assert!(role.starts_with(&format!("[slave 127.0.0.1 {} connected ", port(master))), "{role}");
    let info = text(master, "INFO replication").await;
    let shown = format!(
        "role:master\r\nconnected_slaves:1\r\nslave0:ip=127.0.0.1,port={},state=online,offset=",
        port(replica)
    );
    assert!(info.contains(&shown), "{info}");
    let id = info.lines().find(|line| line.starts_with("master_replid:")).unwrap();
    let info = text(replica, "INFO replication").await;
    let shown = format!("role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:{}\r\n", port(master));
    assert!(info.contains(&shown) && info.contains(id), "{info}");
    for (address, role) in [(master, "master"), (replica, "replica")] {
        let hello = ask(address, "HELLO").await;
        assert!(hello.contains(&format!("role {role}")), "{hello}");
    }
}

/// As `redis-cli --cluster fix` uses them.
async fn transactions(addresses: &[String]) {
    let mut client = Connection::open(&addresses[0]).await.unwrap();
    let mut run = async |command: &str| client.run(command).await.unwrap().to_string();
    assert_eq!(run("MULTI").await, "OK");
    for command in
        ["CLUSTER DELSLOTS 50", "CLUSTER ADDSLOTS 50", "CLUSTER DELSLOTS 99999", "CLUSTER BUMPEPOCH"]
    {
        let expected = if command.contains("99999") { "-ERR Invalid or out of range slot" } else { "QUEUED" };
        assert_eq!(run(command).await, expected);
    }
    assert_eq!(run("EXEC").await, "-EXECABORT Transaction discarded because of previous errors.");
    assert_eq!(run("MULTI").await, "OK");
    assert_eq!(run("MULTI").await, "-ERR MULTI calls can not be nested");
    for command in ["CLUSTER DELSLOTS 50", "CLUSTER ADDSLOTS 50", "CLUSTER ADDSLOTS 50"] {
        assert_eq!(run(command).await, "QUEUED");
    }
    let replies = client.run("EXEC").await.unwrap();
    let replies: Vec<String> = replies.items().iter().map(ToString::to_string).collect();
    assert_eq!(replies, ["OK", "OK", "-ERR Slot 50 is already busy"]);
    for (command, expected) in [
        ("EXEC", "-ERR EXEC without MULTI"),
        ("DISCARD", "-ERR DISCARD without MULTI"),
        ("MULTI", "OK"),
        ("DISCARD", "OK"),
        ("PING", "PONG"),
    ] {
        assert_eq!(client.run(command).await.unwrap().to_string(), expected);
    }
}

async fn keys_block_a_reset(addresses: &[String]) {
    let refused = ask(&addresses[2], "CLUSTER RESET").await;
    assert_eq!(refused, "-ERR CLUSTER RESET can't be called with master nodes containing keys");
    let refused = ask(&addresses[2], "CLUSTER FLUSHSLOTS").await;
    assert_eq!(refused, "-ERR DB must be empty to perform CLUSTER FLUSHSLOTS.");
    assert_eq!(text(&addresses[1], "GET foo").await, "kept");
}
