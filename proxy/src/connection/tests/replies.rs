//! What a client gets for what it sends.

use super::*;
use crate::backend_api::RouteError;

/// Slots: a 15495, b 3300, c 7365, d 11298 (the fake's groups meet at 8192).
const MSET: &str = "mset a 1 b 2 c 3 d 4";

#[test]
fn pipelined_replies_keep_the_order_of_commands() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("set a 1", "+OK\r\n").await;
        stage.backend.holding.set(true);
        client.send("get a\r\nping\r\nget b\r\n*2\r\n$4\r\necho\r\n$2\r\nhi\r\nget a\r\n").await;
        until(|| stage.backend.held() == 3).await;
        stage.backend.release(true);
        client.expect("$1\r\n1\r\n+PONG\r\n$-1\r\n$2\r\nhi\r\n$1\r\n1\r\n").await;
    });
}

#[test]
fn commands_of_many_keys_are_split_and_merged() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Cluster);
        client.ask(MSET, "+OK\r\n").await;
        assert_eq!(stage.backend.received.get(), 2);
        stage.backend.holding.set(true);
        client.send("mget d no b a\r\ndel a b x\r\nmget c b{c}\r\n").await;
        until(|| stage.backend.held() == 5).await;
        stage.backend.release(true);
        client.expect("*4\r\n$1\r\n4\r\n$-1\r\n$1\r\n2\r\n$1\r\n1\r\n:2\r\n*2\r\n$1\r\n3\r\n$-1\r\n").await;
        stage.backend.holding.set(false);
        client.ask("rename a b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n").await;
    });
}

#[test]
fn broadcasts_see_what_the_listener_shows() {
    on_stage(Options::default(), async |stage| {
        let mut plain = stage.connect(Side::Plain);
        let mut cluster = stage.connect(Side::Cluster);
        plain.ask(MSET, "+OK\r\n").await;
        plain.ask("dbsize", ":4\r\n").await;
        cluster.ask("dbsize", ":2\r\n").await;
        // The right group's run starts at slot 8192.
        let next = (8192u64 << 48).to_string();
        let all = ["b", "c", "a", "d"].map(|key| format!("$1\r\n{key}\r\n")).concat();
        plain.ask("scan 0", &format!("*2\r\n$1\r\n0\r\n*4\r\n{all}")).await;
        // Enough was found before that.
        plain.send("scan 0 count 2\r\n").await;
        plain.expect(&format!("*2\r\n${}\r\n{next}\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\n", next.len())).await;
        plain.ask(&format!("scan {next}"), "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nd\r\n").await;
        cluster.ask("scan 0", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\n").await;
        cluster.ask(&format!("scan {next}"), "*2\r\n$1\r\n0\r\n*0\r\n").await;
        plain.ask("scan x", "-ERR invalid cursor\r\n").await;
    });
}

#[test]
fn databases_exist_on_the_plain_listener_only() {
    on_stage(Options::default(), async |stage| {
        let mut plain = stage.connect(Side::Plain);
        plain.ask("select 3", "+OK\r\n").await;
        plain.ask("set k v", "+OK\r\n").await;
        plain.ask("select 0", "+OK\r\n").await;
        plain.ask("get k", "$-1\r\n").await;
        plain.ask("select 16", "-ERR DB index is out of range\r\n").await;
        let mut cluster = stage.connect(Side::Cluster);
        cluster.ask("select 0", "+OK\r\n").await;
        cluster.ask("select 1", "-ERR SELECT is not allowed in cluster mode\r\n").await;
        cluster.ask("readonly", "+OK\r\n").await;
        plain.ask("readonly", "-ERR This instance has cluster support disabled\r\n").await;
        plain.ask("cluster info", "-ERR This instance has cluster support disabled\r\n").await;
    });
}

#[test]
fn strangers_must_authenticate() {
    let options = Options { requirepass: "hush".to_owned(), ..Options::default() };
    on_stage(options, async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("get k", "-NOAUTH Authentication required.\r\n").await;
        let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        client.ask("auth wrong", wrong).await;
        client.ask("auth admin hush", wrong).await;
        client.ask("auth hush", "+OK\r\n").await;
        client.ask("get k", "$-1\r\n").await;
        client.ask("reset", "+RESET\r\n").await;
        client.ask("get k", "-NOAUTH Authentication required.\r\n").await;
        client.send("hello 3 auth default hush setname me\r\n").await;
        client.expect("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n").await;
        let mut stranger = stage.connect(Side::Plain);
        stranger.send("*11\r\n").await;
        assert_eq!(stranger.rest().await, "-ERR Protocol error: unauthenticated multibulk length\r\n");
    });
}

#[test]
fn resp3_is_agreed_upon_by_hello() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("hello 4", "-NOPROTO unsupported protocol version\r\n").await;
        client.ask("hello 2 foo", "-ERR Syntax error in HELLO option 'foo'\r\n").await;
        client.ask("get k", "$-1\r\n").await;
        client.send("hello 3\r\n").await;
        client.expect("%7\r\n").await;
        client
            .expect("$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.6\r\n$5\r\nproto\r\n:3\r\n")
            .await;
        let id = client.id;
        let tail = "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";
        client.expect(&format!("$2\r\nid\r\n:{id}\r\n{tail}")).await;
        client.ask("get k", "_\r\n").await;
        client.ask("client getname", "_\r\n").await;
    });
}

#[test]
fn replies_can_be_turned_off() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.send("client reply off\r\nset k v\r\nping\r\nclient reply on\r\n").await;
        client.expect("+OK\r\n").await;
        client.send("client reply skip\r\nget k\r\nget k\r\n").await;
        client.expect("$1\r\nv\r\n").await;
        client.send("client reply skip\r\nping\r\nping\r\n").await;
        client.expect("+PONG\r\n").await;
    });
}

#[test]
fn mistakes_are_answered_as_redis_does() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("nope a b", "-ERR unknown command 'nope', with args beginning with: 'a' 'b' \r\n").await;
        client.ask("get", "-ERR wrong number of arguments for 'get' command\r\n").await;
        client.ask("config nope", "-ERR unknown subcommand 'nope'. Try CONFIG HELP.\r\n").await;
        client
            .ask(
                "client setname a\"b c\"",
                "-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
            )
            .await;
        client.ask("\r\n*0\r\nping", "+PONG\r\n").await;
        *stage.backend.failure.borrow_mut() = Some(RouteError::ClusterDown("Hash slot not served"));
        client.ask("get k", "-CLUSTERDOWN Hash slot not served\r\n").await;
        client.ask("mget a b", "-CLUSTERDOWN Hash slot not served\r\n").await;
    });
}

#[test]
fn what_is_not_resp_closes_only_its_sender() {
    on_stage(Options::default(), async |stage| {
        let mut good = stage.connect(Side::Plain);
        let mut bad = stage.connect(Side::Plain);
        stage.backend.holding.set(true);
        bad.send("get a\r\n*1\r\nboom\r\nping\r\n").await;
        until(|| stage.backend.held() == 1).await;
        stage.backend.release(false);
        stage.backend.holding.set(false);
        assert_eq!(bad.rest().await, "$-1\r\n-ERR Protocol error: expected '$', got 'b'\r\n");
        let mut browser = stage.connect(Side::Plain);
        browser.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nflushall\r\n").await;
        assert_eq!(browser.rest().await, "");
        good.ask("get a", "$-1\r\n").await;
    });
}

#[test]
fn leaving_clients_get_what_they_asked_for() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        stage.backend.holding.set(true);
        client.send("get a\r\nquit\r\nget b\r\n").await;
        until(|| stage.backend.held() == 1).await;
        stage.backend.release(false);
        assert_eq!(client.rest().await, "$-1\r\n+OK\r\n");
        let mut half = stage.connect(Side::Plain);
        half.send("get a\r\n").await;
        half.io.shutdown().await.unwrap();
        until(|| stage.backend.held() == 1).await;
        stage.backend.release(false);
        assert_eq!(half.rest().await, "$-1\r\n");
        until(|| stage.worker.shared.clients.is_empty()).await;
    });
}

#[test]
fn figures_are_those_of_the_process() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask(MSET, "+OK\r\n").await;
        client.send("info\r\n").await;
        let info = client.text().await;
        for line in [
            "redis_mode:standalone\r\n",
            "connected_clients:1\r\n",
            "db0:keys=4,expires=0\r\n",
            "loading:0\r\n",
        ] {
            assert!(info.contains(line), "{line} in {info}");
        }
        assert!(info.find("used_memory:") < info.find("used_memory_human:"));
        assert!(!info.contains("db1:"));
        client.send("info server\r\n").await;
        assert!(!client.text().await.contains("Clients"));
        client.send("client list\r\n").await;
        let list = client.text().await;
        assert!(list.contains(&format!("id={} ", client.id)) && list.contains(" cmd=client|list "), "{list}");
    });
}

#[test]
fn settings_can_be_read_and_changed() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("config get save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n").await;
        client.ask("config set maxclients 77 timeout 5", "+OK\r\n").await;
        client.ask("config get maxclie*", "*2\r\n$10\r\nmaxclients\r\n$2\r\n77\r\n").await;
        let refusal = "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - can't set immutable config\r\n";
        client.ask("config set maxclients 5 appendonly yes", refusal).await;
        client.ask("config get maxclients", "*2\r\n$10\r\nmaxclients\r\n$2\r\n77\r\n").await;
        let unknown = "-ERR Unknown option or number of arguments for CONFIG SET - 'nope'\r\n";
        client.ask("config set nope 1", unknown).await;
    });
}
