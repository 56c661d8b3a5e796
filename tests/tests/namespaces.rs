//! Namespaces on real clusters: hashes whose fields are spread over all groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use local_cluster::{Config, Listener, Role};
use miraft_tests::{
    cluster::TestCluster,
    python::python,
    resp::{Connection, Value},
    wait,
};
use topology::namespace::{shard_of, shards};

const FIELDS: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(30);

async fn start() -> TestCluster {
    let cluster = TestCluster::start_with(|config| Config { proxies: 2, ..config }).await;
    cluster.write_manifest().await.unwrap();
    cluster
}

fn miraft(dir: &Path, words: &str) -> Output {
    let test = std::env::current_exe().unwrap();
    let binary: PathBuf = test.parent().and_then(Path::parent).unwrap().join("miraft");
    Command::new(binary).args(words.split(' ')).arg("--dir").arg(dir).output().unwrap()
}

/// Runs `miraft cluster namespaces …`.
fn namespaces(cluster: &TestCluster, words: &str) -> Result<String, String> {
    let output = miraft(cluster.dir(), &format!("cluster namespaces {words}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

async fn run(client: &mut Connection, command: &str) -> String {
    client.run(command).await.unwrap().to_string()
}

fn field(number: usize) -> String {
    format!("field{number}")
}

/// Sets fields by commands of a hundred each.
async fn fill(client: &mut Connection, name: &str, count: usize) {
    for first in (0..count).step_by(100) {
        let pairs = (first..first + 100).flat_map(|number| [field(number), number.to_string()]);
        let words = ["HSET".to_owned(), name.to_owned()].into_iter().chain(pairs);
        assert_eq!(client.call(words).await.unwrap(), Value::Int(100));
    }
}

fn texts(reply: &Value) -> Vec<String> {
    reply.items().iter().map(Value::text).collect()
}

/// The whole hash by HSCAN.
async fn scanned(client: &mut Connection, name: &str, count: usize) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut cursor = "0".to_owned();
    loop {
        let page = client.run(&format!("HSCAN {name} {cursor} COUNT {count}")).await.unwrap();
        let [next, items] = page.items() else { panic!("{page}") };
        found.extend(texts(items).chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
        cursor = next.text();
        if cursor == "0" {
            return found;
        }
    }
}

// covers: D5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_are_spread_and_found_again() {
    let cluster = start().await;
    let plain = cluster.plain_addresses();
    let mut one = Connection::open(&plain[0]).await.unwrap();
    let mut other = Connection::open(&plain[1]).await.unwrap();

    // By default, and for all other names, a hash is one key.
    fill(&mut one, "plain", 100).await;
    let shown = namespaces(&cluster, "add users").unwrap();
    assert!(shown.contains("users") && shown.contains("in force"), "{shown}");
    namespaces(&cluster, "add session:*").unwrap();
    let refused = namespaces(&cluster, "add session:1").unwrap_err();
    assert!(refused.contains("overlaps"), "{refused}");

    fill(&mut one, "users", FIELDS).await;
    assert_eq!(run(&mut other, "HLEN users").await, FIELDS.to_string());
    let expected: BTreeMap<String, String> = (0..FIELDS).map(|n| (field(n), n.to_string())).collect();
    let all = texts(&other.run("HGETALL users").await.unwrap());
    let all: BTreeMap<_, _> = all.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    assert_eq!(all, expected);
    let keys: BTreeSet<String> = texts(&one.run("HKEYS users").await.unwrap()).into_iter().collect();
    assert!(keys.iter().eq(expected.keys()));
    assert_eq!(one.run("HVALS users").await.unwrap().items().len(), FIELDS);
    for count in [10, 3000] {
        assert_eq!(scanned(&mut other, "users", count).await, expected);
    }
    assert_eq!(run(&mut other, "HMGET users field9999 none field0 field7").await, "[9999 nil 0 7]");
    assert_eq!(run(&mut other, "HLEN plain").await, "100");
    spread_over_groups(&cluster).await;
    on_fields(&mut one, &mut other).await;
    on_the_whole(&mut one, &mut other).await;
    in_transactions_and_scripts(&mut one).await;
    by_real_clients(&cluster).await;
    leave_again(&cluster, &mut one).await;
}

/// Fields are where their shards are, and tags keep them together.
async fn spread_over_groups(cluster: &TestCluster) {
    let state = cluster.state().await.unwrap();
    let mut keys = BTreeMap::new();
    // A node counts what it is announced for.
    for address in cluster.cluster_addresses() {
        let mut node = Connection::open(&address).await.unwrap();
        for slot in shards() {
            let count = node.run(&format!("CLUSTER COUNTKEYSINSLOT {}", slot.number())).await.unwrap();
            *keys.entry(state.owner(slot).unwrap()).or_insert(0) += count.int().unwrap();
        }
    }
    assert_eq!(keys.len(), state.groups.len());
    assert!(keys.values().all(|&shards| shards > 200), "{keys:?}");
    assert_eq!(shard_of(b"{eu}alice"), shard_of(b"{eu}bob"));
}

async fn on_fields(one: &mut Connection, other: &mut Connection) {
    for (command, reply) in [
        ("HSET session:1 a 1 b 2", "2"),
        ("HSET session:1 a 1 c 3", "1"),
        ("HSETNX session:1 a 9", "0"),
        ("HGET session:1 a", "1"),
        ("HSTRLEN session:1 a", "1"),
        ("HINCRBY session:1 a 5", "6"),
        ("HINCRBYFLOAT session:1 b 0.5", "2.5"),
        ("HEXISTS session:1 none", "0"),
        ("HMSET session:1 d 4 e 5", "OK"),
        ("HDEL session:1 d none e", "2"),
        ("HEXPIRE session:1 100 FIELDS 4 c none a b", "[1 -2 1 1]"),
        ("HTTL session:1 FIELDS 2 none a", "[-2 100]"),
        ("HPERSIST session:1 FIELDS 3 a b c", "[1 1 1]"),
        ("HGETDEL session:1 FIELDS 2 none c", "[nil 3]"),
        ("HSETEX session:1 EX 100 FIELDS 2 {t}x 1 {t}y 2", "1"),
        (
            "HSETEX session:1 EX 100 FIELDS 2 x 1 y 2",
            "-CROSSSLOT Keys in request don't hash to the same slot",
        ),
        ("HLEN session:1", "4"),
        ("HGET session:1", "-ERR wrong number of arguments for 'hget' command"),
        ("HSET session:1 a 1 b", "-ERR wrong number of arguments for 'hset' command"),
        ("HINCRBY session:1 b 1", "-ERR hash value is not an integer"),
    ] {
        assert_eq!(run(one, command).await, reply, "{command}");
    }
    assert_eq!(run(other, "HMGET session:1 a b {t}y").await, "[6 2.5 2]");
    assert!(!run(other, "HELLO 3").await.is_empty());
    let Value::Map(pairs) = other.run("HGETALL session:1").await.unwrap() else { panic!("a map") };
    assert_eq!(pairs.len(), 4);
    run(other, "HELLO 2").await;
    // Fields that expire are gone everywhere.
    assert_eq!(run(one, "HPEXPIRE session:1 1 FIELDS 3 a b {t}x").await, "[1 1 1]");
    let client = tokio::sync::Mutex::new(other);
    wait::until_true("expired fields are gone", PATIENCE, || async {
        run(*client.lock().await, "HGETALL session:1").await == "[{t}y 2]"
    })
    .await;
}

async fn on_the_whole(one: &mut Connection, other: &mut Connection) {
    for (command, reply) in [
        ("SET plainkey 1", "OK"),
        ("EXISTS users plainkey session:1 session:none none", "3"),
        ("TYPE users", "hash"),
        ("TYPE session:none", "none"),
        ("TTL users", "-1"),
        ("PTTL session:none", "-2"),
        ("PERSIST users", "0"),
        ("DBSIZE", "2"),
        ("HLEN session:none", "0"),
        ("HGETALL session:none", "[]"),
        ("DEL plainkey session:1 session:none", "2"),
        ("EXISTS session:1", "0"),
        ("SET users x", "-ERR 'set' does not work on a namespace"),
        ("EXPIRE users 100", "-ERR 'expire' does not work on a namespace"),
        ("RENAME plain users", "-ERR 'rename' does not work on a namespace"),
        ("SORT plain STORE users", "-ERR 'sort' does not work on a namespace"),
        ("OBJECT ENCODING users", "-ERR 'object encoding' does not work on a namespace"),
        ("BLPOP users 0", "-ERR 'blpop' does not work on a namespace"),
        ("WATCH users", "-ERR 'watch' does not work on a namespace"),
        ("HSCAN users x", "-ERR invalid cursor"),
    ] {
        assert_eq!(run(one, command).await, reply, "{command}");
    }
    assert_eq!(run(other, "SCAN 0 COUNT 1000").await.matches("users").count(), 0);
    // Each database has its own, and FLUSHDB takes it along.
    for (command, reply) in [
        ("SELECT 3", "OK"),
        ("HSET users a 1 b 2", "2"),
        ("HLEN users", "2"),
        ("SWAPDB 3 4", "OK"),
        ("HLEN users", "0"),
        ("SELECT 4", "OK"),
        ("HLEN users", "2"),
        ("FLUSHDB", "OK"),
        ("HLEN users", "0"),
        ("SELECT 0", "OK"),
        ("HLEN users", "10000"),
    ] {
        assert_eq!(run(other, command).await, reply, "{command}");
    }
}

async fn in_transactions_and_scripts(client: &mut Connection) {
    for (command, reply) in [
        ("MULTI", "OK"),
        ("HSET users {eu}a 1 {eu}b 1", "QUEUED"),
        ("HINCRBY users {eu}a 4", "QUEUED"),
        ("EXEC", "[2 5]"),
        ("HDEL users {eu}a {eu}b", "2"),
        ("MULTI", "OK"),
        ("HLEN users", "-ERR 'hlen' on a namespace inside MULTI must keep to one shard"),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ("MULTI", "OK"),
        ("HSET users a 1 b 1 c 1 d 1", "-ERR 'hset' on a namespace inside MULTI must keep to one shard"),
        ("DISCARD", "OK"),
        ("EVAL return\u{2003}1 1 users", "-ERR 'eval' does not work on a namespace"),
    ] {
        let words = command.split(' ').map(|word| word.replace('\u{2003}', " "));
        assert_eq!(client.call(words).await.unwrap().to_string(), reply, "{command}");
    }
    let script = ["EVAL", "return redis.call('HSET', 'users', 'a', '1')", "0"];
    let reply = client.call(script).await.unwrap().to_string();
    assert!(reply.contains("Script attempted to access a"), "{reply}");
}

const SCRIPT: &str = "
import sys, redis
one, other = [redis.Redis.from_url('redis://' + a, decode_responses=True) for a in sys.argv[1:3]]
mapping = {'f%d' % n: str(n) for n in range(2000)}
assert one.hset('session:py', mapping=mapping) == 2000
assert other.hgetall('session:py') == mapping
assert other.hlen('session:py') == 2000
assert dict(other.hscan_iter('session:py', count=50)) == mapping
assert other.hmget('session:py', ['f5', 'no', 'f1999']) == ['5', None, '1999']
with one.pipeline(transaction=False) as pipe:
    for n in range(2000):
        pipe.hincrby('session:py', 'f%d' % n, 1)
    assert pipe.execute() == list(range(1, 2001))
assert sum(map(int, other.hvals('session:py'))) == sum(range(1, 2001))
cluster = redis.RedisCluster.from_url('redis://' + sys.argv[3], decode_responses=True)
assert cluster.hlen('session:py') == 2000
assert cluster.hdel('session:py', 'f0', 'f1', 'none') == 2
assert cluster.delete('session:py') == 1
assert one.exists('session:py') == 0
";

async fn by_real_clients(cluster: &TestCluster) {
    let mut addresses = cluster.plain_addresses();
    addresses.push(cluster.cluster_addresses().swap_remove(0));
    let mut command = Command::new(python());
    command.arg("-c").arg(SCRIPT).args(&addresses);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (host, port) = addresses[0].rsplit_once(':').unwrap();
    let ask = |words: &str| {
        let output = Command::new("redis-cli").args(["-h", host, "-p", port]).args(words.split(' ')).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert_eq!(ask("HSET session:cli a 1 b 2 c 3"), "3\n");
    let mut lines: Vec<_> = ask("HKEYS session:cli").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["a", "b", "c"]);
    assert_eq!(ask("UNLINK session:cli"), "1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_cache_are_told_of_namespaces() {
    let cluster = start().await;
    namespaces(&cluster, "add users").unwrap();
    let plain = cluster.plain_addresses();
    let mut writer = Connection::open(&plain[1]).await.unwrap();
    fill(&mut writer, "users", 100).await;
    let mut reader = Connection::open(&plain[0]).await.unwrap();
    for command in ["HELLO 3", "CLIENT TRACKING ON"] {
        assert!(reader.run(command).await.unwrap().error().is_none());
    }
    let mut told = async |read: &str, written: &str| {
        assert!(reader.run(read).await.unwrap().error().is_none(), "{read}");
        run(&mut writer, written).await;
        let heard = tokio::time::timeout(PATIENCE, reader.read()).await.expect("something is told").unwrap();
        assert_eq!(heard.to_string(), "[invalidate [users]]", "{read} | {written}");
        // Told once, whatever groups have parts of it.
        assert_eq!(run(&mut reader, "PING").await, "PONG");
    };
    told(&format!("HGET users {}", field(1)), &format!("HSET users {} new", field(1))).await;
    told(&format!("HMGET users {} {}", field(2), field(3)), &format!("HINCRBY users {} 1", field(3))).await;
    told("HGETALL users", &format!("HDEL users {}", field(4))).await;
    told("HLEN users", "DEL users").await;
}

/// A rule goes when there are no namespaces of it, and the name is an ordinary key again.
async fn leave_again(cluster: &TestCluster, client: &mut Connection) {
    let refused = namespaces(cluster, "remove users").unwrap_err();
    assert!(refused.contains("there are namespaces"), "{refused}");
    assert_eq!(run(client, "HLEN users").await, FIELDS.to_string(), "in force as before");
    assert_eq!(run(client, "DEL users").await, "1");
    assert!(!namespaces(cluster, "remove users").unwrap().contains("users"));
    assert_eq!(run(client, "SET users x").await, "OK");
    let refused = namespaces(cluster, "add users").unwrap_err();
    assert!(refused.contains("there are keys"), "{refused}");
    assert_eq!(run(client, "GET users").await, "x", "as before");
}

/// Fields that are there all the time are found, whatever happens to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hscan_is_complete_under_writes() {
    let cluster = start().await;
    namespaces(&cluster, "add users").unwrap();
    let plain = cluster.plain_addresses();
    let mut client = Connection::open(&plain[0]).await.unwrap();
    fill(&mut client, "users", 3000).await;
    let mut writer = Connection::open(&plain[1]).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone();
    let writing = tokio::spawn(async move {
        let mut number = 0;
        while !stopped.is_cancelled() {
            let set: Vec<_> =
                (0..50).flat_map(|n| [format!("other{}", number + n), "x".to_owned()]).collect();
            let words = ["HSET".to_owned(), "users".to_owned()].into_iter().chain(set);
            writer.call(words).await.unwrap();
            let gone = (0..50).map(|n| format!("other{}", (number + n) / 2));
            writer.call(["HDEL".to_owned(), "users".to_owned()].into_iter().chain(gone)).await.unwrap();
            number += 50;
        }
        number
    });
    for count in [7, 100, 1000] {
        let found = scanned(&mut client, "users", count).await;
        let missing: Vec<_> = (0..3000).map(field).filter(|field| !found.contains_key(field)).collect();
        assert!(missing.is_empty(), "COUNT {count}: {missing:?}");
    }
    stop.cancel();
    assert!(writing.await.unwrap() > 0, "something was written meanwhile");
}

// covers: R1, R2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_exact_and_rules_survive() {
    let mut cluster = start().await;
    namespaces(&cluster, "add users").unwrap();
    let plain = cluster.plain_addresses();
    let counted: Vec<_> = (0..4).map(|n| tokio::spawn(count(plain[n % 2].clone(), n))).collect();
    for _ in 0..2 {
        let leader = cluster.a_leader().await;
        cluster.kill(leader).unwrap();
        cluster.restart(leader).unwrap();
        serves(&plain[0]).await;
    }
    let mut total = 0;
    for counter in counted {
        total += counter.await.unwrap();
    }
    let mut client = cluster.connect().await;
    let values = texts(&client.run("HVALS users").await.unwrap());
    assert_eq!(values.iter().map(|value| value.parse::<i64>().unwrap()).sum::<i64>(), total);
    assert_eq!(values.len(), 50);

    // Everything stops at once, and comes back.
    let all: Vec<_> = cluster.members().iter().map(|member| member.id).collect();
    for &member in &all {
        cluster.kill(member).unwrap();
    }
    for &member in all.iter().filter(|member| member.role != Role::Proxy) {
        cluster.restart(member).unwrap();
    }
    for &member in all.iter().filter(|member| member.role == Role::Proxy) {
        cluster.restart(member).unwrap();
    }
    let address = cluster.proxy_address(1, Listener::Plain);
    wait::until("the namespace is back", PATIENCE, || async {
        let mut client = Connection::open(&address).await?;
        let length = client.run("HLEN users").await?;
        anyhow::ensure!(length == Value::Int(50), "{length}");
        anyhow::Ok(())
    })
    .await;
    let refused = run(&mut cluster.connect().await, "SET users x").await;
    assert_eq!(refused, "-ERR 'set' does not work on a namespace");
}

/// Until all groups are led.
async fn serves(address: &str) {
    wait::until("the namespace is served", PATIENCE, || async {
        let length = Connection::open(address).await?.run("HLEN users").await?;
        anyhow::ensure!(length.int().is_some(), "{length}");
        anyhow::Ok(())
    })
    .await;
}

/// Adds to fields until it has had 1500 answers; answers what it was told was added.
async fn count(address: String, seed: usize) -> i64 {
    let mut client = Connection::open(&address).await.unwrap();
    for number in 0..1500 {
        let field = field((number * 7 + seed) % 50);
        let reply = client.run(&format!("HINCRBY users {field} 1")).await.unwrap();
        assert!(reply.int().is_some(), "{reply}");
    }
    1500
}

/// However the change of a rule and writes meet, what was answered is found afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_rules_change_under_writes() {
    let cluster = start().await;
    let plain = cluster.plain_addresses();
    for round in 0..4 {
        let writers: Vec<_> = (0..2).map(|n| tokio::spawn(write(plain[n].clone(), round, n))).collect();
        let added = namespaces(&cluster, &format!("add race{round}:*"));
        let mut written = Vec::new();
        for writer in writers {
            written.extend(writer.await.unwrap());
        }
        let mut client = Connection::open(&plain[0]).await.unwrap();
        for key in &written {
            assert_eq!(run(&mut client, &format!("HGET {key} f")).await, "v", "{key}: {added:?}");
        }
        eprintln!(
            "round {round}: {} written, {}",
            written.len(),
            if added.is_ok() { "added" } else { "refused" }
        );
    }
}

async fn write(address: String, round: usize, writer: usize) -> Vec<String> {
    let mut client = Connection::open(&address).await.unwrap();
    let mut written = Vec::new();
    for number in 0..400 {
        let key = format!("race{round}:{writer}:{number}");
        match client.call(["HSET", &key, "f", "v"]).await.unwrap() {
            Value::Int(_) => written.push(key),
            reply => assert!(reply.to_string().starts_with("-TRYAGAIN"), "{reply}"),
        }
    }
    written
}
