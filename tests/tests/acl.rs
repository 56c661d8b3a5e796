//! Users through real processes: made through one proxy, they hold at every other at once; they outlive
//! everything that is killed; who is deleted, or loses rights, is cut off wherever it is connected.

use std::{path::Path, process::Command, time::Duration};

use local_cluster::{Config, Listener, MemberId, Role};
use miraft_tests::{
    cluster::{self, TestCluster, info_field},
    python::python,
    resp::{Connection, Value, encode},
    wait,
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn open(address: &str) -> Connection {
    Connection::open(address).await.unwrap()
}

/// A connection of a user.
async fn logged_in(address: &str, user: &str, password: &str) -> Connection {
    let mut connection = open(address).await;
    expect(&mut connection, &format!("AUTH {user} {password}"), "OK").await;
    connection
}

async fn expect(connection: &mut Connection, command: &str, reply: &str) {
    let got = connection.run(command).await.unwrap().to_string();
    assert_eq!(got, reply, "{command}");
}

/// Whether the command is refused, by the beginning of the error.
async fn expect_error(connection: &mut Connection, command: &str, error: &str) {
    let got = connection.run(command).await.unwrap();
    assert!(got.error().is_some_and(|text| text.starts_with(error)), "{command}: {got}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_holds_at_every_proxy_at_once() {
    let cluster = cluster::shared().await;
    let (plain, nodes) = (cluster.plain_addresses(), cluster.cluster_addresses());
    let everywhere: Vec<&String> = plain.iter().chain(&nodes).collect();
    let mut admin = open(&plain[0]).await;
    for round in 0..20 {
        let (user, password) = ("everywhere", format!("secret{round}"));
        let rules = format!("ACL SETUSER {user} reset on >{password} ~own:* +@all -flushall");
        expect(&mut admin, &rules, "OK").await;
        for address in &everywhere {
            let mut client = logged_in(address, user, &password).await;
            expect(&mut client, "ACL WHOAMI", user).await;
            expect(&mut client, "SET own:1 x", "OK").await;
            expect_error(&mut client, "SET other x", "NOPERM No permissions to access a key").await;
            let denied = "NOPERM User everywhere has no permissions to run the 'flushall' command";
            expect_error(&mut client, "FLUSHALL", denied).await;
            expect_error(&mut client, "AUTH everywhere wrong", "WRONGPASS ").await;
        }
    }
    // Whoever is connected feels a change with the next command, wherever that is.
    let mut client = logged_in(&plain[2], "everywhere", "secret19").await;
    for (rule, allowed) in [("-get", false), ("+get", true), ("resetkeys", false), ("allkeys", true)] {
        expect(&mut admin, &format!("ACL SETUSER everywhere {rule}"), "OK").await;
        let got = client.run("GET own:1").await.unwrap();
        assert_eq!(got.error().is_none(), allowed, "{rule}: {got}");
    }
    expect(&mut admin, "ACL DELUSER everywhere nobody", "1").await;
    client.closed().await.unwrap();
    expect_error(&mut open(&nodes[1]).await, "AUTH everywhere secret19", "WRONGPASS ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_changed_by_several_proxies_at_a_time() {
    const CHANGES: usize = 25;
    let cluster = cluster::shared().await;
    let plain = cluster.plain_addresses();
    let change = |number: usize, address: String| async move {
        let mut client = open(&address).await;
        for at in 0..CHANGES {
            let rule = format!("ACL SETUSER crowd ~{number}:{at} +get");
            assert_eq!(client.run(&rule).await.unwrap().to_string(), "OK");
        }
    };
    let tasks: Vec<_> = plain
        .iter()
        .enumerate()
        .map(|(number, address)| tokio::spawn(change(number, address.clone())))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // None was lost.
    let mut client = open(&plain[1]).await;
    for number in 0..plain.len() {
        for at in 0..CHANGES {
            expect(&mut client, &format!("ACL DRYRUN crowd GET {number}:{at}"), "OK").await;
        }
    }
    expect(&mut client, "ACL DELUSER crowd", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_transactions_and_waiting_commands_lose_rights() {
    let cluster = cluster::shared().await;
    let plain = cluster.plain_addresses();
    let mut admin = open(&plain[0]).await;
    expect(&mut admin, "ACL SETUSER loser on nopass ~* &news:* +@all", "OK").await;
    let mut listener = logged_in(&plain[1], "loser", "x").await;
    expect(&mut listener, "SUBSCRIBE news:1", "[subscribe news:1 1]").await;
    let mut pardoned = logged_in(&plain[1], "loser", "x").await;
    expect(&mut pardoned, "PSUBSCRIBE news:*", "[psubscribe news:* 1]").await;
    expect_error(
        &mut logged_in(&plain[1], "loser", "x").await,
        "SUBSCRIBE other",
        "NOPERM No permissions to access a channel",
    )
    .await;
    let mut queued = logged_in(&plain[2], "loser", "x").await;
    for (command, reply) in [("MULTI", "OK"), ("SET k 1", "QUEUED"), ("INCR k", "QUEUED"), ("PING", "QUEUED")]
    {
        expect(&mut queued, command, reply).await;
    }
    expect(&mut queued, "ACL LIST", "QUEUED").await;
    let mut waiting = logged_in(&plain[2], "loser", "x").await;
    waiting.write(&encode(["BLPOP", "acl:empty", "0"])).await.unwrap();
    wait::until_true("a client waits", PATIENCE, || async {
        let blocked = info_field(&mut open(&plain[2]).await, "INFO clients", "blocked_clients").await;
        blocked.is_ok_and(|count| count == "1")
    })
    .await;

    expect(&mut admin, "ACL SETUSER loser -incr -ping -acl|list -blpop", "OK").await;
    let denied = waiting.read().await.unwrap();
    assert_eq!(denied.to_string(), "-NOPERM User loser has no permissions to run the 'blpop' command");
    let replies = queued.run("EXEC").await.unwrap();
    let reason = "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
        This command is no longer allowed for the following reason: no permission to execute the command or subcommand";
    let replies: Vec<String> = replies.items().iter().map(Value::to_string).collect();
    assert_eq!(replies, ["OK", reason, reason, reason]);
    expect(&mut admin, "GET k", "1").await;

    expect(&mut admin, "ACL SETUSER loser resetchannels &news:* &more", "OK").await;
    expect(&mut admin, "PUBLISH news:1 x", "2").await;
    assert_eq!(listener.read().await.unwrap().to_string(), "[message news:1 x]");
    expect(&mut admin, "ACL SETUSER loser resetchannels &news:1", "OK").await;
    assert_eq!(pardoned.read().await.unwrap().to_string(), "[pmessage news:* news:1 x]");
    pardoned.closed().await.unwrap();
    admin.run("PUBLISH news:1 y").await.unwrap();
    assert_eq!(listener.read().await.unwrap().to_string(), "[message news:1 y]");
    expect(&mut admin, "ACL DELUSER loser", "1").await;
    listener.closed().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_logged_where_it_was() {
    let cluster = cluster::shared().await;
    let address = cluster.plain_addresses().swap_remove(1);
    let mut admin = open(&address).await;
    expect(&mut admin, "ACL LOG RESET", "OK").await;
    expect(&mut admin, "ACL SETUSER logged on >x ~own +@all -incr", "OK").await;
    let mut client = logged_in(&address, "logged", "x").await;
    for (command, error) in [
        ("GET other", "NOPERM "),
        ("INCR own", "NOPERM "),
        ("INCR own", "NOPERM "),
        ("PUBLISH news x", "NOPERM "),
        ("AUTH logged wrong", "WRONGPASS "),
    ] {
        expect_error(&mut client, command, error).await;
    }
    let script =
        "redis.pcall('incr', KEYS[1]); redis.pcall('get', 'other'); return redis.pcall('incr', KEYS[1])";
    let refused = client.call(["EVAL", script, "1", "own"]).await.unwrap();
    assert!(refused.error().is_some(), "{refused}");
    let log = admin.run("ACL LOG").await.unwrap();
    let field = |entry: &Value, name: &str| {
        let at = entry.items().iter().position(|item| item.text() == name).unwrap();
        entry.items()[at + 1].to_string()
    };
    let told: Vec<String> = log
        .items()
        .iter()
        .map(|entry| {
            ["context", "reason", "object", "count", "username"].map(|name| field(entry, name)).join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "lua command incr 2 logged",
            "lua key other 1 logged",
            "toplevel auth AUTH 1 logged",
            "toplevel channel news 1 logged",
            "toplevel command incr 2 logged",
            "toplevel key other 1 logged",
        ]
    );
    for at in [0, 5] {
        assert!(field(&log.items()[at], "client-info").contains(" user=logged "));
    }
    expect(&mut admin, "ACL DELUSER logged", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_run_with_the_rights_of_their_user() {
    let cluster = cluster::shared().await;
    let plain = cluster.plain_addresses();
    let mut admin = open(&plain[0]).await;
    expect(&mut admin, "ACL SETUSER scripter on >x ~{s}* +@all -incr", "OK").await;
    let mut client = logged_in(&plain[1], "scripter", "x").await;
    let eval = |body: &'static str| ["EVAL", body, "1", "{s}a", "1"];
    let set = "return redis.call('set', KEYS[1], ARGV[1])";
    assert_eq!(client.call(eval(set)).await.unwrap().to_string(), "OK");
    let arguments = client.call(eval("return #ARGV")).await.unwrap();
    assert_eq!(arguments, Value::Int(1), "nothing of the user is seen");
    let asked = "return {redis.acl_check_cmd('get', '{s}a'), redis.acl_check_cmd('get', 'b{s}'), \
        redis.acl_check_cmd('incr', '{s}a')}";
    assert_eq!(client.call(eval(asked)).await.unwrap().to_string(), "[1 nil nil]");
    let command = "User scripter has no permissions to run the 'incr' command";
    for (body, denied) in [
        ("return redis.call('incr', KEYS[1])", command),
        ("return redis.pcall('incr', KEYS[1])", command),
        ("return redis.call('get', 'b{s}')", "No permissions to access a key"),
    ] {
        let denied = format!("ERR ACL failure in script: {denied}");
        let reply = client.call(eval(body)).await.unwrap();
        assert!(reply.error().is_some_and(|text| text.starts_with(&denied)), "{body}: {reply}");
        expect(&mut client, "MULTI", "OK").await;
        client.call(eval(body)).await.unwrap();
        // Rights are those at the time of EXEC.
        expect(&mut admin, "ACL SETUSER scripter", "OK").await;
        let replies = client.run("EXEC").await.unwrap();
        assert!(
            replies.items()[0].error().is_some_and(|text| text.starts_with(&denied)),
            "{body}: {replies}"
        );
    }
    let loaded = client.call(["SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])"]).await.unwrap().text();
    let refused = client.call(["EVALSHA", &loaded, "1", "{s}a"]).await.unwrap();
    assert!(refused.error().is_some_and(|text| text.contains(command)), "{refused}");
    assert_eq!(admin.call(["EVALSHA", &loaded, "1", "{s}a"]).await.unwrap(), Value::Int(2));
    expect(&mut admin, "ACL DELUSER scripter", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_py_logs_in() {
    let cluster = cluster::shared().await;
    let plain = cluster.plain_addresses();
    let mut admin = open(&plain[0]).await;
    expect(&mut admin, "ACL SETUSER snake on >bite ~python:* +@all", "OK").await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/login.py");
    let mut command = Command::new(python());
    command.arg(script).args(["--plain", &plain.join(","), "--user", "snake", "--password", "bite"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    expect(&mut admin, "ACL DELUSER snake", "1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_outlive_a_leader_of_meta_and_everything_else() {
    let mut cluster = TestCluster::start().await;
    let mut admin = cluster.connect().await;
    for number in 0..10 {
        if number == 5 {
            let leader = cluster.meta_leader().await;
            cluster.kill(leader).unwrap();
        }
        // Past the deadline the outcome is unknown, and the command is given again.
        wait::until("a user is made", PATIENCE, || {
            let rule = format!("ACL SETUSER user{number} on >word{number} ~* &* +@all");
            let address = cluster.plain();
            async move {
                let reply = open(&address).await.run(&rule).await.map_err(|error| error.to_string())?;
                if reply.to_string() == "OK" { Ok(()) } else { Err(reply.to_string()) }
            }
        })
        .await;
        for address in cluster.plain_addresses() {
            logged_in(&address, &format!("user{number}"), &format!("word{number}")).await;
        }
    }
    expect(&mut admin, "CONFIG SET requirepass hush", "OK").await;
    expect_error(&mut open(&cluster.plain_addresses()[2]).await, "PING", "NOAUTH ").await;
    let before = admin.run("ACL LIST").await.unwrap();
    assert_eq!(before.items().len(), 11);
    assert!(!before.to_string().contains("hush") && !before.to_string().contains("word1"));

    let members: Vec<MemberId> = cluster.members().iter().map(|member| member.id).collect();
    for &member in &members {
        if cluster.pid(member).is_some() {
            cluster.kill(member).unwrap();
        }
    }
    for &member in &members {
        cluster.restart(member).unwrap();
    }
    let address = cluster.proxy_address(3, Listener::Plain);
    let after = wait::until("the cluster is back", PATIENCE, || async {
        let mut client = Connection::open(&address).await.map_err(|error| error.to_string())?;
        let reply = client.run("AUTH hush").await.map_err(|error| error.to_string())?;
        if reply.to_string() != "OK" {
            return Err(reply.to_string());
        }
        let users = client.run("ACL LIST").await.map_err(|error| error.to_string())?;
        if users.error().is_none() { Ok(users) } else { Err(users.to_string()) }
    })
    .await;
    assert_eq!(after, before);
    // What is stored, and logged, are digests.
    for member in cluster.members().iter().filter(|member| member.id.role != Role::Storage) {
        let log = std::fs::read_to_string(cluster.log(member.id)).unwrap_or_default();
        assert!(!log.contains("hush") && !log.contains("word1"), "{:?}", member.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_meta_users_stay_as_they_are() {
    let one = |config| Config { meta: 1, nodes: 1, proxies: 1, ..config };
    let mut cluster = TestCluster::start_with(one).await;
    let mut admin = cluster.connect().await;
    expect(&mut admin, "ACL SETUSER steady on >x ~* +@all", "OK").await;
    let meta = cluster.meta_leader().await;
    cluster.kill(meta).unwrap();
    let mut client = logged_in(&cluster.plain(), "steady", "x").await;
    expect(&mut client, "SET k v", "OK").await;
    let refused = admin.run("ACL SETUSER steady off").await.unwrap();
    assert!(refused.error().is_some(), "{refused}");
    cluster.restart(meta).unwrap();
    wait::until_true("users can be changed again", PATIENCE, || async {
        let reply = open(&cluster.plain()).await.run("ACL SETUSER steady off").await;
        reply.is_ok_and(|reply| reply.to_string() == "OK")
    })
    .await;
    expect_error(&mut open(&cluster.plain()).await, "AUTH steady x", "WRONGPASS ").await;
    expect(&mut client, "GET k", "v").await;
}
