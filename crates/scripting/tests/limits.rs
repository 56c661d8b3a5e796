//! What scripts may not use up: time, memory, stack, the reply; and what nobody gets from another's run.

mod support;

use std::cell::Cell;
use std::rc::Rc;

use resp::{Protocol, Reply};
use scripting::{Limits, Watch};
use support::here::Here;
use support::text::show;

/// Stops a script after some looks.
struct Impatient(Cell<u32>);

impl Watch for Impatient {
    fn keep_going(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }

    fn seconds(&self) -> f64 {
        f64::from(self.0.get())
    }
}

fn impatient(looks: u32) -> Here {
    Here { watch: Rc::new(Impatient(Cell::new(looks))), ..Here::default() }
}

const KILLED: &str = "-ERR Script killed by user with SCRIPT KILL... script: ";

#[test]
fn a_script_that_is_stopped_leaves_nothing() {
    for script in [
        "redis.call('set', 'k', 1) while true do end",
        "redis.call('set', 'k', 1) while true do pcall(function() while true do end end) end",
        "redis.call('set', 'k', 1) local function f() f() end while true do pcall(f) end",
        "redis.call('set', 'k', 1) while true do pcall(redis.call, 'set', 'k', 2) end",
        "redis.call('set', 'k', 1) local f f = function() while true do xpcall(f, f) end end f()",
        "redis.call('set', 'k', 1) pcall(function() while true do end end) return 'went on'",
        "redis.call('set', 'k', 1) local co = coroutine.wrap(function() while true do end end) co()",
        "redis.call('set', 'k', 1) return string.find(string.rep('a', 100), string.rep('a?', 100) .. 'b')",
        "redis.call('set', 'k', 1) while true do collectgarbage() end",
        "redis.call('set', 'k', 1) local t = 'x' for i = 1, 60 do t = {t, t} end return t",
        "redis.call('set', 'k', 1) local t = 'x' for i = 1, 60 do t = {t, t} end return cjson.encode(t)",
        "redis.call('set', 'k', 1) local t = 'x' for i = 1, 15 do t = {t, t, t, t} end return cmsgpack.pack(t)",
        "redis.call('set', 'k', 1) table.sort({3, 2, 1}, function() while true do end end)",
    ] {
        let mut here = impatient(3);
        let reply = show(&here.eval(script, &["0"]));
        assert!(reply.starts_with(KILLED), "{script}: {reply}");
        assert_eq!(here.run(&[b"GET", b"k"]), Reply::Null, "{script}");
        here.watch = Rc::new(support::here::Patient);
        assert_eq!(show(&here.eval("return 'alive'", &["0"])), "\"alive\"");
    }
}

#[test]
fn the_place_of_a_stop_is_told() {
    let mut here = impatient(3);
    let reply = show(&here.eval("\nlocal i = 0\nwhile true do i = i + 1 end", &["0"]));
    assert!(reply.starts_with(KILLED) && reply.ends_with(", on @user_script:3."), "{reply}");
}

#[test]
fn steps_are_bounded() {
    let mut here = Here::with(Limits { steps_max: 10_000, ..Limits::default() });
    let reply = show(&here.eval("while true do end", &["0"]));
    assert!(reply.starts_with("-ERR Script stopped: it ran for too long script: "), "{reply}");
    assert_eq!(show(&here.eval("local n = 0 for i = 1, 1000 do n = n + i end return n", &["0"])), ":500500");
}

#[test]
fn libraries_are_loaded_in_time() {
    let mut here = impatient(3);
    let reply = here.run(&[b"FUNCTION", b"LOAD", b"#!lua name=lib\nwhile true do end"]);
    assert_eq!(show(&reply), "-ERR Error registering functions: ERR FUNCTION LOAD timeout");
    assert!(here.libraries.is_empty());
}

#[test]
fn the_clock_is_that_of_the_caller() {
    let mut here = impatient(7);
    assert_eq!(show(&here.eval("return os.clock()", &["0"])), ":7");
}

#[test]
fn memory_is_bounded() {
    let mut here = Here::with(Limits { memory_bytes: 4 << 20, ..Limits::default() });
    for script in [
        "local t = {} for i = 1, 1e9 do t[i] = {i} end",
        "local s = 'x' while true do s = s .. s end",
        "return string.rep('x', 1e9)",
        "local t = {} while true do t[#t + 1] = string.rep('x', 1000) end",
        "local s = string.rep('x', 100000) return cjson.encode({s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, \
         s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s})",
        "local t = string.rep('x', 1000) for i = 1, 14 do t = {t, t} end return cjson.encode(t)",
        "cjson.encode_sparse_array(false, 0) return cjson.encode({[2^31 - 1] = 1})",
        "local t = string.rep('x', 1000) for i = 1, 14 do t = {t, t, t, t} end return cmsgpack.pack(t)",
    ] {
        let reply = show(&here.eval(script, &["0"]));
        assert!(reply.contains("not enough memory") || reply.contains("too large"), "{script}: {reply}");
        assert_eq!(show(&here.eval("return 'alive'", &["0"])), "\"alive\"", "{script}");
    }
    // Memory is freed when twice what is in use has been taken.
    let mut here = Here::with(Limits { memory_bytes: 16 << 20, ..Limits::default() });
    let garbage = "for i = 1, 1000 do local s = string.rep('x', 100000) end return 'done'";
    assert_eq!(show(&here.eval(garbage, &["0"])), "\"done\"");
    let caught = "local ok, e = pcall(string.rep, 'x', 1e9) return {tostring(ok), e}";
    assert_eq!(show(&here.eval(caught, &["0"])), "[\"false\", \"not enough memory\"]");
}

#[test]
fn replies_are_bounded() {
    let mut here = Here::with(Limits { reply_bytes_max: 1000, ..Limits::default() });
    let too_large = "-ERR the reply of the script is too large";
    assert_eq!(show(&here.eval("return string.rep('x', 1001)", &["0"])), too_large);
    assert_eq!(show(&here.eval("local t = {} for i = 1, 100 do t[i] = i end return t", &["0"])), too_large);
    assert_eq!(show(&here.eval("local t = 'x' for i = 1, 60 do t = {t, t} end return t", &["0"])), too_large);
    assert_eq!(show(&here.eval("return {1, 2}", &["0"])), "[:1, :2]");
    let mut here = Here::default();
    let endless = "local a = {} local b = {a} a[1] = b return a";
    assert!(show(&here.eval(endless, &["0"])).contains("-ERR reached lua stack limit"));
}

/// Nesting, long lists of arguments, recursion: errors, no crash.
#[test]
fn no_script_takes_the_stack() {
    let mut here = Here::default();
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("return {}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for script in [
        nested("(", "1", ")", 100_000),
        nested("{", "", "}", 100_000),
        nested("(function() return ", "1", " end)()", 100_000),
        nested("-", "1", "", 100_000),
        nested("not ", "1", "", 100_000),
        nested("1 .. ", "1", "", 100_000),
        nested("1 ^ ", "1", "", 100_000),
        format!("{} {}", "if true then ".repeat(100_000), "end ".repeat(100_000)),
        "local function f() return f() + 1 end return f()".to_owned(),
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x".to_owned(),
        "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]".to_owned(),
        "local function f() return pcall(f) end return f()".to_owned(),
        "local function f() return coroutine.wrap(f)() end return f()".to_owned(),
        "return string.gsub(string.rep('(', 1000), '.', function() return {} end)".to_owned(),
        "return string.find('x', string.rep('(', 1000))".to_owned(),
        "local t = {} for i = 1, 7999 do t[i] = 'x' end return redis.call('mset', unpack(t))".to_owned(),
        "local t = {} for i = 1, 7900 do t[i] = 'x' .. i end return #{cmsgpack.unpack(cmsgpack.pack(unpack(t)))}"
            .to_owned(),
        "return #{cmsgpack.unpack(string.rep('\\160', 100000))}".to_owned(),
        "return cmsgpack.unpack(string.rep('\\145', 100000))".to_owned(),
        "return #{struct.unpack(string.rep('s', 100000), string.rep('\\0', 100000))}".to_owned(),
        "return cjson.decode(string.rep('{\"a\":', 100000))".to_owned(),
        "local t = {} for i = 1, 100000 do t[i] = {i} end return #cjson.encode(t)".to_owned(),
        "return select('#', string.byte(string.rep('x', 900000), 1, -1))".to_owned(),
        "return redis.call('mset', string.byte(string.rep('x', 900000), 1, -1))".to_owned(),
        "return bit.bor(string.byte(string.rep('x', 900000), 1, -1))".to_owned(),
        "local function more(...) local c = coroutine.wrap(function(...) coroutine.yield(...) end) return c('x', ...) \
         end local t = {'x'} for i = 1, 7999 do t[i] = 'y' end return redis.call('del', more(more(unpack(t))))"
            .to_owned(),
    ] {
        here.eval(&script, &["0"]);
        assert_eq!(show(&here.eval("return 'alive'", &["0"])), "\"alive\"", "{}", &script[..script.len().min(80)]);
    }
}

/// Text is looked for in linear time: this would take hours.
#[test]
fn plain_text_is_found_at_once() {
    let mut here = Here::default();
    let script = "local text, wanted = string.rep('a', 4000000), string.rep('a', 2000000)
        return {tostring(text:find(wanted .. 'b', 1, true)), {text:find(wanted .. 'b')}, {text:find(wanted, 5)},
            {text:find(wanted, -2000000, true)}, {text:find(wanted, -5, true)}}";
    assert_eq!(show(&here.eval(script, &["0"])), "[\"nil\", [], [:5, :2000004], [:2000001, :4000000], []]");
}

/// References that Rust holds are few, however much there is.
#[test]
fn large_values_pass() {
    let mut here = Here::default();
    let script = "local t = {} for i = 1, 50000 do t[i] = 'x' .. i t['k' .. i] = {i} end
        local packed = cmsgpack.pack(t) local json = cjson.encode(cmsgpack.unpack(packed))
        local back = cjson.decode(json) return {back.k777[1], #packed > 0, back['50000'] or back[50000]}";
    assert_eq!(show(&here.eval(script, &["0"])), "[:777, :1, \"x50000\"]");
    let script =
        "for i = 1, 20000 do redis.call('sadd', KEYS[1], i) end return #redis.call('smembers', KEYS[1])";
    assert_eq!(show(&here.eval(script, &["1", "s"])), ":20000");
    assert!(
        matches!(here.eval("return redis.call('smembers', KEYS[1])", &["1", "s"]), Reply::Array(all) if all.len() == 20000)
    );
}

#[test]
fn nothing_stays_of_a_run() {
    let mut here = Here::default();
    for (before, after, expected) in [
        ("redis.setresp(3)", "return tostring(redis.call('get', 'none'))", "\"false\""),
        ("cjson.encode_max_depth(1)", "return cjson.encode({{1}})", "\"[[1]]\""),
        ("math.randomseed(5)", "return math.random() == math.random()", "nil"),
        ("return KEYS[1]", "return #KEYS", ":0"),
        ("setmetatable(KEYS, {__len = function() return 7 end})", "return #KEYS", ":0"),
        ("getmetatable('').__index = nil", "return ('x'):rep(2)", "\"xx\""),
        ("string.rep = nil", "return ('x'):rep(2)", "\"xx\""),
        (
            "pcall(function() getmetatable(_G).__index = function() return 1 end end)",
            "return pcall(function() return x end)",
            "nil",
        ),
        ("rawset(redis, 'call', nil)", "return redis.call('ping')", "+PONG"),
        ("table.sort(_G, function() end)", "return 1", ":1"),
        ("collectgarbage('stop')", "return 1", ":1"),
    ] {
        here.eval(before, &["0"]);
        assert_eq!(show(&here.eval(after, &["0"])), expected, "{before}");
    }
}

#[test]
fn scripts_that_are_not_used_are_forgotten() {
    let mut here = Here::with(Limits { scripts_max: 10, ..Limits::default() });
    let digests: Vec<String> = (0..30)
        .map(|number| {
            here.eval("return 'often'", &["0"]);
            here.engine.load(format!("return {number}").as_bytes()).unwrap()
        })
        .collect();
    assert_eq!(here.engine.scripts(), 10);
    assert!(here.engine.knows(&scripting::sha1_hex(b"return 'often'")));
    assert!(!here.engine.knows(&digests[0]) && here.engine.knows(&digests[29]));
    here.engine.forget_scripts();
    assert_eq!(here.engine.scripts(), 0);
}

#[test]
fn log_lines_reach_the_host() {
    let mut here = Here::default();
    here.eval("redis.log(redis.LOG_WARNING, 'a', 1.5, {}, 'b')", &["0"]);
    assert_eq!(here.log, ["a 1.5 b"]);
}

/// Types that only RESP3 has, as values.
#[test]
fn resp3_types_go_out_as_they_are() {
    let mut here = Here::default();
    for (script, expected) in [
        ("return {double = 1.5}", Reply::Double(1.5)),
        ("return {map = {a = 1}}", Reply::Map(vec![(Reply::bulk("a"), Reply::Int(1))])),
        ("return {set = {a = true}}", Reply::Set(vec![Reply::bulk("a")])),
        ("return {big_number = '12'}", Reply::BigNumber("12".into())),
        ("return {verbatim_string = {format = 'txt', string = 'hi'}}", Reply::Verbatim(*b"txt", "hi".into())),
        ("redis.setresp(3) return true", Reply::Bool(true)),
        ("return true", Reply::Int(1)),
    ] {
        assert_eq!(here.reply(&[b"EVAL", script.as_bytes(), b"0"]), expected, "{script}");
    }
    here.cx.protocol = Protocol::Resp3;
    here.run(&[b"HSET", b"h", b"f", b"v"]);
    let script = "redis.setresp(3) local r = redis.call('hgetall', 'h') return {r.map.f, type(r.map)}";
    assert_eq!(show(&here.eval(script, &["0"])), "[\"v\", \"table\"]");
    assert_eq!(show(&here.eval("return #redis.call('hgetall', 'h')", &["0"])), ":2");
}
