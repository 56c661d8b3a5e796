//! Each command once, with Redis's reply, through plain and cluster listeners; multi-key commands
//! over many slots; the codes of errors.
//!
//! A case is a command and its reply, in short form (`Value`'s `Display`). `{k}` keeps the keys of a
//! case in one slot where the command needs that.

use miraft_tests::{
    cluster::{self, TestCluster},
    resp::{Connection, encode},
};

type Case = (&'static str, &'static str);

/// Runs the cases in order, through each kind of listener, on keys of its own.
async fn expect(cluster: &TestCluster, name: &str, cases: &[Case]) {
    for (kind, address) in
        [("plain", cluster.plain()), ("cluster", cluster.cluster_addresses().swap_remove(1))]
    {
        let mut connection = Connection::open(&address).await.unwrap();
        for (command, expected) in cases {
            let command = command.replace("{k}", &format!("{{smoke-{name}-{kind}}}"));
            let reply = connection.run(&command).await.unwrap();
            assert_eq!(reply.to_string(), *expected, "{kind}: {command}");
        }
    }
}

#[tokio::test]
async fn strings() {
    let cases = [
        ("SET {k} v", "OK"),
        ("GET {k}", "v"),
        ("SET {k} w NX", "nil"),
        ("SET {k} w XX GET", "v"),
        ("SET {k} x KEEPTTL", "OK"),
        ("SET {k} x EX 100", "OK"),
        ("TTL {k}", "100"),
        ("GETEX {k} PERSIST", "x"),
        ("TTL {k}", "-1"),
        ("GETSET {k} y", "x"),
        ("GETDEL {k}", "y"),
        ("GET {k}", "nil"),
        ("SETNX {k} a", "1"),
        ("SETNX {k} b", "0"),
        ("SETEX {k} 50 abc", "OK"),
        ("PSETEX {k} 50000 abc", "OK"),
        ("APPEND {k} def", "6"),
        ("STRLEN {k}", "6"),
        ("SETRANGE {k} 1 XY", "6"),
        ("GETRANGE {k} 0 -1", "aXYdef"),
        ("SUBSTR {k} -3 -1", "def"),
        ("MSET {k}1 ohmytext {k}2 mynewtext", "OK"),
        ("LCS {k}1 {k}2", "mytext"),
        ("LCS {k}1 {k}2 LEN", "6"),
        ("MSETNX {k}3 a {k}4 b", "1"),
        ("MSETNX {k}4 a {k}5 b", "0"),
        ("MGET {k}1 {k}3 {k}5", "[ohmytext a nil]"),
    ];
    expect(&*cluster::shared().await, "strings", &cases).await;
}

#[tokio::test]
async fn numbers() {
    let cases = [
        ("INCR {k}", "1"),
        ("INCRBY {k} 41", "42"),
        ("DECR {k}", "41"),
        ("DECRBY {k} 50", "-9"),
        ("INCRBYFLOAT {k} 0.5", "-8.5"),
        ("INCR {k}", "-ERR value is not an integer or out of range"),
        ("SET {k} 9223372036854775807", "OK"),
        ("INCR {k}", "-ERR increment or decrement would overflow"),
        ("DECRBY {k} -9223372036854775808", "-ERR decrement would overflow"),
        ("INCRBYFLOAT {k} abc", "-ERR value is not a valid float"),
    ];
    expect(&*cluster::shared().await, "numbers", &cases).await;
}

#[tokio::test]
async fn keys() {
    let cases = [
        ("SET {k} v", "OK"),
        ("TYPE {k}", "string"),
        ("TYPE {k}none", "none"),
        ("OBJECT ENCODING {k}", "embstr"),
        ("EXISTS {k} {k} {k}none", "2"),
        ("TOUCH {k} {k}none", "1"),
        ("RENAME {k} {k}2", "OK"),
        ("RENAME {k} {k}2", "-ERR no such key"),
        ("RENAMENX {k}2 {k}", "1"),
        ("COPY {k} {k}2", "1"),
        ("COPY {k} {k}2", "0"),
        ("COPY {k} {k}2 REPLACE", "1"),
        ("UNLINK {k}2 {k}none", "1"),
        ("DEL {k}", "1"),
        ("DEL {k}", "0"),
    ];
    expect(&*cluster::shared().await, "keys", &cases).await;
}

#[tokio::test]
async fn expiry() {
    let cases = [
        ("EXPIRE {k} 10", "0"),
        ("SET {k} v", "OK"),
        ("EXPIRE {k} 100", "1"),
        ("EXPIRE {k} 100 NX", "0"),
        ("EXPIRE {k} 200 XX", "1"),
        ("EXPIRE {k} 100 GT", "0"),
        ("EXPIRE {k} 100 LT", "1"),
        ("EXPIRE {k} 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("TTL {k}", "100"),
        ("EXPIREAT {k} 33177117420", "1"),
        ("EXPIRETIME {k}", "33177117420"),
        ("PEXPIREAT {k} 33177117420123", "1"),
        ("PEXPIRETIME {k}", "33177117420123"),
        ("PERSIST {k}", "1"),
        ("PERSIST {k}", "0"),
        ("PTTL {k}", "-1"),
        ("PEXPIRE {k} -1", "1"),
        ("PTTL {k}", "-2"),
        ("SET {k} v EX 0", "-ERR invalid expire time in 'set' command"),
    ];
    expect(&*cluster::shared().await, "expiry", &cases).await;
}

#[tokio::test]
async fn connection_and_server() {
    let cases = [
        ("PING", "PONG"),
        ("PING hello", "hello"),
        ("ECHO hello", "hello"),
        ("SELECT 0", "OK"),
        ("CLIENT SETNAME smoke", "OK"),
        ("CLIENT GETNAME", "smoke"),
        ("CLIENT SETINFO LIB-NAME smoke", "OK"),
        ("CONFIG GET nothing-like-it", "[]"),
        ("COMMAND GETKEYS MSET a 1 b 2", "[a b]"),
        ("SLOWLOG RESET", "OK"),
        ("LATENCY RESET", "0"),
        ("RESET", "RESET"),
        ("CLIENT GETNAME", "nil"),
    ];
    expect(&*cluster::shared().await, "server", &cases).await;
}

#[tokio::test]
async fn answers_that_vary() {
    let cluster = cluster::shared().await;
    let mut connection = cluster.connect().await;
    connection.run("SET vary:k v").await.unwrap();
    for (command, expected) in [
        ("CLIENT LIST", "addr="),
        ("CLIENT INFO", "id="),
        ("INFO", "redis_version:"),
        ("INFO keyspace", "db0:keys="),
        ("INFO stats", "total_commands_processed:"),
        ("COMMAND INFO get", "readonly"),
        ("COMMAND DOCS get", "summary"),
        ("CONFIG GET proto-max-bulk-len", "536870912"),
        ("RANDOMKEY", ""),
    ] {
        let reply = connection.run(command).await.unwrap();
        assert!(reply.error().is_none() && reply.to_string().contains(expected), "{command}: {reply}");
    }
    assert!(connection.run("COMMAND COUNT").await.unwrap().int().unwrap() > 60);
    assert!(connection.run("CLIENT ID").await.unwrap().int().unwrap() > 0);
    assert_eq!(connection.run("TIME").await.unwrap().items().len(), 2);
}

// covers: D4
#[tokio::test]
async fn many_slots_at_once() {
    let cluster = cluster::shared().await;
    let keys: Vec<String> = (0..300).map(|number| format!("spread:{number}")).collect();
    let with = |name: &str, of: &[String]| encode(std::iter::once(name.to_owned()).chain(of.iter().cloned()));
    for address in crate::every_address(&cluster) {
        let mut connection = Connection::open(&address).await.unwrap();
        let pairs: Vec<String> = keys.iter().flat_map(|key| [key.clone(), format!("of {key}")]).collect();
        let mut twice = keys.clone();
        twice.extend_from_slice(&keys[..10]);
        let replies = connection
            .pipeline(&[
                with("MSET", &pairs),
                with("MGET", &twice),
                with("EXISTS", &twice),
                with("TOUCH", &keys),
                with("DEL", &keys[..100]),
                with("UNLINK", &keys),
                with("EXISTS", &keys),
            ])
            .await
            .unwrap();
        assert_eq!(replies[0].to_string(), "OK");
        let values: Vec<String> = replies[1].items().iter().map(ToString::to_string).collect();
        assert_eq!(values, twice.iter().map(|key| format!("of {key}")).collect::<Vec<_>>());
        let numbers: Vec<_> = replies[2..].iter().map(|reply| reply.int().unwrap()).collect();
        assert_eq!(numbers, [310, 300, 100, 200, 0]);
    }
}

// covers: D4, D6
#[tokio::test]
async fn error_codes() {
    let cases = [
        ("NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP."),
        ("SET {k} v WHAT", "-ERR syntax error"),
        ("RENAME a b", "-CROSSSLOT Keys in request don't hash to the same slot"),
        ("COPY a b", "-CROSSSLOT Keys in request don't hash to the same slot"),
        ("MSETNX a 1 b 2", "-CROSSSLOT Keys in request don't hash to the same slot"),
        ("SCAN nonsense", "-ERR invalid cursor"),
        ("SETRANGE {k} 536870912 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
        ("SET {k} v PX 1.5", "-ERR value is not an integer or out of range"),
        ("HELLO 9", "-NOPROTO unsupported protocol version"),
        ("EXPIRE {k} abc", "-ERR value is not an integer or out of range"),
    ];
    expect(&*cluster::shared().await, "errors", &cases).await;
}

#[tokio::test]
async fn pipelines_keep_order_across_groups() {
    let cluster = cluster::shared().await;
    for address in crate::every_address(&cluster) {
        let mut connection = Connection::open(&address).await.unwrap();
        let echoes: Vec<_> = (0..1500)
            .map(|number| match number % 5 {
                0 => encode(["ECHO", &number.to_string()]),
                1 => encode(["SET", &format!("pipe:{number}"), &number.to_string()]),
                2 => encode(["GET", &format!("pipe:{}", number - 1)]),
                3 => encode(["NOSUCH"]),
                _ => encode(["MGET", &format!("pipe:{}", number - 3), "pipe:none"]),
            })
            .collect();
        for (number, reply) in connection.pipeline(&echoes).await.unwrap().iter().enumerate() {
            let expected = match number % 5 {
                0 => number.to_string(),
                1 => "OK".to_owned(),
                2 => (number - 1).to_string(),
                3 => "-ERR unknown command 'NOSUCH', with args beginning with: ".to_owned(),
                _ => format!("[{} nil]", number - 3),
            };
            assert_eq!(reply.to_string(), expected, "reply {number} at {address}");
        }
    }
}
