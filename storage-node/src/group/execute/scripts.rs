//! EVAL, FCALL and their kin: a script is one command of this group, and calls others.
//!
//! The scripts and libraries that a group knows are part of its replicated state. What a machine has
//! compiled of them is a cache. A script runs in slices; between two of them it is [`Paused`].

mod deadline;
mod engines;
mod libraries;
mod stored;

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use commands::{
    CommandError, Cx, ScriptCommand, Spec, flags::flag, functions, replication::Progress, wire::WireCommand,
};
use datatypes::kv::StoreError;
use proto::v1::{Aside, CalledCommand, CalledError, DeniedCall, Publication, ShownCall};
use resp::Reply;
use scripting::{
    Engine, Libraries, LibraryError, LogLevel, Request, Rights, ScriptError, Standing, TableHost, Tally,
    sha1_hex,
};
use topology::Namespaces;

use self::{
    deadline::Deadline,
    engines::{Lua, Ticket, with_engine},
};
pub use self::{
    libraries::{adopt as adopt_libraries, applied_version as libraries_version, encode},
    stored::count as stored_count,
};
use super::{
    Execution, Halt, Outcome, Step, rights,
    rights::{Caller, DENIED_MAX},
};
use crate::{
    events::{Hub, Kind},
    group::view::{self, View},
};

/// A script is told one time for so long, as in Redis, which reads its clock again when others are answered
/// that it is busy. Whoever waits in a script for a moment to come waits at least that long.
const FROZEN: Duration = Duration::from_secs(5);
/// Messages of one script; a further one is refused.
const PUBLISHED_BYTES_MAX: usize = 16 << 20;
/// Of a script's digest, in hexadecimal digits.
const DIGEST_BYTES: usize = 40;
/// What is shown of one script's calls.
const SHOWN_BYTES_MAX: usize = 1 << 20;

/// What one leadership remembers of the scripts and libraries in the state.
#[derive(Default)]
pub struct Scripts {
    known: stored::Known,
    libraries: libraries::Current,
}

impl Scripts {
    /// FUNCTION STATS while a script runs.
    pub fn stats(&self, running: &Paused) -> Reply {
        functions::stats(running.shown(), self.libraries.last().engines())
    }
}

/// A script between two slices.
pub struct Paused {
    pub view: view::Paused,
    ticket: Ticket,
    standing: Standing,
    stored: Option<String>,
    beside: Beside,
    /// The command that called it.
    words: Arc<[Bytes]>,
    /// Called by FCALL.
    pub is_function: bool,
}

impl Paused {
    /// SCRIPT KILL or FUNCTION KILL: it leaves nothing, so it may have written.
    pub fn kill(&self, is_function: bool) -> Reply {
        match self.is_function == is_function {
            true => {
                self.ticket.look(|lua| lua.deadline.kill());
                Reply::OK
            }
            false => busy(self.is_function),
        }
    }

    /// How long it has run.
    pub fn ran(&self) -> Duration {
        self.ticket.look(|lua| lua.deadline.ran()).unwrap_or_default()
    }

    fn shown(&self) -> Reply {
        let shown = |lua: &Lua| {
            functions::running(lua.run.name(), &self.words, lua.deadline.ran().as_millis() as u64)
        };
        self.ticket.look(shown).unwrap_or(Reply::Null)
    }
}

/// What is told while a script runs that the command is not for.
fn busy(is_function: bool) -> Reply {
    CommandError::Busy { function: is_function }.into()
}

/// Why a command on scripts has no other answer; nothing of it stays.
enum Failed {
    Script(ScriptError),
    Library(LibraryError),
    Command(CommandError),
}

impl From<ScriptError> for Failed {
    fn from(error: ScriptError) -> Self {
        Self::Script(error)
    }
}

impl From<LibraryError> for Failed {
    fn from(error: LibraryError) -> Self {
        Self::Library(error)
    }
}

impl From<CommandError> for Failed {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<StoreError> for Failed {
    fn from(StoreError(error): StoreError) -> Self {
        Self::Script(ScriptError::Machine(error))
    }
}

impl From<Failed> for Reply {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Script(error) => error.into(),
            Failed::Library(error) => error.into(),
            Failed::Command(error) => error.into(),
        }
    }
}

impl<'e> Execution<'e> {
    pub(super) fn script(&mut self, what: ScriptCommand, spec: &Spec, command: &WireCommand<'_>) -> Step {
        let limited = rights::take(command);
        let (command, caller) = match &limited {
            Some((command, caller)) => (command, Some(&**caller)),
            None => (command, None),
        };
        let cx = self.circumstances(command);
        let deadline = Deadline::new(self.clock, self.script_limit);
        let slots = self.slots;
        let serves = |slot| slots.contains(slot);
        let progress = self.progress(0);
        let site = self.site(&serves, &progress, caller, spec.full_name, &command.args);
        // Where there is hardly any room, nothing is stored that nobody asked for.
        let keeps = !self.read_only;
        let asked = Asked { spec, args: &command.args, cx, deadline, keeps };
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let scripts = &mut self.clients.scripts;
        let done = match asked.begin(what, scripts, &mut view) {
            Some(Ok(under_way)) => {
                let reads = self.reader.map(|_| Reads::default());
                let step = under_way.go_on(&site, view, &mut scripts.known, &mut self.aside, reads.as_ref());
                self.remember_reads(reads);
                return step;
            }
            Some(Err(failed)) => Err(failed),
            None => asked.execute(what, scripts, &mut view),
        };
        Step::Done(match done {
            Ok(reply) => view.conclude(Ok(reply)),
            // Whatever it wrote goes with it.
            Err(failed) => (Ok(failed.into()), view.discard()),
        })
    }

    pub(super) fn resume_script(&mut self, command: &WireCommand<'_>, paused: Paused) -> Step {
        let limited = rights::take(command);
        let caller = limited.as_ref().map(|(_, caller)| &**caller);
        let slots = self.slots;
        let serves = |slot| slots.contains(slot);
        let progress = self.progress(0);
        let site = self.site(&serves, &progress, caller, "", &command.args);
        let Paused { view, ticket, standing, stored, beside, words, is_function } = paused;
        let view = View::resume(view, self.state, self.overlay, self.effects, self.written);
        let Some(lua) = ticket.redeem() else {
            let lost = ScriptError::Machine("the script is lost".to_owned());
            return Step::Done((Ok(lost.into()), view.discard()));
        };
        lua.deadline.begin_slice();
        let words = Some(words);
        let under_way = UnderWay { lua, standing, stored, beside, words, is_function };
        let reads = self.reader.map(|_| Reads::default());
        let known = &mut self.clients.scripts.known;
        let step = under_way.go_on(&site, view, known, &mut self.aside, reads.as_ref());
        self.remember_reads(reads);
        step
    }

    fn site<'s>(
        &self,
        serves: &'s dyn Fn(datatypes::Slot) -> bool,
        progress: &'s dyn Fn() -> Progress,
        caller: Option<&'s Caller>,
        name: &'static str,
        args: &'s [&'s [u8]],
    ) -> Site<'s>
    where
        'e: 's,
    {
        let (namespaces, hub) = (self.namespaces, self.events);
        let (group, shows_calls) = (self.group, self.shows_calls);
        Site { serves, progress, namespaces, caller, hub, group, shows_calls, name, args }
    }

    fn remember_reads(&mut self, reads: Option<Reads>) {
        let reads = reads.map(RefCell::into_inner).unwrap_or_default();
        reads.iter().for_each(|key| self.remember_key(key));
    }
}

/// Keys that a script has read in a slice.
type Reads = RefCell<BTreeSet<Vec<u8>>>;

/// What a script does beside reading and writing keys.
#[derive(Default)]
struct Beside {
    published: Vec<Publication>,
    published_bytes: usize,
    tally: Tally,
    shown: Vec<ShownCall>,
    shown_bytes: usize,
    denied: Vec<DeniedCall>,
}

impl Beside {
    /// Whether there is room for one more message.
    fn publish(&mut self, message: Publication) -> bool {
        let bytes = size_of::<Publication>() + message.channel.len() + message.payload.len();
        let has_room = self.published_bytes + bytes <= PUBLISHED_BYTES_MAX;
        if has_room {
            self.published_bytes += bytes;
            self.published.push(message);
        }
        has_room
    }

    fn show(&mut self, db: u8, argv: &[&[u8]]) {
        self.shown_bytes += size_of::<ShownCall>() + argv.iter().map(|word| word.len()).sum::<usize>();
        if self.shown_bytes <= SHOWN_BYTES_MAX {
            let words = argv.iter().map(|word| Bytes::copy_from_slice(word)).collect();
            self.shown.push(ShownCall { db: db.into(), words });
        }
    }

    /// The proxy is told, of messages only if the script `succeeded`.
    fn tell(self, aside: &mut Aside, succeeded: bool) {
        let Self { published, tally: Tally { commands, errors }, shown, denied, .. } = self;
        if succeeded {
            aside.published.extend(published);
        }
        aside.called.extend(commands.into_iter().map(|called| CalledCommand {
            id: called.id as u32,
            calls: called.calls,
            rejected: called.rejected,
            failed: called.failed,
        }));
        aside.errors.extend(errors.into_iter().map(|(code, count)| CalledError { code: code.into(), count }));
        aside.shown.extend(shown);
        aside.denied.extend(denied);
    }
}

/// What is the same in all slices of a script.
struct Site<'a> {
    serves: &'a dyn Fn(datatypes::Slot) -> bool,
    /// How far what is applied has come to the replicas.
    progress: &'a dyn Fn() -> Progress,
    /// Keys that no script may touch.
    namespaces: &'a Namespaces,
    /// For whom scripts run; `None`: someone who may do everything.
    caller: Option<&'a Caller>,
    hub: &'a Hub,
    group: u64,
    /// Somebody wants to see what scripts call.
    shows_calls: bool,
    /// The command that called the script.
    name: &'static str,
    args: &'a [&'a [u8]],
}

impl Site<'_> {
    fn words(&self) -> Arc<[Bytes]> {
        std::iter::once(self.name.as_bytes())
            .chain(self.args.iter().copied())
            .map(Bytes::copy_from_slice)
            .collect()
    }
}

/// A script in a slice.
struct UnderWay {
    lua: Lua,
    standing: Standing,
    /// Digest of the script that was stored with it.
    stored: Option<String>,
    beside: Beside,
    /// The command that called it, from the second slice on.
    words: Option<Arc<[Bytes]>>,
    is_function: bool,
}

impl UnderWay {
    fn go_on(
        mut self,
        site: &Site<'_>,
        mut view: View<'_>,
        known: &mut stored::Known,
        aside: &mut Aside,
        reads: Option<&Reads>,
    ) -> Step {
        let Some(result) = self.slice(site, &mut view, reads) else {
            let Self { lua, standing, stored, beside, words, is_function } = self;
            let (view, ticket) = (view.pause(), lua.leave());
            let words = words.unwrap_or_else(|| site.words());
            let script = Paused { view, ticket, standing, stored, beside, words, is_function };
            return Step::Halted(Box::new(Halt { script, transaction: None }));
        };
        engines::put_back(self.lua.engine);
        result.iter().for_each(|reply| self.beside.tally.told(reply));
        let succeeded = result.is_ok();
        self.beside.tell(aside, succeeded);
        let outcome: Outcome = match result {
            Ok(reply) => view.conclude(Ok(reply)),
            // Whatever it wrote goes with it.
            Err(error) => (Ok(error.into()), view.discard()),
        };
        if !succeeded || outcome.0.is_err() {
            // It may have been stored with what is taken back now.
            self.stored.iter().for_each(|digest| known.forget(digest));
        }
        Step::Done(outcome)
    }

    fn slice(
        &mut self,
        site: &Site<'_>,
        view: &mut View<'_>,
        reads: Option<&Reads>,
    ) -> Option<Result<Reply, ScriptError>> {
        let mut log = |level: LogLevel, text: &[u8]| {
            tracing::info!(?level, "{}", String::from_utf8_lossy(text));
        };
        let is_namespace = |key: &[u8]| site.namespaces.of(key).is_some();
        let beside = RefCell::new(&mut self.beside);
        let mut publish = |shard: bool, channel: &[u8], payload: &[u8]| {
            let copy = Bytes::copy_from_slice;
            let message = Publication { shard, channel: copy(channel), payload: copy(payload) };
            let kept = beside.borrow_mut().publish(message);
            let kind = if shard { Kind::Shard } else { Kind::Channel };
            kept.then(|| site.hub.receivers(site.group, kind, channel))
        };
        let note_read = |key: &[u8]| {
            if let Some(reads) = reads {
                reads.borrow_mut().insert(key.to_vec());
            }
        };
        let mut show = |db: u8, argv: &[&[u8]]| beside.borrow_mut().show(db, argv);
        let ran = self.lua.deadline.ran();
        let mut host = TableHost::standing(view, self.standing, site.serves, &mut log)
            .without(&is_namespace)
            .late_by(if ran < FROZEN { Duration::ZERO } else { ran })
            .limited_to(site.caller.map(|caller| caller as &dyn Rights))
            .telling_reads(reads.is_some().then_some(&note_read))
            .replicated(site.progress)
            .publishing(&mut publish)
            .showing(site.shows_calls.then_some(&mut show as &mut scripting::Show<'_>));
        let result = self.lua.engine.go_on(&mut self.lua.run, &mut host);
        self.standing = host.stands();
        let tally = host.tally();
        self.beside.tally.add(tally);
        let room = DENIED_MAX.saturating_sub(self.beside.denied.len());
        let denied = site.caller.map(Caller::take_denied).unwrap_or_default();
        self.beside.denied.extend(denied.into_iter().take(room));
        result
    }
}

/// One command on scripts.
struct Asked<'a> {
    spec: &'a Spec,
    args: &'a [&'a [u8]],
    cx: Cx,
    deadline: Rc<Deadline>,
    /// Scripts of EVAL are stored.
    keeps: bool,
}

impl Asked<'_> {
    /// Begins to run a script; `None`: the command runs none.
    fn begin(
        &self,
        what: ScriptCommand,
        scripts: &mut Scripts,
        view: &mut View<'_>,
    ) -> Option<Result<UnderWay, Failed>> {
        let Scripts { known, libraries } = scripts;
        Some(match what {
            ScriptCommand::Eval => self.eval(known, view),
            ScriptCommand::EvalSha => self.eval_sha(known, view),
            ScriptCommand::Call => {
                let libraries = libraries.of(view).map_err(Failed::from);
                libraries.and_then(|libraries| self.call_function(libraries))
            }
            _ => return None,
        })
    }

    /// What runs no script.
    fn execute(
        &self,
        what: ScriptCommand,
        scripts: &mut Scripts,
        view: &mut View<'_>,
    ) -> Result<Reply, Failed> {
        let Scripts { known, libraries } = scripts;
        match what {
            ScriptCommand::Store => {
                let digest = with_engine(|engine| engine.load(self.args[0]))?;
                known.keep(view, &digest, self.args[0])?;
                Ok(Reply::bulk(digest))
            }
            ScriptCommand::Know => {
                let found = self.args.iter().map(|digest| stored::script(view, digest));
                let found = found.map(|script| script.map(|body| body.map_or(Reply::Null, Reply::Bulk)));
                Ok(Reply::Array(found.collect::<Result<_, _>>()?))
            }
            ScriptCommand::Drop => {
                known.drop_all(view);
                with_engine(|engine| {
                    engine.forget_scripts();
                    Ok::<_, ScriptError>(())
                })?;
                Ok(Reply::OK)
            }
            ScriptCommand::ListLibraries => Ok(libraries::list(libraries.of(view)?, self.args)?),
            ScriptCommand::DumpLibraries => Ok(Reply::Bulk(libraries.of(view)?.dump())),
            ScriptCommand::LibraryStats => Ok(functions::stats(Reply::Null, libraries.of(view)?.engines())),
            ScriptCommand::ReadLibrary => {
                Ok(libraries::read_one(libraries.of(view)?, self.args, self.deadline.clone())?)
            }
            ScriptCommand::ReadLibraries => Ok(libraries::read_payload(self.args[0], self.deadline.clone())?),
            // Whatever runs is stopped before it comes to this.
            _ => Err(CommandError::NotBusy.into()),
        }
    }

    fn eval(&self, known: &mut stored::Known, view: &mut View<'_>) -> Result<UnderWay, Failed> {
        let body = self.args[0];
        let request = self.request(Request::split(&self.args[1..])?);
        let digest = sha1_hex(body);
        if self.keeps {
            known.keep(view, &digest, body)?;
        }
        let begun = self.begin_run(|engine| engine.begin(body, &request));
        match begun {
            Ok(under_way) => Ok(UnderWay { stored: Some(digest), ..under_way }),
            Err(failed) => {
                known.forget(&digest);
                Err(failed)
            }
        }
    }

    fn eval_sha(&self, known: &stored::Known, view: &mut View<'_>) -> Result<UnderWay, Failed> {
        // What is no digest is refused before the keys are counted.
        if self.args[0].len() != DIGEST_BYTES {
            return Err(ScriptError::NoScript.into());
        }
        let request = self.request(Request::split(&self.args[1..])?);
        let digest = String::from_utf8_lossy(self.args[0]).to_ascii_lowercase();
        let is_compiled = || with_engine(|engine| Ok::<_, ScriptError>(engine.knows(&digest)));
        if known.contains(&digest) && is_compiled()? {
            return self.begin_run(|engine| engine.begin_known(digest.as_bytes(), &request));
        }
        let body = stored::script(view, digest.as_bytes())?.ok_or(ScriptError::NoScript)?;
        self.begin_run(|engine| engine.begin(&body, &request))
    }

    fn call_function(&self, libraries: &Libraries) -> Result<UnderWay, Failed> {
        let (library, info) = libraries.function(self.args[0]).ok_or(ScriptError::NoFunction)?;
        let words = Request::split(&self.args[1..]).map_err(|error| match error {
            ScriptError::NotInteger => ScriptError::BadKeys,
            error => error,
        })?;
        let request = self.request(words);
        let under_way = self.begin_run(|engine| engine.begin_call(library, &info.name, &request))?;
        Ok(UnderWay { is_function: true, ..under_way })
    }

    fn request<'r>(&self, (keys, args): (&'r [&'r [u8]], &'r [&'r [u8]])) -> Request<'r> {
        Request {
            keys,
            args,
            read_only: self.spec.flags.has(flag::READONLY),
            cluster: true,
            seed: self.cx.seed,
            watch: self.deadline.clone(),
        }
    }

    fn begin_run(
        &self,
        begin: impl FnOnce(&mut Engine) -> Result<scripting::Run, ScriptError>,
    ) -> Result<UnderWay, Failed> {
        let standing = Standing::new(self.cx, self.spec.slot(self.args)?);
        let mut engine = engines::take()?;
        let run = match begin(&mut engine) {
            Ok(run) => run,
            Err(error) => {
                engines::put_back(engine);
                return Err(error.into());
            }
        };
        let lua = Lua { engine, run, deadline: self.deadline.clone() };
        let beside = Beside::default();
        Ok(UnderWay { lua, standing, stored: None, beside, words: None, is_function: false })
    }
}
