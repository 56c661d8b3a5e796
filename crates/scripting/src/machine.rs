//! One Lua machine: what scripts find in it, what they may use of it, how one run goes.
//!
//! Globals are those of Redis and of Lua 5.1, and nothing of them can be changed: every table that can be
//! reached is read-only, metatables included. A machine runs one script at a time, in slices, to its end.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{
    ChunkMode, Compiler, Function, Lua, LuaOptions, MultiValue, Result, StdLib, Table, Thread, ThreadStatus,
    Value, VmState,
};
use resp::Reply;

use crate::api::{self, API_CONSTANTS, CallSettings, LOG_CONSTANTS};
use crate::dialect;
use crate::error::StopReason;
use crate::host::Host;
use crate::pulse::Watch;
use crate::session::{Registered, Session};
use crate::to_reply;

/// Bounds of what scripts may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of each of the two machines: one for scripts, one for functions.
    pub memory_bytes: usize,
    /// Loops and calls of one run.
    pub steps_max: u64,
    pub reply_bytes_max: usize,
    /// Compiled scripts that are kept.
    pub scripts_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 128 << 20, steps_max: u64::MAX, reply_bytes_max: 128 << 20, scripts_max: 500 }
    }
}

/// What a machine is for. The two differ in their globals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// EVAL: `KEYS` and `ARGV` are globals.
    Scripts,
    /// FCALL: code of libraries, which sees little more than `redis.register_function` while it is loaded.
    Functions,
}

/// Globals that are kept of Luau's.
const GLOBALS: &[&str] = &[
    "_VERSION",
    "assert",
    "coroutine",
    "error",
    "gcinfo",
    "getmetatable",
    "ipairs",
    "math",
    "next",
    "pairs",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "type",
];

/// What is kept of Luau's libraries.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("coroutine", &["create", "resume", "running", "status", "wrap", "yield"]),
    (
        "math",
        &[
            "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod",
            "frexp", "huge", "ldexp", "log", "log10", "max", "min", "modf", "pi", "pow", "rad", "sin",
            "sinh", "sqrt", "tan", "tanh",
        ],
    ),
    (
        "string",
        &[
            "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse",
            "sub", "upper",
        ],
    ),
    ("table", &["concat", "foreach", "foreachi", "getn", "insert", "maxn", "remove", "sort"]),
];

/// Names of Lua 5.0 that Lua 5.1 still had.
const ALIASES: [(&str, &str, &str); 2] = [("math", "mod", "fmod"), ("string", "gfind", "gmatch")];

const PRELUDE: &str = include_str!("prelude.luau");

pub struct Machine {
    lua: Lua,
    session: Rc<Session>,
    /// Where the prelude finds the host of the current run.
    bridge: Table,
    /// Runs a function, and answers whether it came to its end and what it returned.
    runner: Function,
    /// The environment of code: for scripts the globals themselves.
    environment: Table,
    loading: Option<Loading>,
    /// The thread of a run that came to its end.
    spare: Cell<Option<Thread>>,
}

/// What a machine for functions exchanges while a library is loaded.
struct Loading {
    metatable: Table,
    globals: Table,
    load_globals: Table,
}

/// What became of a run: the value returned, or an error's, which is a table with `err` and its place.
pub type Ran = std::result::Result<Value, Value>;

/// A run that has begun. It is a thread of the machine, so that it can be left and entered again.
pub struct Course {
    thread: Thread,
    settings: CallSettings,
    /// What the thread begins with.
    call: Option<MultiValue>,
}

/// Code that was not accepted: the compiler's message.
pub struct NotCompiled(pub Vec<u8>);

impl Machine {
    pub fn new(purpose: Purpose, limits: &Limits) -> Result<Self> {
        let libraries = StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::DEBUG;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        lua.set_memory_limit(limits.memory_bytes)?;
        lua.set_compiler(compiler());
        let session = Rc::new(Session::new());
        session.json.bytes_max.set(limits.memory_bytes);
        let pulse = Rc::clone(&session);
        lua.set_interrupt(move |lua| match pulse.pulse.beat(|| is_code_of_clients(lua)) {
            Ok(false) => Ok(VmState::Continue),
            // Where nothing can be left and entered again, it just goes on.
            Ok(true) => Ok(VmState::Yield),
            Err(reason) => Err(mlua::Error::runtime(reason.text())),
        });
        Builder::new(&lua, &session)?.build(purpose)
    }

    /// Compiles code that is not run yet; `source` stands in messages.
    pub fn compile(&self, code: &[u8], source: &str) -> std::result::Result<Function, NotCompiled> {
        let chunk = self.lua.load(code).set_name(format!("={source}")).set_mode(ChunkMode::Text);
        let chunk = match self.loading {
            Some(_) => chunk.set_environment(self.environment.clone()),
            None => chunk,
        };
        chunk.into_function().map_err(|error| NotCompiled(dialect::message(&error).into_bytes()))
    }

    /// Sets the globals of EVAL.
    pub fn set_arguments(&self, keys: &[&[u8]], args: &[&[u8]]) -> Result<()> {
        self.set_globals(Value::Table(self.strings(keys)?), Value::Table(self.strings(args)?))
    }

    /// Takes them away. (While a script is compiled they must not be there: Luau would remember them.)
    pub fn clear_arguments(&self) -> Result<()> {
        self.set_globals(Value::Nil, Value::Nil)
    }

    fn set_globals(&self, keys: Value, args: Value) -> Result<()> {
        let globals = &self.environment;
        globals.set_readonly(false);
        let result = globals.raw_set("KEYS", keys).and_then(|()| globals.raw_set("ARGV", args));
        globals.set_readonly(true);
        globals.set_safeenv(true);
        result
    }

    pub fn strings(&self, texts: &[&[u8]]) -> Result<Table> {
        let table = self.lua.create_table_with_capacity(texts.len(), 0)?;
        for (at, text) in texts.iter().enumerate() {
            table.raw_set(at + 1, self.lua.create_string(text)?)?;
        }
        Ok(table)
    }

    /// A new run begins.
    pub fn start(&self, seed: u64, watch: Rc<dyn Watch>, steps_max: u64) {
        self.session.reset(seed);
        self.session.pulse.start(watch, steps_max);
    }

    /// A run of a function with the arguments behind it in `call`.
    pub fn begin(&self, settings: CallSettings, call: MultiValue) -> Result<Course> {
        let thread = match self.spare.take() {
            Some(thread) => {
                thread.reset(self.runner.clone())?;
                thread
            }
            None => self.lua.create_thread(self.runner.clone())?,
        };
        Ok(Course { thread, settings, call: Some(call) })
    }

    /// Lets a run go on; `None`: its slice is over.
    pub fn go_on(&self, course: &mut Course, host: &mut dyn Host) -> Result<Option<Ran>> {
        self.session.pulse.begin_slice();
        let call = course.call.take().unwrap_or_default();
        let thread = &course.thread;
        let results = self.serving(host, course.settings, || thread.resume::<MultiValue>(call));
        if results.is_ok() && thread.status() == ThreadStatus::Resumable {
            return Ok(None);
        }
        if results.is_ok() {
            self.spare.set(Some(thread.clone()));
        }
        self.ran(results).map(Some)
    }

    /// Serves what runs meanwhile with the commands of a host.
    fn serving(
        &self,
        host: &mut dyn Host,
        settings: CallSettings,
        work: impl FnOnce() -> Result<MultiValue>,
    ) -> Result<MultiValue> {
        let session = &self.session;
        self.lua.scope(|scope| {
            let dispatch = scope.create_function_mut(|lua, args: MultiValue| {
                let args = args.into_vec();
                api::settle(lua, api::dispatch(lua, session, host, settings, &args))
            })?;
            self.bridge.raw_set("dispatch", dispatch)?;
            let results = work();
            self.bridge.raw_set("dispatch", Value::Nil)?;
            results
        })
    }

    fn ran(&self, results: Result<MultiValue>) -> Result<Ran> {
        let results = match results {
            // Stopped where no handler was: in the prelude itself.
            Err(_) if self.session.pulse.is_stopped() => MultiValue::new(),
            results => results?,
        };
        let mut results = results.into_iter();
        let done = matches!(results.next(), Some(Value::Boolean(true)));
        let value = results.next().unwrap_or(Value::Nil);
        Ok(if done { Ok(value) } else { Err(value) })
    }

    /// Runs the code of a library; what it registered, if it came to its end.
    pub fn register(&self, host: &mut dyn Host, code: Function) -> Result<(Ran, Vec<Registered>)> {
        let settings = CallSettings { read_only: true, cross_slot: false };
        self.session.registering.replace(Some(Vec::new()));
        self.expose(true)?;
        // At once, and not in a thread: nothing else sees what is exposed now.
        let ran = self.ran(self.serving(host, settings, || self.runner.call(code)));
        let exposed = self.expose(false);
        let registered = self.session.registering.take().unwrap_or_default();
        exposed?;
        Ok((ran?, registered))
    }

    /// What code of libraries sees: little while it is loaded, everything when it is called.
    fn expose(&self, loading: bool) -> Result<()> {
        let Some(parts) = &self.loading else { return Ok(()) };
        let globals = if loading { &parts.load_globals } else { &parts.globals };
        parts.metatable.set_readonly(false);
        let result = parts.metatable.raw_set("__index", globals);
        parts.metatable.set_readonly(true);
        result
    }

    /// The reply of a run, and whether that was stopped before it was built. Ends the run.
    pub fn finish(
        &self,
        bytes_max: usize,
        ran: Ran,
    ) -> (Option<StopReason>, std::result::Result<Reply, Value>) {
        let protocol = self.session.protocol.get();
        let build =
            |value: Value| to_reply::Builder::new(&self.session.pulse, protocol, bytes_max).build(&value);
        let reply = ran.map(build);
        (self.session.pulse.end(), reply)
    }

    pub fn used_bytes(&self) -> usize {
        self.lua.used_memory()
    }

    pub fn collect_garbage(&self) {
        // A failure here is one of memory; whoever needs it next fails with it.
        let _ = self.lua.gc_collect();
    }
}

/// Not in the prelude, which may be about to call a host that is of this slice alone.
fn is_code_of_clients(lua: &Lua) -> bool {
    let is_prelude = |debug: &mlua::Debug<'_>| debug.source().short_src.as_deref() == Some("prelude");
    lua.inspect_stack(0, is_prelude).is_some_and(|is_prelude| !is_prelude)
}

fn compiler() -> Compiler {
    Compiler::new()
        .set_optimization_level(1)
        .set_debug_level(1)
        .set_mutable_globals(["KEYS", "ARGV"])
        .set_disabled_builtins(["tostring"])
}

/// Builds what a machine has in it.
struct Builder<'a> {
    lua: &'a Lua,
    session: &'a Rc<Session>,
    bridge: Table,
    libraries: Table,
    /// `redis`
    api: Table,
    prelude: Table,
}

impl<'a> Builder<'a> {
    fn new(lua: &'a Lua, session: &'a Rc<Session>) -> Result<Self> {
        let bridge = lua.create_table()?;
        bridge.raw_set("explain", lua.create_function(|lua, failure: Value| explain(lua, failure))?)?;
        let shared = Rc::clone(session);
        bridge.raw_set("new_json", lua.create_function(move |lua, ()| api::new_json(lua, &shared))?)?;
        bridge.raw_set("find_plain", api::find_plain(lua)?)?;
        let libraries = api::libraries(lua, session)?;
        let api = lua.create_table()?;
        // Set before the prelude runs, exchanged for one with the right environment later.
        bridge.raw_set("compile", compile_function(lua, None)?)?;
        let prelude = lua.load(PRELUDE).set_name("=prelude").into_function()?;
        let prelude = prelude.call((&bridge, &libraries, &api))?;
        Ok(Self { lua, session, bridge, libraries, api, prelude })
    }

    fn build(self, purpose: Purpose) -> Result<Machine> {
        let globals = self.lua.globals();
        self.install(&globals, purpose)?;
        self.refuse_unknown(&globals)?;
        protect(&globals)?;
        protect(&self.prelude.raw_get("metatable_of_strings")?)?;
        let (environment, loading) = match purpose {
            Purpose::Scripts => (globals, None),
            Purpose::Functions => {
                let (environment, loading) = self.loading(globals)?;
                (environment, Some(loading))
            }
        };
        Ok(Machine {
            runner: self.prelude.raw_get("run")?,
            lua: self.lua.clone(),
            session: Rc::clone(self.session),
            bridge: self.bridge,
            environment,
            loading,
            spare: Cell::default(),
        })
    }

    /// Puts the globals of Redis in place of Luau's.
    fn install(&self, globals: &Table, purpose: Purpose) -> Result<()> {
        keep(globals, GLOBALS)?;
        for (library, names) in LIBRARIES {
            keep(&globals.raw_get(*library)?, names)?;
        }
        for (library, alias, name) in ALIASES {
            let library: Table = globals.raw_get(library)?;
            library.raw_set(alias, library.raw_get::<Value>(name)?)?;
        }
        copy(&self.libraries.raw_get("math")?, &globals.raw_get("math")?)?;
        for library in ["bit", "cjson", "cmsgpack", "os", "struct"] {
            globals.raw_set(library, self.libraries.raw_get::<Table>(library)?)?;
        }
        copy(&self.prelude.raw_get("globals")?, globals)?;
        for library in ["coroutine", "string", "table"] {
            copy(&self.prelude.raw_get(library)?, &globals.raw_get(library)?)?;
        }
        self.complete_api(purpose)?;
        globals.raw_set("redis", &self.api)?;
        globals.raw_set("_G", globals)?;
        globals.raw_set("_VERSION", "Lua 5.1")
    }

    fn complete_api(&self, purpose: Purpose) -> Result<()> {
        copy(&self.libraries.raw_get("redis")?, &self.api)?;
        if purpose == Purpose::Functions {
            for name in ["breakpoint", "debug", "replicate_commands"] {
                self.api.raw_set(name, Value::Nil)?;
            }
        }
        API_CONSTANTS
            .iter()
            .chain(&LOG_CONSTANTS)
            .try_for_each(|(name, value)| self.api.raw_set(*name, *value))
    }

    /// Reading what is not there is an error.
    fn refuse_unknown(&self, table: &Table) -> Result<()> {
        let metatable = self.lua.create_table()?;
        metatable.raw_set("__index", self.prelude.raw_get::<Function>("nonexistent")?)?;
        table.set_metatable(Some(metatable))
    }

    /// The environment of libraries, and what they see while they are loaded.
    fn loading(&self, globals: Table) -> Result<(Table, Loading)> {
        let api: Table = self.libraries.raw_get("loading")?;
        api.raw_set("log", self.api.raw_get::<Function>("log")?)?;
        api.raw_set("REDIS_VERSION", self.api.raw_get::<Value>("REDIS_VERSION")?)?;
        LOG_CONSTANTS.iter().try_for_each(|(name, value)| api.raw_set(*name, *value))?;
        self.refuse_unknown(&api)?;
        let load_globals = self.lua.create_table()?;
        load_globals.raw_set("redis", api)?;
        self.refuse_unknown(&load_globals)?;
        protect(&load_globals)?;
        let environment = self.lua.create_table()?;
        let metatable = self.lua.create_table()?;
        metatable.raw_set("__index", &globals)?;
        environment.set_metatable(Some(metatable.clone()))?;
        self.bridge.raw_set("compile", compile_function(self.lua, Some(&environment))?)?;
        protect(&environment)?;
        Ok((environment, Loading { metatable, globals, load_globals }))
    }
}

/// `loadstring`, without the checks: a function, or nil and a message.
fn compile_function(lua: &Lua, environment: Option<&Table>) -> Result<Function> {
    let environment = environment.cloned();
    lua.create_function(move |lua, (code, name): (mlua::String, Option<mlua::String>)| {
        let name = name.as_ref().unwrap_or(&code).to_string_lossy();
        // C's strings end at a zero byte.
        let name = name.split('\0').next().unwrap_or_default().to_owned();
        let code = code.as_bytes().to_vec();
        let chunk = lua.load(code).set_name(name).set_mode(ChunkMode::Text);
        let chunk = match &environment {
            Some(environment) => chunk.set_environment(environment.clone()),
            None => chunk,
        };
        Ok(match chunk.into_function() {
            Ok(function) => (Value::Function(function), Value::Nil),
            Err(error) => (Value::Nil, Value::String(lua.create_string(dialect::message(&error))?)),
        })
    })
}

/// An error value as a script sees it: texts in Lua's words.
fn explain(lua: &Lua, failure: Value) -> Result<Value> {
    let words = match &failure {
        Value::Error(error) => Some(dialect::message(error)),
        Value::String(text) => text.to_str().ok().and_then(|text| dialect::translate(&text)),
        _ => None,
    };
    match words {
        Some(words) => lua.create_string(words).map(Value::String),
        None => Ok(failure),
    }
}

/// Removes all fields but those in `names`.
fn keep(table: &Table, names: &[&str]) -> Result<()> {
    let mut others = Vec::new();
    table.for_each(|key: Value, _: Value| {
        let known =
            key.as_string().is_some_and(|key| names.iter().any(|name| key.as_bytes() == name.as_bytes()));
        if !known {
            others.push(key);
        }
        Ok(())
    })?;
    others.into_iter().try_for_each(|key| table.raw_set(key, Value::Nil))
}

fn copy(from: &Table, to: &Table) -> Result<()> {
    from.for_each(|key: Value, value: Value| to.raw_set(key, value))
}

/// Makes a table read-only, and everything that can be reached from it.
fn protect(table: &Table) -> Result<()> {
    if table.is_readonly() {
        return Ok(());
    }
    table.set_readonly(true);
    table.for_each(|_: Value, value: Value| value.as_table().map_or(Ok(()), protect))?;
    table.metatable().as_ref().map_or(Ok(()), protect)
}
