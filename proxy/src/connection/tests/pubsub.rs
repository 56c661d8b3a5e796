//! Clients that subscribe and publish, as Redis answers them.

use super::*;
use crate::pubsub::tests::lead;

/// With a leader for every channel.
fn on_air<F: Future<Output = ()>>(test: impl FnOnce(Rc<Stage>) -> F) {
    on_stage(Options::default(), async |stage| {
        let leading = spawn_local(lead(stage.worker.shared.clone()));
        test(stage).await;
        leading.abort();
    });
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// `*3 word name :count`
fn confirmed(word: &str, name: &str, count: usize) -> String {
    format!("*3\r\n{}{}:{count}\r\n", bulk(word), bulk(name))
}

fn message(channel: &str, text: &str) -> String {
    format!("*3\r\n{}{}{}", bulk("message"), bulk(channel), bulk(text))
}

#[test]
fn confirmations_count_up_and_down() {
    on_air(async |stage| {
        let mut client = stage.connect(Side::Plain);
        let both = confirmed("subscribe", "a", 1) + &confirmed("subscribe", "b", 2);
        client.ask("subscribe a b", &both).await;
        client.ask("subscribe a", &confirmed("subscribe", "a", 2)).await;
        client.ask("psubscribe a*", &confirmed("psubscribe", "a*", 3)).await;
        client.ask("ssubscribe a", &confirmed("ssubscribe", "a", 1)).await;
        client
            .ask("unsubscribe b x", &(confirmed("unsubscribe", "b", 2) + &confirmed("unsubscribe", "x", 2)))
            .await;
        client.ask("unsubscribe", &confirmed("unsubscribe", "a", 1)).await;
        client.ask("unsubscribe", &format!("*3\r\n{}$-1\r\n:1\r\n", bulk("unsubscribe"))).await;
        client.ask("sunsubscribe", &confirmed("sunsubscribe", "a", 0)).await;
        client.ask("punsubscribe a*", &confirmed("punsubscribe", "a*", 0)).await;
        client.ask("get k", "$-1\r\n").await;
    });
}

#[test]
fn messages_reach_subscribers_and_are_counted() {
    on_air(async |stage| {
        let mut publisher = stage.connect(Side::Plain);
        let mut listeners = [stage.connect(Side::Plain), stage.connect(Side::Cluster)];
        publisher.ask("publish a hi", ":0\r\n").await;
        for listener in &mut listeners {
            listener.ask("subscribe a", &confirmed("subscribe", "a", 1)).await;
        }
        listeners[0].ask("psubscribe ?", &confirmed("psubscribe", "?", 2)).await;
        publisher.ask("publish a hi", ":3\r\n").await;
        publisher.ask("spublish a ho", ":0\r\n").await;
        let by_pattern = format!("*4\r\n{}{}{}{}", bulk("pmessage"), bulk("?"), bulk("a"), bulk("hi"));
        listeners[0].expect(&(message("a", "hi") + &by_pattern)).await;
        listeners[1].expect(&message("a", "hi")).await;
        listeners[1].ask("reset", "+RESET\r\n").await;
        publisher.ask("publish a hi", ":2\r\n").await;
        drop(listeners);
        until(|| stage.worker.shared.clients.len() == 1).await;
        publisher.ask("publish a hi", ":0\r\n").await;
    });
}

#[test]
fn published_messages_are_pipelined() {
    on_air(async |stage| {
        let mut publisher = stage.connect(Side::Plain);
        let mut listener = stage.connect(Side::Plain);
        listener.ask("subscribe a", &confirmed("subscribe", "a", 1)).await;
        let numbers = 0..3000;
        publisher.send(numbers.clone().map(|n| format!("publish a {n}\r\n")).collect::<String>()).await;
        publisher.send("echo done\r\n").await;
        publisher.expect(&(":1\r\n".repeat(3000) + &bulk("done"))).await;
        let all: String = numbers.map(|n| message("a", &n.to_string())).collect();
        listener.expect(&all).await;
    });
}

#[test]
fn only_a_few_commands_are_left_to_a_subscriber() {
    on_air(async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("subscribe a", &confirmed("subscribe", "a", 1)).await;
        let refused = "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                       allowed in this context\r\n";
        client.ask("get k", refused).await;
        client.ask("config get x", &refused.replace("'get'", "'config|get'")).await;
        client.ask("ping", &format!("*2\r\n{}{}", bulk("pong"), bulk(""))).await;
        client.ask("ping hi", &format!("*2\r\n{}{}", bulk("pong"), bulk("hi"))).await;
        client.ask("unsubscribe", &confirmed("unsubscribe", "a", 0)).await;
        client.ask("ping", "+PONG\r\n").await;
        client.ask("subscribe a", &confirmed("subscribe", "a", 1)).await;
        client.ask("quit", "+OK\r\n").await;
    });
}

#[test]
fn resp3_subscribers_may_use_everything() {
    on_air(async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.send("hello 3\r\nclient reply off\r\nsubscribe a\r\nclient reply on\r\n").await;
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n:1\r\n+OK\r\n") {
            seen.push(timeout(PATIENCE, client.io.read_u8()).await.unwrap().unwrap());
        }
        let confirmed = confirmed("subscribe", "a", 1).replacen('*', ">", 1);
        assert!(String::from_utf8(seen).unwrap().ends_with(&(confirmed + "+OK\r\n")));
        client.ask("ping", "+PONG\r\n").await;
        client.ask("get k", "_\r\n").await;
        // Its own message may come before or behind the reply.
        client.send("publish a hi\r\n").await;
        let mut seen = String::new();
        while seen.len() < ":1\r\n".len() + message("a", "hi").len() {
            seen.push(char::from(timeout(PATIENCE, client.io.read_u8()).await.unwrap().unwrap()));
        }
        let pushed = message("a", "hi").replacen('*', ">", 1);
        assert!(seen == format!(":1\r\n{pushed}") || seen == format!("{pushed}:1\r\n"), "{seen}");
        client.ask("unsubscribe", &format!(">3\r\n{}{}:0\r\n", bulk("unsubscribe"), bulk("a"))).await;
        client.ask("unsubscribe", &format!(">3\r\n{}_\r\n:0\r\n", bulk("unsubscribe"))).await;
    });
}

#[test]
fn messages_wait_behind_the_confirmation() {
    on_air(async |stage| {
        let mut publisher = stage.connect(Side::Plain);
        let mut listener = stage.connect(Side::Plain);
        stage.backend.holding.set(true);
        listener.send("get k\r\nsubscribe a\r\n").await;
        until(|| stage.worker.shared.pubsub.subscribers(crate::pubsub::Kind::Channel, b"a") == 1).await;
        publisher.ask("publish a one", ":1\r\n").await;
        publisher.ask("publish a two", ":1\r\n").await;
        stage.backend.release(false);
        let behind = confirmed("subscribe", "a", 1) + &message("a", "one") + &message("a", "two");
        listener.expect(&("$-1\r\n".to_owned() + &behind)).await;
    });
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_alone() {
    on_air(async |stage| {
        let mut good = stage.connect(Side::Plain);
        let mut deaf = stage.connect(Side::Plain);
        let mut publisher = stage.connect(Side::Plain);
        publisher.ask("config set client-output-buffer-limit \"pubsub 1mb 0 0\"", "+OK\r\n").await;
        for listener in [&mut good, &mut deaf] {
            listener.ask("subscribe a", &confirmed("subscribe", "a", 1)).await;
        }
        let text = "x".repeat(50_000);
        let frame = message("a", &text);
        let mut receivers = 2;
        while receivers == 2 {
            publisher.send(format!("publish a {text}\r\n")).await;
            receivers = publisher.io.read_u32().await.unwrap().to_be_bytes()[1] - b'0';
            good.expect(&frame).await;
        }
        let figures = &stage.worker.shared.pubsub.figures;
        assert_eq!(figures.cut_off.load(std::sync::atomic::Ordering::Relaxed), 1);
        publisher.ask("pubsub numsub a b", &format!("*4\r\n{}:1\r\n{}:0\r\n", bulk("a"), bulk("b"))).await;
    });
}

#[test]
fn others_can_see_who_subscribes() {
    on_air(async |stage| {
        let mut listener = stage.connect(Side::Plain);
        let mut client = stage.connect(Side::Plain);
        let both = confirmed("subscribe", "news", 1) + &confirmed("subscribe", "noise", 2);
        listener.ask("subscribe news noise", &both).await;
        listener.ask("psubscribe n*", &confirmed("psubscribe", "n*", 3)).await;
        listener.ask("ssubscribe shard", &confirmed("ssubscribe", "shard", 1)).await;
        client.ask("pubsub channels", &format!("*2\r\n{}{}", bulk("news"), bulk("noise"))).await;
        client.ask("pubsub channels ne*", &format!("*1\r\n{}", bulk("news"))).await;
        client.ask("pubsub shardchannels", &format!("*1\r\n{}", bulk("shard"))).await;
        client.ask("pubsub shardnumsub shard", &format!("*2\r\n{}:1\r\n", bulk("shard"))).await;
        client.ask("pubsub numsub", "*0\r\n").await;
        client.ask("pubsub numpat", ":1\r\n").await;
        let surplus =
            "-ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB HELP.\r\n";
        client.ask("pubsub channels a b", surplus).await;
        client.send("client list type pubsub\r\n").await;
        let list = client.text().await;
        assert!(list.contains(" flags=P ") && list.contains(" sub=2 psub=1 ssub=1 "), "{list}");
        assert_eq!(list.lines().filter(|line| line.starts_with("id=")).count(), 1);
        client.send("info\r\n").await;
        let info = client.text().await;
        for field in ["pubsub_clients:1", "pubsub_channels:2", "pubsub_patterns:1", "pubsubshard_channels:1"]
        {
            assert!(info.contains(field), "{field} in {info}");
        }
        client.ask("client kill type pubsub", ":1\r\n").await;
        assert_eq!(listener.rest().await, "");
        client.ask("pubsub numpat", ":0\r\n").await;
    });
}

#[test]
fn shard_channels_of_several_slots_are_refused_in_a_cluster() {
    on_air(async |stage| {
        let crossing = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
        let mut node = stage.connect(Side::Cluster);
        node.ask("ssubscribe a b", crossing).await;
        node.ask("sunsubscribe a b", crossing).await;
        node.ask(
            "ssubscribe {a}1 {a}2",
            &(confirmed("ssubscribe", "{a}1", 1) + &confirmed("ssubscribe", "{a}2", 2)),
        )
        .await;
        let mut plain = stage.connect(Side::Plain);
        plain
            .ask("ssubscribe a b", &(confirmed("ssubscribe", "a", 1) + &confirmed("ssubscribe", "b", 2)))
            .await;
    });
}

#[test]
fn transactions_subscribe_and_publish() {
    on_air(async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("multi", "+OK\r\n").await;
        for command in ["subscribe a", "publish a hi", "pubsub numpat", "unsubscribe x"] {
            client.ask(command, "+QUEUED\r\n").await;
        }
        let replies = confirmed("subscribe", "a", 1) + ":1\r\n:0\r\n" + &confirmed("unsubscribe", "x", 1);
        client.ask("exec", &format!("*4\r\n{replies}{}", message("a", "hi"))).await;
        client.ask("unsubscribe", &confirmed("unsubscribe", "a", 0)).await;
        client.ask("multi", "+OK\r\n").await;
        client.ask("publish a hi", "+QUEUED\r\n").await;
        client.ask("discard", "+OK\r\n").await;
    });
}

#[test]
fn a_transaction_whose_client_has_left_subscribes_to_nothing() {
    on_air(async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("multi", "+OK\r\n").await;
        for command in ["dbsize", "subscribe a", "scan 0"] {
            client.ask(command, "+QUEUED\r\n").await;
        }
        stage.backend.holding.set(true);
        client.send("exec\r\n").await;
        until(|| stage.backend.held() == 2).await;
        stage.worker.shared.clients.get(client.id).unwrap().kill();
        until(|| stage.worker.shared.clients.is_empty()).await;
        stage.backend.release(false);
        // What is behind it in the transaction is under way.
        until(|| stage.backend.held() == 1).await;
        assert_eq!(stage.worker.shared.pubsub.subscribers(crate::pubsub::Kind::Channel, b"a"), 0);
    });
}

#[test]
fn without_a_cluster_it_is_said_at_once() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("subscribe a", "-CLUSTERDOWN The cluster is down\r\n").await;
        client.ask("publish a hi", "-CLUSTERDOWN The cluster is down\r\n").await;
        client.ask("unsubscribe a", &confirmed("unsubscribe", "a", 0)).await;
        client.ask("get k", "$-1\r\n").await;
    });
}
