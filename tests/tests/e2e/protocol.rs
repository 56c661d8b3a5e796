//! The protocol as bytes: both versions, inline commands, errors, limits, large values.

use miraft_tests::{
    cluster,
    resp::{Connection, Value, encode},
};

use crate::every_address;

#[tokio::test]
async fn hello_switches_the_protocol() {
    let cluster = cluster::shared().await;
    for address in every_address(&cluster) {
        let mut connection = Connection::open(&address).await.unwrap();
        assert_eq!(connection.run("GET hello:none").await.unwrap(), Value::Nil);
        let Value::Map(about) = connection.run("HELLO 3").await.unwrap() else { panic!("no map") };
        let of =
            |name: &str| about.iter().find(|(key, _)| key.text() == name).map(|(_, value)| value.to_string());
        assert_eq!(of("server").as_deref(), Some("redis"));
        assert_eq!(of("proto").as_deref(), Some("3"));
        assert_eq!(about.len(), 7);
        connection.write(&encode(["GET", "hello:none"])).await.unwrap();
        assert_eq!(connection.read().await.unwrap(), Value::Nil);
        assert!(matches!(connection.run("CONFIG GET maxclients").await.unwrap(), Value::Map(_)));
        assert!(matches!(connection.run("HELLO 2").await.unwrap(), Value::Array(_)));
        let unknown = connection.run("HELLO 4").await.unwrap();
        assert_eq!(unknown.to_string(), "-NOPROTO unsupported protocol version");
    }
}

#[tokio::test]
async fn inline_commands() {
    let cluster = cluster::shared().await;
    for address in every_address(&cluster) {
        let mut connection = Connection::open(&address).await.unwrap();
        connection.write(b"\r\n\n  PING\r\nSET inline:k \"a b\\x41\\n\"\nget 'inline:k'\r\n").await.unwrap();
        assert_eq!(connection.read().await.unwrap().to_string(), "PONG");
        assert_eq!(connection.read().await.unwrap().to_string(), "OK");
        assert_eq!(connection.read().await.unwrap().bytes(), Some(b"a bA\n".as_slice()));
    }
}

#[tokio::test]
async fn one_byte_at_a_time() {
    let cluster = cluster::shared().await;
    let mut connection = cluster.connect().await;
    let mut bytes = encode(["SET", "bytes:k", "v"]);
    bytes.extend(encode(["GET", "bytes:k"]));
    for byte in bytes {
        connection.write(&[byte]).await.unwrap();
    }
    assert_eq!(connection.read().await.unwrap().to_string(), "OK");
    assert_eq!(connection.read().await.unwrap().to_string(), "v");
}

#[tokio::test]
async fn protocol_errors_close_only_their_sender() {
    let cluster = cluster::shared().await;
    for address in every_address(&cluster) {
        let mut bystander = Connection::open(&address).await.unwrap();
        for (bytes, expected) in MALFORMED {
            let mut sender = Connection::open(&address).await.unwrap();
            sender.write(bytes).await.unwrap();
            let reply = sender.read().await.unwrap();
            assert_eq!(reply.to_string(), format!("-ERR Protocol error: {expected}"));
            sender.closed().await.unwrap();
            assert_eq!(bystander.run("PING").await.unwrap().to_string(), "PONG");
        }
    }
}

const MALFORMED: &[(&[u8], &str)] = &[
    (b"*x\r\n", "invalid multibulk length"),
    (b"*2147483648\r\n", "invalid multibulk length"),
    (b"*1\r\n:1\r\n", "expected '$', got ':'"),
    (b"*1\r\n$x\r\n", "invalid bulk length"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "invalid bulk length"),
    (b"set 'unbalanced\r\n", "unbalanced quotes in request"),
];

#[tokio::test]
async fn what_came_before_a_protocol_error_is_answered() {
    let cluster = cluster::shared().await;
    let mut connection = cluster.connect().await;
    let mut bytes = encode(["SET", "before:k", "v"]);
    bytes.extend_from_slice(b"*x\r\n");
    connection.write(&bytes).await.unwrap();
    assert_eq!(connection.read().await.unwrap().to_string(), "OK");
    assert_eq!(connection.read().await.unwrap().to_string(), "-ERR Protocol error: invalid multibulk length");
    connection.closed().await.unwrap();
}

#[tokio::test]
async fn requests_of_other_protocols_close() {
    let cluster = cluster::shared().await;
    for bytes in [b"POST / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), b"Host: x\r\n"] {
        let mut connection = cluster.connect().await;
        connection.write(bytes).await.unwrap();
        connection.closed().await.unwrap();
    }
}

#[tokio::test]
async fn binary_keys_and_values() {
    let cluster = cluster::shared().await;
    let mut connection = cluster.connect().await;
    let all: Vec<u8> = (0..=255).collect();
    for key in [all.as_slice(), b"", b"binary\r\n$3\r\n", b"\0"] {
        assert_eq!(connection.call([b"SET".as_slice(), key, &all]).await.unwrap().to_string(), "OK");
        assert_eq!(connection.call([b"GET".as_slice(), key]).await.unwrap().bytes(), Some(all.as_slice()));
        assert_eq!(connection.call([b"DEL".as_slice(), key]).await.unwrap().int(), Some(1));
    }
}

#[tokio::test]
async fn quit_answers_and_closes() {
    let cluster = cluster::shared().await;
    let mut connection = cluster.connect().await;
    assert_eq!(connection.run("QUIT").await.unwrap().to_string(), "OK");
    connection.closed().await.unwrap();
}

#[tokio::test]
async fn replies_may_be_turned_off() {
    let cluster = cluster::shared().await;
    let mut connection = cluster.connect().await;
    for command in
        [["CLIENT", "REPLY", "OFF"].as_slice(), &["SET", "quiet:k", "v"], &["CLIENT", "REPLY", "ON"]]
    {
        connection.write(&encode(command)).await.unwrap();
    }
    assert_eq!(connection.read().await.unwrap().to_string(), "OK");
    connection.write(&encode(["CLIENT", "REPLY", "SKIP"])).await.unwrap();
    connection.write(&encode(["SET", "quiet:k", "w"])).await.unwrap();
    assert_eq!(connection.run("GET quiet:k").await.unwrap().to_string(), "w");
}
