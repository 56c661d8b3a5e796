//! Commands of scripts over a store: what is refused, what stays, what is taken back.

mod support;

use std::rc::Rc;

use commands::Cx;
use datatypes::mem::MemKv;
use datatypes::{Limits as SmallLimits, Slot, slot_of};
use resp::{Protocol, Reply};
use scripting::{Engine, Limits, LogLevel, Request, ScriptError, TableHost};
use support::here::{Here, Patient};
use support::text::show;

/// Runs a script whose keys all lie in the slot of `{t}`, on a node that serves `{t}` and `{u}`.
fn run(
    script: &str,
    keys: &[&[u8]],
    change: impl FnOnce(&mut Request<'_>),
) -> (Result<Reply, ScriptError>, MemKv) {
    let mut kv = MemKv::default();
    let mut engine = Engine::new(Limits::default()).unwrap();
    let mut request =
        Request { keys, args: &[], read_only: false, cluster: true, seed: 1, watch: Rc::new(Patient) };
    change(&mut request);
    let cx = Cx {
        now_ms: 1_700_000_000_123,
        db: 0,
        seed: 1,
        protocol: Protocol::Resp3,
        limits: SmallLimits::default(),
    };
    let here = [slot_of(b"{t}"), slot_of(b"{u}")];
    let serves = |slot: Slot| here.contains(&slot);
    let mut log = |_: LogLevel, _: &[u8]| {};
    let slot = keys.first().map(|key| slot_of(key));
    let result = kv.transact(|kv| {
        let mut host = TableHost::new(kv, cx, slot, &serves, &mut log);
        engine.eval(&mut host, script.as_bytes(), &request)
    });
    datatypes::check::check_invariants(&kv);
    (result, kv)
}

fn told(script: &str, keys: &[&[u8]]) -> String {
    let shown = show(&run(script, keys, |_| {}).0.unwrap_or_else(Reply::from));
    shown.split(" script: ").next().unwrap().to_owned()
}

#[test]
fn keys_must_be_where_the_script_runs() {
    let keys: &[&[u8]] = &[b"a{t}"];
    assert_eq!(told("return redis.call('set', KEYS[1], 1)", keys), "+OK");
    assert_eq!(told("return redis.call('set', 'b{u}', 1)", keys), "+OK");
    assert_eq!(
        told("return redis.call('set', 'elsewhere', 1)", keys),
        "-ERR Script attempted to access a non local key in a cluster node"
    );
    assert_eq!(
        told("return redis.call('mget', 'a{t}', 'a{u}')", keys),
        "-ERR Command 'mget' in script attempted to access keys that don't hash to the same slot"
    );
    assert_eq!(
        told("#!lua\nreturn redis.call('set', 'b{u}', 1)", keys),
        "-ERR Script attempted to access keys that do not hash to the same slot"
    );
    assert_eq!(told("#!lua flags=allow-cross-slot-keys\nreturn redis.call('set', 'b{u}', 1)", keys), "+OK");
    assert_eq!(
        told("#!lua\nredis.call('set', 'b{u}', 1) return redis.call('set', 'a{t}', 1)", &[]),
        "-ERR Script attempted to access keys that do not hash to the same slot"
    );
}

#[test]
fn what_declares_no_cluster_is_refused_in_one() {
    let script = "#!lua flags=no-cluster\nreturn 1";
    assert_eq!(run(script, &[], |_| {}).0, Err(ScriptError::NoCluster));
    assert_eq!(run(script, &[], |request| request.cluster = false).0, Ok(Reply::Int(1)));
}

#[test]
fn a_failed_command_leaves_nothing_and_its_predecessors_stay() {
    let script = "redis.call('hset', 'h{t}', 'f', 'x')
        redis.pcall('hincrby', 'h{t}', 'f', 1)
        redis.pcall('hincrby', 'h{t}', 'g', 'x')
        redis.call('set', 'n{t}', 'x')
        redis.call('incr', 'n{t}')";
    let (result, kv) = run(script, &[], |_| {});
    let Ok(Reply::Error(text)) = result else { panic!("the script fails by itself") };
    assert!(text.starts_with(b"ERR value is not an integer or out of range script: "));
    assert_eq!(kv.clone().pairs().count(), kv.len());
    let mut here = Here { kv, ..Here::default() };
    assert_eq!(show(&here.run(&[b"HGETALL", b"h{t}"])), "[\"f\", \"x\"]");
    assert_eq!(show(&here.run(&[b"GET", b"n{t}"])), "\"x\"");
    assert_eq!(show(&here.run(&[b"DBSIZE"])), ":2");
}

#[test]
fn commands_of_the_proxy_mean_something() {
    assert_eq!(told("return redis.call('ping', 'x')", &[]), "\"x\"");
    assert_eq!(told("return redis.call('time')", &[]), "[\"1700000000\", \"123000\"]");
    assert_eq!(told("return redis.call('select', 99)", &[]), "-ERR DB index is out of range");
    assert_eq!(told("return redis.call('select', 'x')", &[]), "-ERR value is not an integer or out of range");
    let range = "-ERR value is out of range, value must between -2147483648 and 2147483647";
    assert_eq!(told("return redis.call('select', 99999999999)", &[]), range);
    let arity = "-ERR wrong number of arguments for 'ping' command";
    assert_eq!(told("return redis.call('ping', 'a', 'b')", &[]), arity);
    assert_eq!(told("redis.call('set', 'k{t}', 1) return redis.call('keys', '*')", &[]), "[\"k{t}\"]");
    assert_eq!(told("redis.call('set', 'k{t}', 1) return redis.call('scan', 0)", &[]), "[\"0\", [\"k{t}\"]]");
    assert_eq!(
        told("return redis.call('client', 'list')", &[]),
        "-ERR This Redis command is not allowed from script"
    );
    assert_eq!(told("return redis.call('info')", &[]), "-ERR This Redis command is not allowed from script");
}

#[test]
fn random_commands_differ_within_a_script() {
    let script = "for i = 1, 100 do redis.call('sadd', 's{t}', i) end
        local first = redis.call('srandmember', 's{t}')
        for i = 1, 20 do if redis.call('srandmember', 's{t}') ~= first then return 'differs' end end";
    assert_eq!(told(script, &[]), "\"differs\"");
}
