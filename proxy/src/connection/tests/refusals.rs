//! What is refused, in the words of Redis, and what is refused later than one might think.

use super::*;

/// What each command is answered by one client, in order.
fn answers(side: Side, exchange: &[(&str, &str)]) {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(side);
        for (command, expected) in exchange {
            client.ask(command, &format!("{expected}\r\n")).await;
        }
    });
}

#[test]
fn a_cluster_has_one_database() {
    answers(
        Side::Cluster,
        &[
            ("copy k{t} l{t} db 1", "-ERR Copying to another database is not allowed in cluster mode"),
            (
                "copy k{t} k{t} replace DB 15",
                "-ERR Copying to another database is not allowed in cluster mode",
            ),
            ("move k 1", "-ERR MOVE is not allowed in cluster mode"),
            ("select 1", "-ERR SELECT is not allowed in cluster mode"),
            ("select a", "-ERR value is not an integer or out of range"),
        ],
    );
}

#[test]
fn pairs_are_counted_when_they_are_set() {
    answers(
        Side::Plain,
        &[
            ("mset a 1 b", "-ERR wrong number of arguments for 'mset' command"),
            ("msetnx a 1 b", "-ERR wrong number of arguments for 'msetnx' command"),
            ("get a", "$-1"),
            ("acl dryrun default mset a b c", "+OK"),
            ("acl dryrun default mset a", "-ERR wrong number of arguments for 'mset' command"),
            ("multi", "+OK"),
            ("mset a 1 b", "+QUEUED"),
            ("msetnx a 1 b", "+QUEUED"),
            ("discard", "+OK"),
        ],
    );
}

#[test]
fn a_database_that_is_not_there_is_refused_by_exec() {
    answers(
        Side::Plain,
        &[
            ("multi", "+OK"),
            ("select 99", "+QUEUED"),
            ("select a", "+QUEUED"),
            ("exec", "*2\r\n-ERR DB index is out of range\r\n-ERR value is not an integer or out of range"),
            ("get k", "$-1"),
        ],
    );
}

#[test]
fn times_must_end() {
    let range = "-ERR timeout is out of range";
    answers(
        Side::Plain,
        &[
            ("client pause 9223372036854775807 write", range),
            ("client pause -1", "-ERR timeout is negative"),
            ("client pause x", "-ERR timeout is not an integer or out of range"),
            ("wait 0 9223372036854775807", range),
            ("ping", "+PONG"),
        ],
    );
}

#[test]
fn surplus_words_are_refused() {
    let surplus = |name: &str, container: &str| {
        format!("-ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.")
    };
    answers(
        Side::Plain,
        &[
            ("client PAUSE 10 all x", &surplus("PAUSE", "CLIENT")),
            ("client unblock 1 timeout x", &surplus("unblock", "CLIENT")),
            ("slowlog get 1 2", &surplus("get", "SLOWLOG")),
            ("pubsub channels a b", &surplus("channels", "PUBSUB")),
            ("pubsub shardchannels a b", &surplus("shardchannels", "PUBSUB")),
            ("slowlog get abc", "-ERR count should be greater than or equal to -1"),
            ("slowlog get -2", "-ERR count should be greater than or equal to -1"),
            ("script flush sync x", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option"),
            ("script debug foo", "-ERR Use SCRIPT DEBUG YES/SYNC/NO"),
            (
                "select 99999999999",
                "-ERR value is out of range, value must between -2147483648 and 2147483647",
            ),
            ("client kill id 0 type", "-ERR client-id should be greater than 0"),
            ("client kill type foo addr", "-ERR Unknown client type 'foo'"),
            ("client kill type normal addr", "-ERR syntax error"),
            (
                "client setinfo LIB-NAME \"a b\"",
                "-ERR LIB-NAME cannot contain spaces, newlines or special characters.",
            ),
            ("cluster help", "-ERR This instance has cluster support disabled"),
            ("scan -", "-ERR invalid cursor"),
            ("scan -1", "*2\r\n$1\r\n0\r\n*0"),
            ("scan \"\"", "*2\r\n$1\r\n0\r\n*0"),
            ("config get MAXCLIENTS", "*2\r\n$10\r\nMAXCLIENTS\r\n$5\r\n10000"),
            ("config get m[ab]xcl*", "*2\r\n$10\r\nmaxclients\r\n$5\r\n10000"),
            ("config get cluster-enabled", "*2\r\n$15\r\ncluster-enabled\r\n$2\r\nno"),
        ],
    );
}

#[test]
fn whoever_monitors_leaves_keys_alone() {
    let refused = "-ERR Replica can't interact with the keyspace";
    answers(
        Side::Plain,
        &[
            ("monitor", "+OK"),
            ("get k", refused),
            ("set k v", refused),
            ("eval x 0", refused),
            ("publish c m", refused),
            ("dbsize", refused),
            ("monitor\r\nreset", "+RESET"),
            ("get k", "$-1"),
        ],
    );
}
