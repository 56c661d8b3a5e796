//! What a client that caches is told, and when.

use bytes::Bytes;
use proto::v1::{Changed, EventChanged};

use super::*;
use crate::{
    backend_api::Caches,
    pubsub::{KeyNews, tests::lead},
    tracking::Reader,
};

/// A client that tracks, and the other end of its worker.
async fn tracker(stage: &Stage) -> (Client, Reader) {
    let mut client = stage.connect(Side::Plain);
    client.send("hello 3\r\nclient tracking on\r\n").await;
    client.until("+OK\r\n").await;
    (client, Reader { shared: stage.worker.shared.clone(), worker: 0 })
}

fn changes(reader: &Reader, key: &'static str) {
    reader.changed(Changed { keys: vec![Bytes::from(key)], ..Changed::default() });
}

fn invalidated(key: &str) -> String {
    format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{key}\r\n", key.len())
}

#[test]
fn a_change_is_told_behind_what_was_read_before() {
    on_stage(Options::default(), async |stage| {
        let (mut client, reader) = tracker(&stage).await;
        client.ask("set k old", "+OK\r\n").await;
        stage.backend.holding.set(true);
        client.send("get slow\r\nget k\r\nget later\r\n").await;
        until(|| stage.backend.held() == 3).await;
        reader.has_read(client.id, b"k");
        stage.backend.release_one(1);
        changes(&reader, "k");
        settle().await;
        stage.backend.release_one(0);
        client.expect(&format!("_\r\n$3\r\nold\r\n{}", invalidated("k"))).await;
        stage.backend.release(false);
        client.expect("_\r\n").await;
    });
}

#[test]
fn a_change_overtakes_what_has_no_reply() {
    on_stage(Options::default(), async |stage| {
        let (mut client, reader) = tracker(&stage).await;
        stage.backend.holding.set(true);
        reader.has_read(client.id, b"k");
        client.send("get slow\r\n").await;
        until(|| stage.backend.held() == 1).await;
        changes(&reader, "k");
        client.expect(&invalidated("k")).await;
        stage.backend.release(false);
        client.expect("_\r\n").await;
    });
}

#[test]
fn a_change_is_told_behind_each_reply_that_is_made_of_several() {
    on_stage(Options::default(), async |stage| {
        let (mut client, reader) = tracker(&stage).await;
        client.ask("mset a 1 b 2", "+OK\r\n").await;
        stage.backend.holding.set(true);
        client.send("mget a b\r\nmget a b\r\n").await;
        until(|| stage.backend.held() == 4).await;
        stage.backend.release_one(1);
        stage.backend.release_one(0);
        // One part of the second.
        reader.has_read(client.id, b"a");
        stage.backend.release_one(0);
        changes(&reader, "a");
        settle().await;
        stage.backend.release(false);
        let both = "*2\r\n$1\r\n1\r\n$1\r\n2\r\n";
        client.expect(&format!("{both}{both}{}", invalidated("a"))).await;
    });
}

#[test]
fn a_change_of_a_prefix_is_told_behind_what_was_asked_before() {
    on_stage(Options::default(), async |stage| {
        let shared = stage.worker.shared.clone();
        let leading = spawn_local(lead(shared.clone()));
        let mut client = stage.connect(Side::Plain);
        client.ask("set k old", "+OK\r\n").await;
        client.send("hello 3\r\nclient tracking on bcast\r\n").await;
        client.until("+OK\r\n").await;
        stage.backend.holding.set(true);
        client.send("get k\r\nget other\r\n").await;
        until(|| stage.backend.held() == 2).await;
        let changed = EventChanged { keys: vec![Bytes::from("k")], ..EventChanged::default() };
        shared.tracking.heard(&shared, KeyNews::Changed(changed));
        settle().await;
        stage.backend.release(false);
        client.expect(&format!("$3\r\nold\r\n_\r\n{}", invalidated("k"))).await;
        leading.abort();
    });
}
