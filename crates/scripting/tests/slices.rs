//! Scripts that are left and entered again, wherever that is possible.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use commands::Cx;
use datatypes::Limits as SmallLimits;
use datatypes::mem::MemKv;
use resp::{Protocol, Reply};
use scripting::{Engine, Limits, LogLevel, Request, ScriptError, Standing, TableHost, Watch};
use support::here::Here;
use support::script::{self, Step};
use support::text::show;

/// Every look ends a slice.
#[derive(Default)]
struct Busy {
    looks: Cell<u64>,
    killed: Cell<bool>,
}

impl Watch for Busy {
    fn keep_going(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        !self.killed.get()
    }

    fn slice_is_over(&self) -> bool {
        true
    }
}

#[test]
fn nobody_can_tell_that_a_script_ran_in_slices() {
    let mut failures = Vec::new();
    // A look comes every 16 steps.
    for phase in 0..16 {
        // Its digests are of scripts as they are.
        for scenario in script::all().iter().filter(|scenario| scenario.name != "digests") {
            let mut here = Here { watch: Rc::new(Busy::default()), ..Here::default() };
            for step in &scenario.steps {
                let Step::Command { line, argv, expected } = step else { panic!("commands only") };
                let mut argv = argv.clone();
                if argv[0].eq_ignore_ascii_case(b"eval") && !argv[1].starts_with(b"#!") {
                    argv[1].splice(0..0, format!("for _ = 1, {phase} do end ").into_bytes());
                }
                let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
                let got = show(&here.run(&argv));
                // Digests of scripts, and what is told of the compiler, are others.
                let shown = |text: &str| text.split(" script: ").next().unwrap_or_default().to_owned();
                if shown(&got) != shown(expected) {
                    failures.push(format!(
                        "{phase} {}\n> {line}\n  expected {expected}\n  got      {got}",
                        scenario.name
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// What became of a script, and how many slices it took. After each slice `between` is asked, which may
/// stop it.
fn sliced(script: &str, between: impl Fn(&Busy)) -> (Result<Reply, ScriptError>, u64) {
    let mut engine = Engine::new(Limits::default()).unwrap();
    let watch = Rc::new(Busy::default());
    let request = Request {
        keys: &[b"k"],
        args: &[b"a"],
        read_only: false,
        cluster: true,
        seed: 1,
        watch: watch.clone(),
    };
    let protocol = Protocol::Resp2;
    let cx = Cx { now_ms: 1, db: 0, seed: 1, protocol, limits: SmallLimits::default() };
    let mut standing = Standing::new(cx, None);
    let mut run = engine.begin(script.as_bytes(), &request).unwrap();
    let mut log = |_: LogLevel, _: &[u8]| {};
    let mut slices = 0;
    let result = MemKv::default().transact(|kv| {
        loop {
            slices += 1;
            let late_by = Duration::from_secs(u64::saturating_sub(slices, 3));
            let mut host = TableHost::standing(kv, standing, &|_| true, &mut log).late_by(late_by);
            let result = engine.go_on(&mut run, &mut host);
            standing = host.stands();
            match result {
                Some(result) => break result,
                None => between(&watch),
            }
        }
    });
    (result, slices)
}

fn told(script: &str) -> (String, u64) {
    let (result, slices) = sliced(script, |_| {});
    (show(&result.unwrap_or_else(Reply::from)), slices)
}

#[test]
fn whoever_waits_for_a_moment_sees_it_come() {
    let script =
        "local t = redis.call('time') while tonumber(redis.call('time')[1]) < t[1] + 2 do end return t";
    let (got, slices) = told(script);
    // From the fourth slice on, each is a second later.
    assert_eq!((got.as_str(), slices), (r#"["0", "1000"]"#, 5));
}

#[test]
fn it_is_left_at_loops_and_calls_also_inside_pcall_and_coroutines() {
    for (script, reply) in [
        ("local n = 0 for i = 1, 1000 do n = n + i end return n", ":500500"),
        ("for i = 1, 1000 do redis.call('incr', KEYS[1]) end return redis.call('get', KEYS[1])", "\"1000\""),
        (
            "redis.call('select', 1) for i = 1, 1000 do end redis.call('set', 'x', 1) redis.call('select', 0) \
          return redis.call('exists', 'x')",
            ":0",
        ),
        ("redis.setresp(3) for i = 1, 1000 do end return redis.call('set', 'x', 1)", "+OK"),
        (
            "return pcall(function() for i = 1, 1000 do end return KEYS[1] .. ARGV[1] end) and 'done'",
            "\"done\"",
        ),
        (
            "local ok, e = pcall(function() for i = 1, 1000 do end error({err = 'mine'}) end) return e",
            "\"mine\"",
        ),
        (
            "local ok, e = pcall(function() for i = 1, 1000 do end return nil + 1 end) return e",
            "\"user_script:1: attempt to perform arithmetic on a nil value\"",
        ),
        (
            "local co = coroutine.wrap(function(a) for i = 1, 1000 do a = a + coroutine.yield(a) end return 'end' end) \
          local n = co(1) for i = 1, 999 do n = co(i) end return n",
            ":499501",
        ),
        (
            "local function deep(n) if n == 0 then for i = 1, 1000 do end coroutine.yield('deep') return 'x' end \
          local co = coroutine.create(deep) local r = {} \
          while coroutine.status(co) == 'suspended' do local ok, v = coroutine.resume(co, n - 1) r[#r + 1] = tostring(v) \
          if coroutine.status(co) == 'suspended' then coroutine.yield(v) end end return table.concat(r, ',') end \
          local co = coroutine.create(deep) local all = {} \
          while true do local ok, v = coroutine.resume(co, 5) all[#all + 1] = tostring(v) \
          if coroutine.status(co) ~= 'suspended' then break end end return all",
            "[\"deep\", \"deep,deep,deep,deep,deep,x\"]",
        ),
        (
            "local co = coroutine.wrap(function() for i = 1, 1000 do end error('mine') end) \
          local ok, e = pcall(co) return e",
            "\"user_script:1: mine\"",
        ),
    ] {
        let (got, slices) = told(script);
        assert!(slices > 3, "{script}: {slices}");
        assert_eq!(got.split(" script:").next().unwrap(), reply, "{script}");
    }
}

#[test]
fn inside_what_c_calls_it_goes_on() {
    for (script, reply) in [
        (
            "local t = {} for i = 1, 200 do t[i] = 200 - i end \
          table.sort(t, function(a, b) for i = 1, 50 do end return a < b end) return t[1]",
            ":0",
        ),
        ("return (string.gsub('aaaa', 'a', function() for i = 1, 1000 do end return 'b' end))", "\"bbbb\""),
        (
            "local t = setmetatable({}, {__index = function(_, k) for i = 1, 1000 do end return k end}) return t.x",
            "\"x\"",
        ),
        (
            "local t = {3, 1, 2} local co = coroutine.wrap(function(a, b) while true do for i = 1, 1000 do end \
          a, b = coroutine.yield(a < b) end end) table.sort(t, function(a, b) return co(a, b) end) return t",
            "[:1, :2, :3]",
        ),
    ] {
        let (got, _) = told(script);
        assert_eq!(got, reply, "{script}");
    }
}

#[test]
fn what_a_script_yields_is_its_own() {
    for (script, reply) in [
        (
            "local co = coroutine.create(function() coroutine.yield() end) \
          return {select('#', coroutine.resume(co)), coroutine.status(co)}",
            "[:1, \"suspended\"]",
        ),
        (
            "local co = coroutine.create(function(...) return select('#', ...) end) \
          return {select('#', coroutine.resume(co, nil, nil)), coroutine.status(co)}",
            "[:2, \"dead\"]",
        ),
        (
            "local co = coroutine.create(function() return select('#', coroutine.yield(nil, 2, nil)) end) \
          local n = select('#', coroutine.resume(co)) return {n, select(2, coroutine.resume(co, nil, nil))}",
            "[:4, :2]",
        ),
        ("return tostring(coroutine.running())", "\"nil\""),
        (
            "local ok, e = pcall(coroutine.yield, 1) return e",
            "\"attempt to yield across metamethod/C-call boundary\"",
        ),
        (
            "local ok, e = pcall(coroutine.resume, 1) return e",
            "\"bad argument #1 to 'resume' (coroutine expected)\"",
        ),
    ] {
        assert_eq!(told(script).0, reply, "{script}");
    }
}

#[test]
fn a_script_is_stopped_between_two_slices() {
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local f = function() while 1 do redis.call('ping') end end while 1 do pcall(f) end",
        "coroutine.wrap(function() while true do end end)()",
        "coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()",
    ] {
        let slices = Cell::new(0);
        let (result, _) = sliced(script, |watch| {
            slices.set(slices.get() + 1);
            watch.killed.set(slices.get() == 100);
        });
        assert!(matches!(result, Err(ScriptError::Stopped(_))), "{script}: {result:?}");
    }
}
