//! EVAL and its kin: a script is one command of this group, and calls others.
//!
//! What SCRIPT LOAD brought is part of the group's replicated state, under keys of its own:
//!
//! ```text
//! FF 04  digest in hexadecimal  →  the script
//! ```
//!
//! What EVAL brought is known to the node that executed it, until there is too much of it. The Lua
//! machine belongs to the thread, because it cannot leave it, and serves all groups.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use commands::{CommandError, Cx, ScriptCommand, Spec, flags::flag, wire::WireCommand};
use daemon::env::Clock;
use datatypes::kv::{Kv, KvMut, StoreError};
use resp::Reply;
use scripting::{Engine, Limits, LogLevel, Request, ScriptError, TableHost, Watch};

use super::{Execution, Outcome};
use crate::group::view::View;

/// How long a script may run. Nothing else happens on this node meanwhile, so it must be well below the
/// time after which other replicas elect another leader.
const TIME: Duration = Duration::from_millis(500);

const PREFIX: [u8; 2] = [0xFF, 0x04];
const PREFIX_END: [u8; 2] = [0xFF, 0x05];

thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// Runs `work` with the thread's Lua machine.
fn with_engine<T>(work: impl FnOnce(&mut Engine) -> Result<T, ScriptError>) -> Result<T, ScriptError> {
    ENGINE.with_borrow_mut(|engine| match engine {
        Some(engine) => work(engine),
        None => work(engine.insert(Engine::new(Limits::default())?)),
    })
}

/// Ends a script when its time is up.
struct Deadline {
    clock: Arc<dyn Clock>,
    begun_ms: u64,
}

impl Deadline {
    fn new(clock: &Arc<dyn Clock>) -> Rc<Self> {
        Rc::new(Self { begun_ms: clock.now_ms(), clock: clock.clone() })
    }

    fn ran(&self) -> Duration {
        Duration::from_millis(self.clock.now_ms().saturating_sub(self.begun_ms))
    }
}

impl Watch for Deadline {
    fn keep_going(&self) -> bool {
        self.ran() < TIME
    }

    fn seconds(&self) -> f64 {
        self.ran().as_secs_f64()
    }
}

impl Execution<'_> {
    pub(super) fn script(&mut self, what: ScriptCommand, spec: &Spec, command: &WireCommand<'_>) -> Outcome {
        let cx = self.circumstances(command);
        let clock = self.clock.clone();
        let slots = self.slots;
        let mut view = View::new(self.state, self.overlay, self.effects, self.written, self.eid);
        let result = match what {
            ScriptCommand::Store => store(&mut view, command.args[0]),
            ScriptCommand::Know => know(&mut view, &command.args),
            ScriptCommand::Drop => {
                view.delete_range(Bytes::from_static(&PREFIX), Bytes::from_static(&PREFIX_END));
                with_engine(|engine| {
                    engine.forget_scripts();
                    Ok(Reply::OK)
                })
            }
            ScriptCommand::Eval | ScriptCommand::EvalSha => {
                let serves = |slot| slots.contains(slot);
                run(&mut view, what, spec, command, cx, &serves, &clock)
            }
        };
        match result {
            Ok(reply) => (Ok(reply), view.commit()),
            // Whatever it wrote goes with it.
            Err(error) => (Ok(error.into()), view.discard()),
        }
    }
}

fn run(
    view: &mut View<'_>,
    what: ScriptCommand,
    spec: &Spec,
    command: &WireCommand<'_>,
    cx: Cx,
    serves: &dyn Fn(datatypes::Slot) -> bool,
    clock: &Arc<dyn Clock>,
) -> Result<Reply, ScriptError> {
    let (keys, args) = Request::split(&command.args[1..])?;
    let Ok(slot) = spec.slot(&command.args) else { return Ok(CommandError::CrossSlot.into()) };
    let request = Request {
        keys,
        args,
        read_only: spec.flags.has(flag::READONLY),
        cluster: true,
        seed: cx.seed,
        watch: Deadline::new(clock),
    };
    let named = command.args[0];
    let stored = match what {
        ScriptCommand::EvalSha => stored(view, named)?,
        _ => None,
    };
    let mut log = |level: LogLevel, text: &[u8]| tracing::info!(?level, "{}", String::from_utf8_lossy(text));
    let mut host = TableHost::new(view, cx, slot, serves, &mut log);
    with_engine(|engine| match (what, &stored) {
        (ScriptCommand::EvalSha, None) => engine.eval_sha(&mut host, named, &request),
        (ScriptCommand::EvalSha, Some(body)) => engine.eval(&mut host, body, &request),
        _ => engine.eval(&mut host, named, &request),
    })
}

fn store(view: &mut View<'_>, body: &[u8]) -> Result<Reply, ScriptError> {
    let digest = with_engine(|engine| engine.load(body))?;
    view.put(key(digest.as_bytes()), Bytes::copy_from_slice(body));
    Ok(Reply::bulk(digest))
}

fn know(view: &mut View<'_>, digests: &[&[u8]]) -> Result<Reply, ScriptError> {
    let mut known = Vec::with_capacity(digests.len());
    for digest in digests {
        let lower = digest.to_ascii_lowercase();
        let in_memory = || match std::str::from_utf8(&lower) {
            Ok(digest) => with_engine(|engine| Ok(engine.knows(digest))),
            Err(_) => Ok(false),
        };
        known.push(Reply::Int(i64::from(stored(view, digest)?.is_some() || in_memory()?)));
    }
    Ok(Reply::Array(known))
}

fn stored(view: &mut View<'_>, digest: &[u8]) -> Result<Option<Bytes>, ScriptError> {
    view.get(&key(digest)).map_err(|StoreError(error)| ScriptError::Machine(error))
}

fn key(digest: &[u8]) -> Bytes {
    [&PREFIX[..], &digest.to_ascii_lowercase()].concat().into()
}
