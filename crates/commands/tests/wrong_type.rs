//! String commands on a key that holds something else.

mod support;

use support::shard::Shard;
use support::text::show;

fn with_list() -> Shard {
    let mut shard = Shard::default();
    ask(&mut shard, "RPUSH l element");
    shard
}

fn ask(shard: &mut Shard, line: &str) -> String {
    let argv: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let reply = show(&shard.run(&argv));
    shard.check_invariants();
    reply
}

#[test]
fn other_types_are_refused_and_left_alone() {
    let mut shard = with_list();
    for line in [
        "GET l",
        "SET l v GET",
        "GETSET l v",
        "GETDEL l",
        "GETEX l EX 0",
        "APPEND l x",
        "STRLEN l",
        "SETRANGE l 0 x",
        "SETRANGE l 0 ",
        "GETRANGE l 0 1",
        "SUBSTR l 0 1",
        "INCR l",
        "DECR l",
        "INCRBY l 1",
        "DECRBY l 1",
        "INCRBYFLOAT l x",
        "SETBIT l 0 1",
        "GETBIT l 0",
        "BITCOUNT l 0 x",
        "BITPOS l 0 x",
        "BITOP OR {l}2 {l}1 l",
        "BITFIELD l",
        "BITFIELD l SET u8 0 1",
        "BITFIELD_RO l GET u8 0",
        "PFADD l x",
        "PFCOUNT l",
        "PFCOUNT {l}1 l",
        "PFMERGE l",
        "PFMERGE {l}1 l",
        "XADD l * f v",
        "XADD l NOMKSTREAM * f v",
        "XLEN l",
        "XRANGE l - +",
        "XREVRANGE l + -",
        "XDEL l 1",
        "XTRIM l MAXLEN 1",
        "XSETID l 1",
        "XREAD STREAMS l 0",
        "XREAD BLOCK 0 STREAMS l $",
        "XREADGROUP GROUP g c STREAMS l >",
        "XACK l g 1",
        "XPENDING l g",
        "XCLAIM l g c 0 1",
        "XAUTOCLAIM l g c 0 -",
        "XGROUP CREATE l g $ MKSTREAM",
        "XGROUP SETID l g $",
        "XGROUP DESTROY l g",
        "XGROUP CREATECONSUMER l g c",
        "XGROUP DELCONSUMER l g c",
        "XINFO STREAM l",
        "XINFO GROUPS l",
        "XINFO CONSUMERS l g",
    ] {
        let reply = ask(&mut shard, line);
        assert_eq!(reply, "-WRONGTYPE Operation against a key holding the wrong kind of value", "{line}");
    }
    assert_eq!(ask(&mut shard, "BITOP OR l {l}1 {l}2"), ":0");
    assert_eq!(ask(&mut shard, "EXISTS l"), ":0");
    let mut shard = with_list();
    assert_eq!(ask(&mut shard, "LCS l l"), "-ERR The specified keys must contain string values");
    assert_eq!(ask(&mut shard, "MGET l"), "[nil]");
    assert_eq!(ask(&mut shard, "SETNX l v"), ":0");
    assert_eq!(ask(&mut shard, "TYPE l"), "+list");
    assert_eq!(ask(&mut shard, "OBJECT ENCODING l"), "\"listpack\"");
    assert_eq!(ask(&mut shard, "SCAN 0 TYPE LIST"), "[\"0\", [\"l\"]]");
    assert_eq!(ask(&mut shard, "SCAN 0 TYPE string"), "[\"0\", []]");
}

#[test]
fn commands_for_any_type_work_on_any_type() {
    let mut shard = with_list();
    assert_eq!(ask(&mut shard, "EXPIRE l 100"), ":1");
    assert_eq!(ask(&mut shard, "COPY l {l}2"), ":1");
    assert_eq!(ask(&mut shard, "RENAME {l}2 {l}3"), "+OK");
    assert_eq!(ask(&mut shard, "TTL {l}3"), ":100");
    assert_eq!(ask(&mut shard, "TYPE {l}3"), "+list");
    assert_eq!(ask(&mut shard, "SET l v"), "+OK");
    assert_eq!(ask(&mut shard, "TYPE l"), "+string");
    assert_eq!(ask(&mut shard, "DEL l {l}3"), ":2");
}
