//! Functions and scripts on a real cluster: known everywhere at once, through every proxy and in every
//! group, over the death of whoever holds them, and executed once.

#[path = "scripts/long.rs"]
mod long;

use std::time::Duration;

use local_cluster::{Config, Listener};
use miraft_tests::{
    cluster::{self, TestCluster},
    real_redis::RealRedis,
    resp::{Connection, Value, encode},
    wait,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Keys of many slots, so of every group.
fn keys() -> impl Iterator<Item = String> {
    (0..50).map(|number| format!("key:{number}"))
}

async fn open(address: &str) -> Connection {
    Connection::open(address).await.unwrap()
}

async fn open_all(cluster: &TestCluster) -> Vec<Connection> {
    let mut clients = Vec::new();
    for address in cluster.plain_addresses() {
        clients.push(open(&address).await);
    }
    clients
}

/// `script` holds lines of `command => reply`.
async fn play(client: &mut Connection, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once(" => ").unwrap();
        assert_eq!(client.run(command).await.unwrap().to_string().trim_end(), expected, "{command}");
    }
}

async fn call(client: &mut Connection, words: &[&str]) -> String {
    client.call(words).await.unwrap().to_string()
}

/// A library with a function that answers `text`, and one that counts a key up.
fn library(name: &str, text: &str) -> String {
    format!(
        "#!lua name={name}\n\
         redis.register_function{{function_name='{name}_say', flags={{'no-writes'}}, \
             callback=function(keys, args) return '{text}' .. (args[1] or '') end}}\n\
         redis.register_function('{name}_count', function(keys) return redis.call('INCR', keys[1]) end)"
    )
}

async fn load(client: &mut Connection, name: &str, text: &str) -> String {
    call(client, &["FUNCTION", "LOAD", "REPLACE", &library(name, text)]).await
}

/// Every proxy, on keys of every group.
async fn all_say(clients: &mut [Connection], name: &str, text: &str) {
    let function = format!("{name}_say");
    for client in clients {
        for key in keys() {
            assert_eq!(call(client, &["FCALL", &function, "1", &key]).await, text, "{key}");
        }
    }
}

async fn list(client: &mut Connection) -> Vec<String> {
    let listed = client.run("FUNCTION LIST").await.unwrap();
    listed.items().iter().map(|library| library.items()[1].text()).collect()
}

/// As client libraries do with commands on functions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_tell_every_master_of_a_library() {
    let cluster = TestCluster::start().await;
    let mut masters = Vec::new();
    for address in cluster.cluster_addresses() {
        masters.push(open(&address).await);
    }
    let code = library("told", "x");
    let mut payload = Vec::new();
    for master in &mut masters {
        assert_eq!(call(master, &["FUNCTION", "LOAD", &code]).await, "told");
        payload = master.run("FUNCTION DUMP").await.unwrap().bytes().unwrap().to_vec();
    }
    let other = library("told", "y");
    for master in &mut masters {
        let refused = call(master, &["FUNCTION", "LOAD", &other]).await;
        assert_eq!(refused, "-ERR Library 'told' already exists");
    }
    for deletes in [&["FUNCTION", "DELETE", "told"][..], &["FUNCTION", "FLUSH"]] {
        for master in &mut masters {
            let restored = master.call([&b"FUNCTION"[..], b"RESTORE", &payload]).await.unwrap();
            assert_eq!(restored.to_string(), "OK");
        }
        for master in &mut masters {
            assert_eq!(call(master, deletes).await, "OK");
        }
    }
    let unknown = call(&mut masters[0], &["FUNCTION", "DELETE", "told"]).await;
    assert_eq!(unknown, "-ERR Library not found", "since all were dropped");
    let mut plain = open(&cluster.plain()).await;
    assert_eq!(call(&mut plain, &["FUNCTION", "LOAD", &code]).await, "told");
    let refused = call(&mut plain, &["FUNCTION", "LOAD", &code]).await;
    assert_eq!(refused, "-ERR Library 'told' already exists");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_is_everywhere_once_it_is_loaded() {
    let cluster = cluster::shared().await;
    let mut clients = open_all(&cluster).await;
    for round in 0..20 {
        let text = format!("text {round}");
        let at = round % clients.len();
        assert_eq!(load(&mut clients[at], "everywhere", &text).await, "everywhere");
        all_say(&mut clients, "everywhere", &text).await;
    }
    let refused = call(&mut clients[1], &["FUNCTION", "LOAD", &library("everywhere", "x")]).await;
    assert_eq!(refused, "-ERR Library 'everywhere' already exists");
    let other = library("everywhere", "x").replace("name=everywhere", "name=other");
    let refused = call(&mut clients[1], &["FUNCTION", "LOAD", &other]).await;
    assert!(refused.ends_with(" already exists") && refused.starts_with("-ERR Function every"), "{refused}");
    play(
        &mut clients[2],
        "FCALL EVERYWHERE_SAY 0 ! => text 19!
         FCALL_RO everywhere_say 1 a => text 19
         FCALL_RO everywhere_count 1 a => -ERR Can not execute a script with write flag using *_ro command.
         FCALL nosuch 0 => -ERR Function not found
         FCALL everywhere_say x => -ERR Bad number of keys provided
         FCALL everywhere_say -1 => -ERR Number of keys can't be negative
         FCALL everywhere_say 3 a => -ERR Number of keys can't be greater than number of args
         FUNCTION LOAD FOO x => -ERR Unknown option given: FOO
         FUNCTION LOAD x => -ERR Missing library metadata
         FUNCTION FLUSH NOW => -ERR FUNCTION FLUSH only supports SYNC|ASYNC option
         FUNCTION KILL => -NOTBUSY No scripts in execution right now.
         FUNCTION DELETE everywhere => OK
         FUNCTION DELETE everywhere => -ERR Library not found",
    )
    .await;
    for client in &mut clients {
        for key in keys() {
            let gone = call(client, &["FCALL", "everywhere_say", "1", &key]).await;
            assert_eq!(gone, "-ERR Function not found");
        }
        assert!(!list(client).await.contains(&"everywhere".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_load_a_library_one_succeeds() {
    let cluster = cluster::shared().await;
    let addresses = cluster.plain_addresses();
    let (mut one, mut two) = (open(&addresses[0]).await, open(&addresses[1]).await);
    for round in 0..20 {
        let name = format!("race{round}");
        let (first, second) = (library(&name, "one"), library(&name, "two"));
        let (first, second) =
            tokio::join!(one.call(["FUNCTION", "LOAD", &first]), two.call(["FUNCTION", "LOAD", &second]),);
        let (first, second) = (first.unwrap().to_string(), second.unwrap().to_string());
        let refused = format!("-ERR Library '{name}' already exists");
        let winner = match (first == name, second == name) {
            (true, false) => "one",
            (false, true) => "two",
            _ => panic!("{first}, {second}"),
        };
        assert!(first == refused || second == refused, "{first}, {second}");
        all_say(&mut [open(&addresses[2]).await], &name, winner).await;
        assert_eq!(call(&mut one, &["FUNCTION", "DELETE", &name]).await, "OK");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libraries_travel_to_a_real_redis_and_back() {
    let real = RealRedis::start(&[]).await;
    let cluster = TestCluster::start().await;
    let mut clients = open_all(&cluster).await;
    let mut theirs = open(&real.address).await;
    for (name, text) in [("travel_a", "a"), ("travel_b", "b")] {
        load(&mut clients[0], name, text).await;
        load(&mut theirs, name, text).await;
    }
    let dumped = clients[1].run("FUNCTION DUMP").await.unwrap();
    let restored = theirs.call([&b"FUNCTION"[..], b"RESTORE", dumped.bytes().unwrap(), b"FLUSH"]).await;
    assert_eq!(restored.unwrap().to_string(), "OK");
    assert_eq!(call(&mut theirs, &["FCALL", "travel_a_say", "0"]).await, "a");
    for words in [&["FUNCTION", "STATS"][..], &["FUNCTION", "LIST", "LIBRARYNAME", "*_B", "WITHCODE"]] {
        // In a library, a real Redis lists functions in no order.
        let sorted = |value: Value| {
            let mut letters: Vec<char> = value.to_string().chars().collect();
            letters.sort_unstable();
            letters
        };
        let (our, their) = (clients[2].call(words).await.unwrap(), theirs.call(words).await.unwrap());
        assert_eq!(sorted(our.clone()), sorted(their.clone()), "{our} and {their}");
    }

    let payload = theirs.run("FUNCTION DUMP").await.unwrap();
    let mut restore = async |policy: &[u8]| {
        let command = [&b"FUNCTION"[..], b"RESTORE", payload.bytes().unwrap(), policy];
        clients[0].call(command).await.unwrap().to_string()
    };
    assert!(restore(b"APPEND").await.starts_with("-ERR Library travel_"));
    assert_eq!(restore(b"REPLACE").await, "OK");
    assert_eq!(restore(b"FLUSH").await, "OK");
    assert!(restore(b"NONE").await.starts_with("-ERR Wrong restore policy given"));
    all_say(&mut clients, "travel_b", "b").await;
    play(
        &mut clients[1],
        "FUNCTION RESTORE garbage => -ERR DUMP payload version or checksum are wrong
         FUNCTION FLUSH SYNC => OK
         FUNCTION LIST => []
         FUNCTION STATS => [running_script nil engines [LUA [libraries_count 0 functions_count 0]]]",
    )
    .await;
}

// covers: R1, R2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libraries_outlive_leaders_and_restarts_and_calls_count_once() {
    let mut cluster = TestCluster::start_with(|config| Config { proxies: 2, ..config }).await;
    let mut clients = open_all(&cluster).await;
    assert_eq!(load(&mut clients[0], "lasting", "here").await, "lasting");

    // Calls go on while the leader of their key dies; each counts once.
    let counting = tokio::spawn(count_up(cluster.proxy_address(2, Listener::Plain), 3000));
    wait_for_count(&mut clients[0], 500).await;
    let leader = cluster.leader_of("counter").await;
    cluster.kill(leader).unwrap();
    assert_eq!(counting.await.unwrap(), 3000);
    all_say(&mut clients, "lasting", "here").await;
    cluster.restart(leader).unwrap();

    // A change while meta has lost its leader.
    let meta = cluster.meta_leader().await;
    cluster.kill(meta).unwrap();
    assert_eq!(load(&mut clients[1], "lasting", "changed").await, "lasting");
    all_say(&mut clients, "lasting", "changed").await;
    // Without a quorum nothing changes, and calls go on.
    let second = cluster.meta_leader().await;
    cluster.kill(second).unwrap();
    let refused = load(&mut clients[1], "lasting", "again").await;
    assert!(refused.starts_with("-ERR The change is not confirmed"), "{refused}");
    all_say(&mut clients, "lasting", "changed").await;
    cluster.restart(meta).unwrap();
    cluster.restart(second).unwrap();
    wait::until_true("meta takes changes again", PATIENCE, async || {
        load(&mut open(&cluster.plain()).await, "lasting", "at last").await == "lasting"
    })
    .await;
    all_say(&mut clients, "lasting", "at last").await;

    drop(clients);
    let members: Vec<_> = cluster.members().iter().map(|member| member.id).collect();
    for &member in &members {
        cluster.kill(member).unwrap();
    }
    for &member in &members {
        cluster.restart(member).unwrap();
    }
    wait::until("a function of before", PATIENCE, async || {
        let mut client = Connection::open(&cluster.plain()).await?;
        let said = client.call(["FCALL", "lasting_say", "1", "k"]).await?.to_string();
        anyhow::ensure!(said == "at last", "{said}");
        anyhow::Ok(())
    })
    .await;
    all_say(&mut open_all(&cluster).await, "lasting", "at last").await;
}

async fn wait_for_count(client: &mut Connection, count: i64) {
    let mut reached = 0;
    while reached < count {
        let value = client.run("GET counter").await.unwrap();
        reached = value.text().parse().unwrap_or(0);
    }
}

/// Answers what the counter is at the end.
async fn count_up(address: String, times: i64) -> i64 {
    let mut client = open(&address).await;
    let mut last = 0;
    for expected in 1..=times {
        last = client.run("FCALL lasting_count 1 counter").await.unwrap().int().unwrap();
        assert_eq!(last, expected);
    }
    last
}

fn sha1(script: &str) -> String {
    use sha1::Digest as _;
    sha1::Sha1::digest(script).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_is_known_anywhere_is_known_everywhere() {
    // Its own: SCRIPT FLUSH would disturb others.
    let cluster = TestCluster::start().await;
    let mut clients = open_all(&cluster).await;
    let script = "return ARGV[1] .. KEYS[1] -- known by EVAL";
    let digest = sha1(script);
    let unknown = "-NOSCRIPT No matching script. Please use EVAL.";
    assert_eq!(call(&mut clients[1], &["EVALSHA", &digest, "1", "k", "a"]).await, unknown);
    assert_eq!(call(&mut clients[0], &["EVAL", script, "1", "k", "a"]).await, "ak");
    for client in &mut clients {
        assert_eq!(call(client, &["SCRIPT", "EXISTS", &digest.to_uppercase(), "x"]).await, "[1 0]");
        for key in keys() {
            let said = call(client, &["EVALSHA", &digest.to_uppercase(), "1", &key, "b"]).await;
            assert_eq!(said, format!("b{key}"));
        }
    }
    let script = "return 'loaded'";
    assert_eq!(call(&mut clients[2], &["SCRIPT", "LOAD", script]).await, sha1(script));
    for client in &mut clients {
        for key in keys() {
            assert_eq!(call(client, &["EVALSHA_RO", &sha1(script), "1", &key]).await, "loaded");
        }
    }
    assert_eq!(call(&mut clients[1], &["SCRIPT", "FLUSH"]).await, "OK");
    for client in &mut clients {
        assert_eq!(call(client, &["SCRIPT", "EXISTS", &digest, &sha1(script)]).await, "[0 0]");
        for key in keys() {
            assert_eq!(call(client, &["EVALSHA", &digest, "1", &key, "b"]).await, unknown);
        }
    }
}

/// What follows an EVALSHA whose script has to be fetched first comes after it all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_keep_their_place_in_pipelines_and_transactions() {
    let cluster = cluster::shared().await;
    let mut clients = open_all(&cluster).await;
    for (round, key) in keys().enumerate() {
        let script = format!("return redis.call('APPEND', KEYS[1], 'script{round}')");
        let digest = sha1(&script);
        call(&mut clients[0], &["EVAL", &script, "1", "somewhere"]).await;
        let commands = [
            encode(["SET", &key, "before "]),
            encode(["EVALSHA", &digest, "1", &key]),
            encode(["APPEND", &key, " after"]),
            encode(["GET", &key]),
        ];
        let replies = clients[1].pipeline(&commands).await.unwrap();
        assert_eq!(replies[3].text(), format!("before script{round} after"));

        let script = format!("return redis.call('APPEND', KEYS[1], 'transaction{round}')");
        let digest = sha1(&script);
        call(&mut clients[0], &["EVAL", &script, "1", "somewhere"]).await;
        let commands = [
            encode(["MULTI"]),
            encode(["SET", &key, ""]),
            encode(["EVALSHA", &digest, "1", &key]),
            encode(["EVAL", &script, "1", &key]),
            encode(["EXEC"]),
            encode(["GET", &key]),
        ];
        let replies = clients[2].pipeline(&commands).await.unwrap();
        assert!(replies[4].items().iter().all(|reply| reply.error().is_none()), "{}", replies[4]);
        assert_eq!(replies[5].text(), format!("transaction{round}transaction{round}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_loads_what_later_ones_call() {
    let cluster = cluster::shared().await;
    let mut clients = open_all(&cluster).await;
    let code = library("queued", "from a transaction");
    for words in [&["MULTI"][..], &["SCRIPT", "LOAD", "return 7"], &["FUNCTION", "LOAD", &code]] {
        let answer = call(&mut clients[0], words).await;
        assert!(["OK", "QUEUED"].contains(&&*answer), "{answer}");
    }
    for wrong in ["SCRIPT FLUSH NOW", "FUNCTION DELETE nosuch"] {
        assert_eq!(clients[0].run(wrong).await.unwrap().to_string(), "QUEUED");
    }
    let done = clients[0].run("EXEC").await.unwrap();
    let [digest, name, flushed, deleted] = done.items() else { panic!("{done}") };
    assert_eq!(name.text(), "queued");
    assert_eq!(flushed.to_string(), "-ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    assert_eq!(deleted.to_string(), "-ERR Library not found");
    all_say(&mut clients, "queued", "from a transaction").await;
    for client in &mut clients {
        for key in keys() {
            assert_eq!(call(client, &["EVALSHA", &digest.text(), "1", &key]).await, "7");
        }
    }
    assert_eq!(call(&mut clients[0], &["FUNCTION", "DELETE", "queued"]).await, "OK");
}

// covers: R1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_outlive_the_leader_that_they_were_given_to() {
    let mut cluster = TestCluster::start_with(|config| Config { proxies: 2, ..config }).await;
    let mut clients = open_all(&cluster).await;
    let script = "return redis.call('INCR', KEYS[1])";
    assert_eq!(call(&mut clients[0], &["EVAL", script, "1", "k"]).await, "1");
    let leader = cluster.leader_of("k").await;
    cluster.kill(leader).unwrap();
    assert_eq!(call(&mut clients[1], &["EVALSHA", &sha1(script), "1", "k"]).await, "2");
    for key in keys() {
        assert_eq!(call(&mut clients[1], &["EVALSHA", &sha1(script), "1", &key]).await, "1", "{key}");
    }
}
