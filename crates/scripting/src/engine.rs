//! What a caller holds: runs scripts and functions.

use std::collections::HashMap;
use std::rc::Rc;

use datatypes::number::parse_i64;
use mlua::{Function, MultiValue, Value};
use resp::Reply;

use crate::api::CallSettings;
use crate::cache::{Cache, Script};
use crate::error::{ScriptError, Stopped, flatten};
use crate::flags::ScriptFlags;
use crate::host::{Call, Host, LogLevel};
use crate::libraries::Libraries;
use crate::library::{FunctionInfo, Library};
use crate::library_error::LibraryError;
use crate::machine::{Course, Limits, Machine, NotCompiled, Purpose, Ran};
use crate::pulse::Watch;
use crate::to_reply::{field, text};
use crate::{sha1_hex, shebang};

/// Arguments of a command.
type Words<'a> = &'a [&'a [u8]];

/// One run, as its caller asks for it.
#[derive(Clone)]
pub struct Request<'a> {
    pub keys: Words<'a>,
    pub args: Words<'a>,
    /// Called by a command that does not write: EVAL_RO and the like.
    pub read_only: bool,
    /// The server is a cluster: scripts that declare `no-cluster` are refused.
    pub cluster: bool,
    /// What `math.random` begins with.
    pub seed: u64,
    pub watch: Rc<dyn Watch>,
}

impl<'a> Request<'a> {
    /// Keys and arguments of EVAL or FCALL: `words` are `numkeys [key ...] [arg ...]`.
    pub fn split(words: Words<'a>) -> Result<(Words<'a>, Words<'a>), ScriptError> {
        let (count, rest) = words.split_first().ok_or(ScriptError::NotInteger)?;
        let count = parse_i64(count).ok_or(ScriptError::NotInteger)?;
        if count > rest.len() as i64 {
            return Err(ScriptError::TooManyKeys);
        }
        let count = usize::try_from(count).map_err(|_| ScriptError::NegativeKeys)?;
        Ok(rest.split_at(count))
    }
}

/// A script or a function that has begun; it goes on in the engine where it began.
pub struct Run {
    course: Course,
    purpose: Purpose,
    /// Digest of the script, or name of the function.
    name: String,
}

impl Run {
    /// Digest of the script, or name of the function.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Executes scripts, one at a time: while one is under way, no other is begun. Belongs to one thread.
pub struct Engine {
    limits: Limits,
    scripts: Machine,
    cache: Cache,
    /// Made when the first function is needed.
    functions: Option<Machine>,
    /// Libraries whose code has run in it, by name.
    compiled: HashMap<Vec<u8>, Compiled>,
}

/// The functions of one library.
struct Compiled {
    /// Of its code.
    digest: String,
    functions: HashMap<Vec<u8>, Function>,
}

impl Engine {
    pub fn new(limits: Limits) -> Result<Self, ScriptError> {
        Ok(Self {
            scripts: Machine::new(Purpose::Scripts, &limits)?,
            cache: Cache::new(limits.scripts_max),
            functions: None,
            compiled: HashMap::new(),
            limits,
        })
    }

    /// Compiles a script and keeps it. Answers its digest.
    pub fn load(&mut self, body: &[u8]) -> Result<String, ScriptError> {
        let digest = sha1_hex(body);
        if !self.cache.contains(&digest) {
            let script = self.compile(body)?;
            self.cache.insert(digest.clone(), script);
        }
        Ok(digest)
    }

    /// Whether the script of a digest (lower-case) is known.
    pub fn knows(&self, digest: &str) -> bool {
        self.cache.contains(digest)
    }

    /// How many scripts are known.
    pub fn scripts(&self) -> usize {
        self.cache.len()
    }

    /// Forgets all scripts.
    pub fn forget_scripts(&mut self) {
        self.cache.clear();
        self.scripts.collect_garbage();
    }

    /// Runs a script to its end, and keeps it compiled.
    pub fn eval(
        &mut self,
        host: &mut dyn Host,
        body: &[u8],
        request: &Request<'_>,
    ) -> Result<Reply, ScriptError> {
        let run = self.begin(body, request)?;
        self.finish(run, host)
    }

    /// Runs the script of a digest, in any case, to its end.
    pub fn eval_sha(
        &mut self,
        host: &mut dyn Host,
        digest: &[u8],
        request: &Request<'_>,
    ) -> Result<Reply, ScriptError> {
        let run = self.begin_known(digest, request)?;
        self.finish(run, host)
    }

    fn finish(&mut self, mut run: Run, host: &mut dyn Host) -> Result<Reply, ScriptError> {
        loop {
            if let Some(result) = self.go_on(&mut run, host) {
                return result;
            }
        }
    }

    /// Begins to run a script, and keeps it compiled.
    pub fn begin(&mut self, body: &[u8], request: &Request<'_>) -> Result<Run, ScriptError> {
        let digest = self.load(body)?;
        self.begin_script(digest, request)
    }

    /// Begins to run the script of a digest, in any case.
    pub fn begin_known(&mut self, digest: &[u8], request: &Request<'_>) -> Result<Run, ScriptError> {
        let digest = std::str::from_utf8(digest).map_err(|_| ScriptError::NoScript)?;
        self.begin_script(digest.to_ascii_lowercase(), request)
    }

    fn begin_script(&mut self, digest: String, request: &Request<'_>) -> Result<Run, ScriptError> {
        let script = self.cache.get(&digest).ok_or(ScriptError::NoScript)?;
        let settings = settings(script.flags, request)?;
        self.scripts.start(request.seed, Rc::clone(&request.watch), self.limits.steps_max);
        self.scripts.set_arguments(request.keys, request.args)?;
        let call = MultiValue::from_vec(vec![Value::Function(script.function)]);
        match self.scripts.begin(settings, call) {
            Ok(course) => Ok(Run { course, purpose: Purpose::Scripts, name: digest }),
            Err(error) => {
                self.scripts.clear_arguments()?;
                Err(error.into())
            }
        }
    }

    /// Lets a run go on; `None`: its slice is over ([`Watch::slice_is_over`]).
    pub fn go_on(&mut self, run: &mut Run, host: &mut dyn Host) -> Option<Result<Reply, ScriptError>> {
        match run.purpose {
            Purpose::Scripts => self.go_on_with_script(run, host),
            Purpose::Functions => self.go_on_with_function(run, host),
        }
        .transpose()
    }

    fn go_on_with_script(
        &mut self,
        run: &mut Run,
        host: &mut dyn Host,
    ) -> Result<Option<Reply>, ScriptError> {
        let ran = self.scripts.go_on(&mut run.course, host).transpose();
        let Some(ran) = ran else { return Ok(None) };
        self.scripts.clear_arguments()?;
        let reply = reply(&self.scripts, ran?, &run.name, self.limits.reply_bytes_max);
        self.make_room();
        reply.map(Some)
    }

    fn go_on_with_function(
        &mut self,
        run: &mut Run,
        host: &mut dyn Host,
    ) -> Result<Option<Reply>, ScriptError> {
        let bytes_max = self.limits.reply_bytes_max;
        let machine = self.function_machine()?;
        let Some(ran) = machine.go_on(&mut run.course, host)? else { return Ok(None) };
        let reply = reply(machine, ran, &run.name, bytes_max);
        self.make_room_for_functions();
        reply.map(Some)
    }

    fn compile(&mut self, body: &[u8]) -> Result<Script, ScriptError> {
        let (flags, code) = shebang::of_script(body)?;
        let compiled = self.scripts.compile(code, "user_script");
        let function = compiled.map_err(|NotCompiled(message)| ScriptError::Compile(message))?;
        Ok(Script { function, flags })
    }

    /// What runs leave is garbage; if that is not it, there are too many scripts.
    fn make_room(&mut self) {
        let much = self.limits.memory_bytes / 2;
        if self.scripts.used_bytes() > much {
            self.scripts.collect_garbage();
            if self.scripts.used_bytes() > much {
                self.forget_scripts();
            }
        }
    }

    /// Runs the code of a library to learn its functions. It can do nothing else.
    pub fn read_library(&mut self, body: &[u8], watch: Rc<dyn Watch>) -> Result<Library, LibraryError> {
        let (name, code) = shebang::of_library(body)?;
        let (functions, compiled) = self.run_library(body, code, watch)?;
        self.compiled.insert(name.clone(), compiled);
        Ok(Library::new(name.into(), bytes::Bytes::copy_from_slice(body), functions))
    }

    fn run_library(
        &mut self,
        body: &[u8],
        code: &[u8],
        watch: Rc<dyn Watch>,
    ) -> Result<(Vec<FunctionInfo>, Compiled), LibraryError> {
        let steps_max = self.limits.steps_max;
        let machine = self.function_machine()?;
        let compiled = machine.compile(code, "user_function");
        let code = compiled.map_err(|NotCompiled(message)| LibraryError::Compile(message))?;
        machine.start(0, watch, steps_max);
        let (ran, registered) = machine.register(&mut Nobody, code)?;
        let (stopped, result) = machine.finish(0, ran.map(|_| Value::Nil));
        if stopped.is_some() {
            return Err(LibraryError::Register(b"ERR FUNCTION LOAD timeout".to_vec()));
        }
        if let Err(failure) = result {
            return Err(LibraryError::Register(failure_text(&failure)));
        }
        if registered.is_empty() {
            return Err(LibraryError::NoFunctions);
        }
        let mut functions = Vec::new();
        let mut compiled = Compiled { digest: sha1_hex(body), functions: HashMap::new() };
        for function in registered {
            compiled.functions.insert(function.name.clone(), function.function);
            functions.push(FunctionInfo {
                name: function.name.into(),
                description: function.description.map(Into::into),
                flags: function.flags,
            });
        }
        Ok((functions, compiled))
    }

    fn function_machine(&mut self) -> Result<&Machine, mlua::Error> {
        if self.functions.is_none() {
            self.functions = Some(Machine::new(Purpose::Functions, &self.limits)?);
        }
        Ok(self.functions.as_ref().expect("made above"))
    }

    /// Calls a function of one of the libraries.
    pub fn call_function(
        &mut self,
        libraries: &Libraries,
        host: &mut dyn Host,
        name: &[u8],
        request: &Request<'_>,
    ) -> Result<Reply, ScriptError> {
        let (library, info) = libraries.function(name).ok_or(ScriptError::NoFunction)?;
        self.call_library(library, host, &info.name, request)
    }

    /// Calls a function of a library.
    pub fn call_library(
        &mut self,
        library: &Library,
        host: &mut dyn Host,
        name: &[u8],
        request: &Request<'_>,
    ) -> Result<Reply, ScriptError> {
        let run = self.begin_call(library, name, request)?;
        self.finish(run, host)
    }

    /// Begins to call a function of a library.
    pub fn begin_call(
        &mut self,
        library: &Library,
        name: &[u8],
        request: &Request<'_>,
    ) -> Result<Run, ScriptError> {
        let info = library.function(name).ok_or(ScriptError::NoFunction)?;
        let settings = settings(Some(info.flags), request)?;
        let function = self.compiled_function(library, name, request)?;
        let steps_max = self.limits.steps_max;
        let machine = self.function_machine()?;
        machine.start(request.seed, Rc::clone(&request.watch), steps_max);
        let (keys, args) = (machine.strings(request.keys)?, machine.strings(request.args)?);
        let call = vec![Value::Function(function), Value::Table(keys), Value::Table(args)];
        let course = machine.begin(settings, MultiValue::from_vec(call))?;
        let name = String::from_utf8_lossy(name).into_owned();
        Ok(Run { course, purpose: Purpose::Functions, name })
    }

    /// Likewise for libraries: they are compiled again when they are called.
    fn make_room_for_functions(&mut self) {
        let much = self.limits.memory_bytes / 2;
        let Some(machine) = self.functions.as_ref().filter(|machine| machine.used_bytes() > much) else {
            return;
        };
        machine.collect_garbage();
        if machine.used_bytes() > much {
            self.forget_functions();
        }
    }

    /// The function in this machine, which may not have seen the library, or a former one of its name.
    fn compiled_function(
        &mut self,
        library: &Library,
        name: &[u8],
        request: &Request<'_>,
    ) -> Result<Function, ScriptError> {
        let is_other = |compiled: &Compiled| compiled.digest != library.digest;
        if self.compiled.get(&library.name[..]).is_none_or(is_other) {
            self.read_library(&library.code, Rc::clone(&request.watch))
                .map_err(|error| ScriptError::Machine(error.to_string()))?;
        }
        let compiled = self.compiled.get(&library.name[..]);
        compiled.and_then(|compiled| compiled.functions.get(name)).cloned().ok_or(ScriptError::NoFunction)
    }

    /// Forgets what it has compiled of libraries; they are compiled again when they are called.
    pub fn forget_functions(&mut self) {
        self.compiled.clear();
        self.functions = None;
    }
}

/// What the flags of a script mean for its commands. Without flags, Redis's rules of old apply.
fn settings(flags: Option<ScriptFlags>, request: &Request<'_>) -> Result<CallSettings, ScriptError> {
    let Some(flags) = flags else {
        return Ok(CallSettings { read_only: request.read_only, cross_slot: true });
    };
    if flags.has(ScriptFlags::NO_CLUSTER) && request.cluster {
        return Err(ScriptError::NoCluster);
    }
    let reads = flags.has(ScriptFlags::NO_WRITES);
    if request.read_only && !reads {
        return Err(ScriptError::MayWrite);
    }
    Ok(CallSettings { read_only: reads, cross_slot: flags.has(ScriptFlags::ALLOW_CROSS_SLOT) })
}

fn reply(machine: &Machine, ran: Ran, name: &str, bytes_max: usize) -> Result<Reply, ScriptError> {
    let (stopped, result) = machine.finish(bytes_max, ran);
    if let Some(why) = stopped {
        let place = result.err().as_ref().and_then(place);
        return Err(ScriptError::Stopped(Stopped { why, name: name.to_owned(), place }));
    }
    Ok(result.unwrap_or_else(|failure| {
        let mut line = failure_text(&failure);
        if let Some(place) = place(&failure) {
            line.extend_from_slice(format!(" script: {name}, on {place}.").as_bytes());
        }
        flatten(&mut line);
        Reply::Error(line.into())
    }))
}

/// What an error says, its code first.
fn failure_text(failure: &Value) -> Vec<u8> {
    let said = match failure {
        Value::Table(table) => text(&field(table, "err")),
        other => text(other).map(|text| [b"ERR ", &text[..]].concat()),
    };
    said.unwrap_or_else(|| b"ERR unknown error".to_vec())
}

/// `source:line` of an error.
fn place(failure: &Value) -> Option<String> {
    let table = failure.as_table()?;
    let (source, line) = (text(&field(table, "source"))?, text(&field(table, "line"))?);
    Some(format!("{}:{}", String::from_utf8_lossy(&source), String::from_utf8_lossy(&line)))
}

/// The server as the code of a library sees it: there is none.
struct Nobody;

impl Host for Nobody {
    fn call(&mut self, _: &[&[u8]], _: Call) -> Reply {
        Reply::error("ERR redis.call can not be called while a library is loaded")
    }

    fn may_call(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}
}
