//! The server as a script sees it, over a view and the command table.

use commands::flags::flag;
use commands::{Args, CommandError, Cx, Handler, Kind, ProxyCommand, Spec, introspect, lookup};
use datatypes::{SLOT_COUNT, Savepoints, Slot};
use resp::Reply;

use crate::host::{Call, Host, LogLevel};

/// Executes rows of the command table. A command that fails leaves no effects of its own.
pub struct TableHost<'a> {
    kv: &'a mut dyn Savepoints,
    cx: Cx,
    /// Whether keys of a slot may be touched here.
    serves: &'a dyn Fn(Slot) -> bool,
    /// The slot of the keys so far, for scripts that must stay in one.
    slot: Option<Slot>,
    log: &'a mut dyn FnMut(LogLevel, &[u8]),
}

/// Why a script may not execute a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Unknown,
    Arity,
    NotAllowed,
    ReadOnly,
    CrossSlot(&'static str),
    NotHere,
    OtherSlot,
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let text = match refusal {
            Refusal::Unknown => "ERR Unknown Redis command called from script",
            Refusal::Arity => "ERR Wrong number of args calling Redis command from script",
            Refusal::NotAllowed => "ERR This Redis command is not allowed from script",
            Refusal::ReadOnly => "ERR Write commands are not allowed from read-only scripts.",
            Refusal::CrossSlot(name) => {
                return Reply::error(format!(
                    "ERR Command '{name}' in script attempted to access keys that don't hash to the same slot"
                ));
            }
            Refusal::NotHere => "ERR Script attempted to access a non local key in a cluster node",
            Refusal::OtherSlot => "ERR Script attempted to access keys that do not hash to the same slot",
        };
        Reply::Error(bytes::Bytes::from_static(text.as_bytes()))
    }
}

impl<'a> TableHost<'a> {
    /// `slot` is that of the keys that the script has declared; `serves` says which slots are here.
    pub fn new(
        kv: &'a mut dyn Savepoints,
        cx: Cx,
        slot: Option<Slot>,
        serves: &'a dyn Fn(Slot) -> bool,
        log: &'a mut dyn FnMut(LogLevel, &[u8]),
    ) -> Self {
        Self { kv, cx, serves, slot, log }
    }

    fn check_slots(&mut self, spec: &Spec, args: &[&[u8]], cross_slot: bool) -> Result<(), Refusal> {
        let Ok(slot) = spec.slot(args) else { return Err(Refusal::CrossSlot(spec.full_name)) };
        let Some(slot) = slot else { return Ok(()) };
        if !(self.serves)(slot) {
            return Err(Refusal::NotHere);
        }
        if !cross_slot && *self.slot.get_or_insert(slot) != slot {
            return Err(Refusal::OtherSlot);
        }
        Ok(())
    }

    fn execute(&mut self, spec: &'static Spec, args: &[&[u8]]) -> Reply {
        if let Kind::Local(command) = spec.kind {
            return self.local(command, args);
        }
        let Some(handler) = spec.handler() else { return Refusal::NotAllowed.into() };
        self.cx.seed = next_seed(self.cx.seed);
        // A proxy tells SCAN which slots are in one place: here they all are.
        let every_slot = SLOT_COUNT.to_string();
        let mut args = args.to_vec();
        if spec.id == commands::Id::Scan && !args.is_empty() {
            args.insert(1, every_slot.as_bytes());
        }
        let args = Args::new(&args);
        self.kv.mark();
        let result = match handler {
            Handler::Read(read) => read(self.kv.as_kv_mut().as_kv(), &args, &self.cx),
            Handler::Write(write) => write(self.kv.as_kv_mut(), &args, &self.cx),
        };
        match result {
            Ok(reply) => {
                self.kv.keep();
                reply
            }
            Err(error) => {
                self.kv.roll_back();
                match error {
                    CommandError::WouldBlock(null) => null.into(),
                    error => error.into(),
                }
            }
        }
    }

    /// Commands of the proxy that mean something inside a script.
    fn local(&mut self, command: ProxyCommand, args: &[&[u8]]) -> Reply {
        let text = |at: usize| args.get(at).map_or(Reply::Null, Reply::bulk);
        match command {
            ProxyCommand::Ping if args.is_empty() => Reply::Simple("PONG"),
            ProxyCommand::Ping | ProxyCommand::Echo => text(0),
            ProxyCommand::Time => {
                let (seconds, micros) = (self.cx.now_ms / 1000, self.cx.now_ms % 1000 * 1000);
                Reply::Array(vec![Reply::bulk(seconds.to_string()), Reply::bulk(micros.to_string())])
            }
            ProxyCommand::Select => self.select(args),
            ProxyCommand::CommandCount => introspect::count(),
            _ => Refusal::NotAllowed.into(),
        }
    }

    /// Holds until the script ends; its client does not notice.
    fn select(&mut self, args: &[&[u8]]) -> Reply {
        let db = match Args::new(args).int(0) {
            Ok(db) => u8::try_from(db).ok().filter(|&db| db < commands::DATABASES),
            Err(_) => return Reply::error("ERR invalid DB index"),
        };
        match db {
            Some(db) => {
                self.cx.db = db;
                Reply::OK
            }
            None => CommandError::DatabaseOutOfRange.into(),
        }
    }
}

impl Host for TableHost<'_> {
    fn call(&mut self, argv: &[&[u8]], call: Call) -> Reply {
        let spec = match find(argv) {
            Ok(spec) => spec,
            Err(refusal) => return refusal.into(),
        };
        let args = &argv[1..];
        if spec.flags.has(flag::NOSCRIPT) {
            return Refusal::NotAllowed.into();
        }
        if call.read_only && (spec.is_write() || spec.flags.has(flag::WRITE)) {
            return Refusal::ReadOnly.into();
        }
        if !spec.completes_pairs(args.len()) {
            return CommandError::WrongArity(spec.full_name).into();
        }
        if let Err(refusal) = self.check_slots(spec, args, call.cross_slot) {
            return refusal.into();
        }
        self.cx.protocol = call.protocol;
        self.execute(spec, args)
    }

    fn may_call(&mut self, argv: &[&[u8]]) -> Option<bool> {
        // There is one user, who may do everything.
        (!matches!(find(argv), Err(Refusal::Unknown))).then_some(true)
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        (self.log)(level, text);
    }
}

/// The row of a command, its arity checked.
fn find(argv: &[&[u8]]) -> Result<&'static Spec, Refusal> {
    let spec = argv.first().and_then(|name| lookup(name)).ok_or(Refusal::Unknown)?;
    let spec = match argv.get(1) {
        Some(name) if !spec.subcommands.is_empty() => spec.subcommand(name).ok_or(Refusal::Unknown)?,
        _ => spec,
    };
    if spec.accepts(argv.len()) { Ok(spec) } else { Err(Refusal::Arity) }
}

fn next_seed(seed: u64) -> u64 {
    datatypes::Random::new(seed).next_u64()
}
