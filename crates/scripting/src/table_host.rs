//! The server as a script sees it, over a view and the command table.

use std::time::Duration;

use commands::args::database;
use commands::blocking::Timeout;
use commands::flags::flag;
use commands::{
    Args, CommandError, Cx, Handler, Id, Kind, ProxyCommand, Spec, introspect, lookup,
    replication::{Progress, Wish},
};
use datatypes::{SLOT_COUNT, Savepoints, Slot};
use resp::Reply;

use crate::host::{Call, Host, LogLevel, Rights};
use crate::tally::Tally;

/// Is shown a command before it is executed, and the database.
pub type Show<'a> = dyn FnMut(u8, &[&[u8]]) + 'a;

/// Is told a key that was read.
pub type NoteRead<'a> = &'a dyn Fn(&[u8]);

/// Executes rows of the command table. A command that fails leaves no effects of its own.
pub struct TableHost<'a> {
    kv: &'a mut dyn Savepoints,
    cx: Cx,
    /// Whether keys of a slot may be touched here.
    serves: &'a dyn Fn(Slot) -> bool,
    /// Whether a key is a namespace, or about to be one: scripts do not touch those.
    is_namespace: &'a dyn Fn(&[u8]) -> bool,
    /// The slot of the keys so far, for scripts that must stay in one.
    slot: Option<Slot>,
    log: &'a mut dyn FnMut(LogLevel, &[u8]),
    /// `None`: it may do everything.
    rights: Option<&'a dyn Rights>,
    /// Is told the keys of commands that only read.
    note_read: Option<NoteRead<'a>>,
    /// `None`: nothing can be published.
    publish: Option<&'a mut Publish<'a>>,
    show: Option<&'a mut Show<'a>>,
    /// `None`: nobody knows of replicas.
    progress: Option<&'a dyn Fn() -> Progress>,
    /// By how much TIME is ahead of the moment at which the script began.
    late_by: Duration,
    tally: Tally,
}

/// Takes a message: whether its channel is one of shards, the channel, the message. Answers to how many
/// clients it goes, as far as is known; `None`: it is not taken.
pub type Publish<'a> = dyn FnMut(bool, &[u8], &[u8]) -> Option<u64> + 'a;

/// Where a script is between two slices.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    cx: Cx,
    slot: Option<Slot>,
}

impl Standing {
    /// Of a script that begins; `slot` is that of the keys that it has declared.
    pub fn new(cx: Cx, slot: Option<Slot>) -> Self {
        Self { cx, slot }
    }
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
    Namespace,
    TooManyMessages,
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
            Refusal::Namespace => "ERR Script attempted to access a namespace",
            Refusal::TooManyMessages => "ERR Script attempted to publish too much",
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
        Self::standing(kv, Standing::new(cx, slot), serves, log)
    }

    /// For a script that goes on.
    pub fn standing(
        kv: &'a mut dyn Savepoints,
        Standing { cx, slot }: Standing,
        serves: &'a dyn Fn(Slot) -> bool,
        log: &'a mut dyn FnMut(LogLevel, &[u8]),
    ) -> Self {
        Self {
            kv,
            cx,
            serves,
            is_namespace: &|_| false,
            slot,
            log,
            rights: None,
            note_read: None,
            publish: None,
            show: None,
            progress: None,
            late_by: Duration::ZERO,
            tally: Tally::default(),
        }
    }

    /// Where the script is now.
    pub fn stands(&self) -> Standing {
        Standing { cx: self.cx, slot: self.slot }
    }

    /// What it has called so far.
    pub fn tally(self) -> Tally {
        self.tally
    }

    /// Messages go there.
    pub fn publishing(mut self, publish: &'a mut Publish<'a>) -> Self {
        self.publish = Some(publish);
        self
    }

    /// `show` is shown what MONITOR would.
    pub fn showing(mut self, show: Option<&'a mut Show<'a>>) -> Self {
        self.show = show;
        self
    }

    /// WAIT tells how far what the script found there has come to the replicas.
    pub fn replicated(mut self, progress: &'a dyn Fn() -> Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// TIME tells a later moment than that at which the script began; nothing else does.
    pub fn late_by(mut self, late_by: Duration) -> Self {
        self.late_by = late_by;
        self
    }

    /// Refuses commands on keys that are namespaces.
    pub fn without(mut self, is_namespace: &'a dyn Fn(&[u8]) -> bool) -> Self {
        self.is_namespace = is_namespace;
        self
    }

    /// The script runs for someone who may do only so much.
    pub fn limited_to(mut self, rights: Option<&'a dyn Rights>) -> Self {
        self.rights = rights;
        self
    }

    /// `note` is told the keys of commands that only read.
    pub fn telling_reads(mut self, note: Option<NoteRead<'a>>) -> Self {
        self.note_read = note;
        self
    }

    fn check_rights(&self, spec: &Spec, args: &[&[u8]]) -> Result<(), Reply> {
        let Some(rights) = self.rights else { return Ok(()) };
        rights.check(spec, args).map_err(|text| Reply::Error(text.into()))
    }

    fn check_slots(&mut self, spec: &Spec, args: &[&[u8]], cross_slot: bool) -> Result<(), Refusal> {
        let Ok(slot) = spec.slot(args) else { return Err(Refusal::CrossSlot(spec.full_name)) };
        let Some(slot) = slot else { return Ok(()) };
        if spec.key_positions(args).any(|at| (self.is_namespace)(args[at])) {
            return Err(Refusal::Namespace);
        }
        if !(self.serves)(slot) {
            return Err(Refusal::NotHere);
        }
        if !cross_slot && *self.slot.get_or_insert(slot) != slot {
            return Err(Refusal::OtherSlot);
        }
        Ok(())
    }

    /// Why a command is not executed.
    fn admit(&mut self, spec: &'static Spec, argv: &[&[u8]], call: Call) -> Result<(), Reply> {
        let args = &argv[1..];
        if spec.flags.has(flag::NOSCRIPT) {
            return Err(Refusal::NotAllowed.into());
        }
        if let Err(refusal) = self.check_rights(spec, args) {
            self.rights.iter().for_each(|rights| rights.refused(spec, args));
            return Err(refusal);
        }
        let writes = spec.is_write() || spec.flags.has(flag::WRITE);
        let tells_others = matches!(spec.id, Id::Publish | Id::Spublish);
        if call.read_only && (writes || tells_others) {
            return Err(Refusal::ReadOnly.into());
        }
        if !spec.completes_pairs(args.len()) {
            return Err(CommandError::WrongArity(spec.full_name).into());
        }
        // Messages go to wherever their channel is.
        if !tells_others && let Err(refusal) = self.check_slots(spec, args, call.cross_slot) {
            return Err(refusal.into());
        }
        // Commands that take their timeout always are tried once; one that asks to wait is wrong here.
        if let Some(timeout @ Timeout::Option { .. }) = spec.timeout
            && matches!(timeout.of(&Args::new(args), self.cx.now_ms), Ok(Some(_)))
        {
            let name = String::from_utf8_lossy(argv[0]);
            let text = format!("ERR {name} command is not allowed with BLOCK option from scripts");
            return Err(Reply::error(text));
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
        if spec.id == Id::Scan && !args.is_empty() {
            args.insert(1, every_slot.as_bytes());
        }
        let args = Args::new(&args);
        self.kv.mark();
        let result = match handler {
            Handler::Read(read) => read(self.kv.as_kv_mut().as_kv(), &args, &self.cx),
            Handler::Write(write) => write(self.kv.as_kv_mut(), &args, &self.cx),
        };
        match result {
            _ if self.kv.is_overfull() => {
                self.kv.roll_back();
                CommandError::TooMuchAtOnce.into()
            }
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
            ProxyCommand::Ping if args.len() > 1 => CommandError::WrongArity("ping").into(),
            ProxyCommand::Ping | ProxyCommand::Echo => text(0),
            ProxyCommand::Time => {
                let now = Duration::from_millis(self.cx.now_ms) + self.late_by;
                let parts = [now.as_secs(), now.subsec_micros().into()];
                Reply::Array(parts.map(|part| Reply::bulk(part.to_string())).into())
            }
            ProxyCommand::Select => self.select(args),
            ProxyCommand::CommandCount => introspect::count(),
            ProxyCommand::Wait => self.wait(args),
            ProxyCommand::Publish => self.publish(false, args),
            ProxyCommand::Spublish => self.publish(true, args),
            _ => Refusal::NotAllowed.into(),
        }
    }

    /// Tells what holds now: a script does not wait.
    fn wait(&self, args: &[&[u8]]) -> Reply {
        let Some(progress) = self.progress else { return Refusal::NotAllowed.into() };
        Wish::wait(&Args::new(args), self.cx.now_ms)
            .map_or_else(Reply::from, |wish| wish.reply(&[progress()]))
    }

    fn publish(&mut self, to_shard: bool, args: &[&[u8]]) -> Reply {
        match &mut self.publish {
            Some(publish) => match publish(to_shard, args[0], args[1]) {
                Some(receivers) => Reply::Int(receivers as i64),
                None => Refusal::TooManyMessages.into(),
            },
            None => Refusal::NotAllowed.into(),
        }
    }

    /// Holds until the script ends; its client does not notice.
    fn select(&mut self, args: &[&[u8]]) -> Reply {
        match database(args[0]) {
            Ok(db) => {
                self.cx.db = db;
                Reply::OK
            }
            Err(error) => error.into(),
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
        match self.admit(spec, argv, call) {
            Ok(()) => {
                if let Some(note) = self.note_read.filter(|_| spec.flags.has(flag::READONLY)) {
                    spec.key_positions(args).for_each(|at| note(args[at]));
                }
                if let Some(show) = &mut self.show
                    && !spec.flags.has(flag::SKIP_MONITOR | flag::ADMIN)
                {
                    show(self.cx.db, argv);
                }
                self.cx.protocol = call.protocol;
                let reply = self.execute(spec, args);
                self.tally.executed(spec, &reply);
                reply
            }
            Err(refusal) => {
                self.tally.rejected(spec, &refusal);
                refusal
            }
        }
    }

    fn may_call(&mut self, argv: &[&[u8]]) -> Option<bool> {
        let spec = row(argv)?;
        Some(self.check_rights(spec, &argv[1..]).is_ok())
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        (self.log)(level, text);
    }
}

fn row(argv: &[&[u8]]) -> Option<&'static Spec> {
    let spec = lookup(argv.first()?)?;
    match argv.get(1) {
        Some(name) if !spec.subcommands.is_empty() => spec.subcommand(name),
        _ => Some(spec),
    }
}

/// The row of a command, its arity checked.
fn find(argv: &[&[u8]]) -> Result<&'static Spec, Refusal> {
    let spec = row(argv).ok_or(Refusal::Unknown)?;
    if spec.accepts(argv.len()) { Ok(spec) } else { Err(Refusal::Arity) }
}

fn next_seed(seed: u64) -> u64 {
    datatypes::Random::new(seed).next_u64()
}
