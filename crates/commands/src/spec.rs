//! A row of the command table, and the builders that the rows are written with.

use datatypes::{Kv, KvMut, Limits, Slot, slot_of};
use resp::{Protocol, Reply};

use crate::blocking::Timeout;
use crate::doc::{Arg, Deprecated, Doc, Group};
use crate::flags::{Categories, Flags, flag};
use crate::handler::keyspace;
use crate::keyspec::{Find, KeySpec};
use crate::namespace::Spread;
use crate::{Args, CommandError, Id};

pub type ReadFn = fn(&mut dyn Kv, &Args<'_>, &Cx) -> Result<Reply, CommandError>;
pub type WriteFn = fn(&mut dyn KvMut, &Args<'_>, &Cx) -> Result<Reply, CommandError>;

/// Circumstances of one execution.
#[derive(Debug, Clone, Copy)]
pub struct Cx {
    /// Group time.
    pub now_ms: u64,
    pub db: u8,
    /// Fresh randomness for this execution.
    pub seed: u64,
    pub protocol: Protocol,
    /// Up to where collections that are written stay small.
    pub limits: Limits,
}

/// What a storage node executes for a row. A read gets a read view and cannot write.
#[derive(Debug, Clone, Copy)]
pub enum Handler {
    Read(ReadFn),
    Write(WriteFn),
}

/// Who executes a command, and how.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// By the group that serves its keys' slot.
    Read(ReadFn),
    /// By the group that serves its keys' slot, as an entry of its log.
    Write(WriteFn),
    /// By every group in the listener's view; the proxy merges the replies.
    Broadcast { handler: Handler, merge: Merge },
    /// By the evaluator of the group that serves its keys' slot: it is about other commands.
    Group { command: GroupCommand, writes: bool },
    /// By the proxy itself.
    Local(ProxyCommand),
    /// Holds subcommands and cannot be executed; `resolve` never answers one.
    Container,
}

/// Commands that a group's evaluator executes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupCommand {
    /// Answers what EXEC compares: one token for each key.
    Watch,
    /// MULTI … EXEC, in the form of [`crate::wire::put_watched`].
    Transaction,
    /// Ends the waiting of a command, which was sent in the same session.
    StopWaiting,
    Script(ScriptCommand),
    /// How far the group's log has come to its replicas ([`crate::replication`]).
    Replication,
    /// A command on the shards of a namespace ([`crate::namespace`]).
    Spread,
    /// What INFO shows of a group: scripts that it stores, keys that it deleted because they had expired,
    /// keys that commands were to read and were there, or not; then for each database its keys, and those
    /// of them that expire.
    Figures,
}

/// Lua scripts, which call other commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptCommand {
    /// EVAL, EVAL_RO
    Eval,
    /// EVALSHA, EVALSHA_RO
    EvalSha,
    /// FCALL, FCALL_RO
    Call,
    /// This group's part of SCRIPT LOAD, EXISTS and FLUSH.
    Store,
    Know,
    Drop,
    /// FUNCTION LIST, DUMP and STATS: any group answers them.
    ListLibraries,
    DumpLibraries,
    LibraryStats,
    /// This group's part of SCRIPT KILL and FUNCTION KILL.
    Stop,
    /// What the code of a library registers, what the libraries in a payload do: for meta, which keeps
    /// them.
    ReadLibrary,
    ReadLibraries,
}

/// How the proxy makes one reply of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Array elements, put back into the order in which the keys were named.
    ByKeyOrder,
    /// Integers, added.
    Sum,
    /// OK if all are OK, else the first error.
    AllOk,
    /// Arrays, one behind the other.
    Concat,
    /// SCAN: one group at a time, in slot order. The proxy executes it with the arguments
    /// `cursor end-slot [options]`, where the slots `cursor >> 48 .. end-slot` belong to one group;
    /// cursor 0 in the reply means that this range is done.
    Scan,
    /// RANDOMKEY: a random non-null one.
    RandomKey,
}

/// Commands that the proxy executes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyCommand {
    AclCat,
    AclDelUser,
    AclDryRun,
    AclGenPass,
    AclGetUser,
    AclList,
    AclLoad,
    AclLog,
    AclSave,
    AclSetUser,
    AclUsers,
    AclWhoAmI,
    Migrate,
    /// Concerns a Redis that stands alone: refused, or little to tell.
    Alone,
    Asking,
    Auth,
    ClientCaching,
    ClientGetName,
    ClientGetRedir,
    ClientId,
    ClientInfo,
    ClientKill,
    ClientList,
    ClientNoEvict,
    ClientNoTouch,
    ClientPause,
    ClientReply,
    ClientSetInfo,
    ClientSetName,
    ClientTracking,
    ClientTrackingInfo,
    ClientUnblock,
    ClientUnpause,
    /// A subcommand that changes the topology.
    ClusterChange,
    ClusterCountFailureReports,
    ClusterCountKeysInSlot,
    ClusterGetKeysInSlot,
    ClusterInfo,
    ClusterKeySlot,
    ClusterLinks,
    ClusterMetaRaft,
    ClusterMyId,
    ClusterMyShardId,
    ClusterNodes,
    ClusterReplicas,
    ClusterShards,
    ClusterSlots,
    /// COMMAND without a subcommand: [`crate::introspect::all_info`].
    Command,
    /// [`crate::introspect::count`]
    CommandCount,
    /// [`crate::introspect::docs`]
    CommandDocs,
    /// [`crate::introspect::get_keys`]
    CommandGetKeys,
    /// [`crate::introspect::get_keys_and_flags`]
    CommandGetKeysAndFlags,
    /// [`crate::introspect::info`]
    CommandInfo,
    /// [`crate::introspect::list`]
    CommandList,
    ConfigGet,
    ConfigResetStat,
    ConfigRewrite,
    ConfigSet,
    /// Refused, as Redis does unless it is told otherwise.
    Debug,
    Discard,
    Echo,
    Exec,
    FunctionDelete,
    FunctionDump,
    FunctionFlush,
    FunctionKill,
    FunctionList,
    FunctionLoad,
    FunctionRestore,
    FunctionStats,
    Hello,
    /// HELP of any container: [`crate::introspect::help`].
    Help,
    Info,
    LatencyDoctor,
    LatencyGraph,
    LatencyHistogram,
    LatencyHistory,
    LatencyLatest,
    LatencyReset,
    /// [`crate::memory::doctor`]
    MemoryDoctor,
    /// [`crate::memory::malloc_stats`]
    MemoryMallocStats,
    /// [`crate::memory::purge`]
    MemoryPurge,
    /// [`crate::memory::stats`]
    MemoryStats,
    Monitor,
    Multi,
    Ping,
    Psubscribe,
    Publish,
    PubsubChannels,
    PubsubNumPat,
    PubsubNumSub,
    PubsubShardChannels,
    PubsubShardNumSub,
    Punsubscribe,
    Quit,
    ReadOnly,
    ReadWrite,
    Reset,
    Role,
    ScriptDebug,
    ScriptExists,
    ScriptFlush,
    ScriptKill,
    ScriptLoad,
    Select,
    SlowlogGet,
    SlowlogLen,
    SlowlogReset,
    Spublish,
    Ssubscribe,
    Subscribe,
    Sunsubscribe,
    Time,
    Unsubscribe,
    Unwatch,
    Wait,
    WaitAof,
    Watch,
}

/// One row: all that is known about one command.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub id: Id,
    /// Lower case; `container|name` for a subcommand.
    pub full_name: &'static str,
    /// As Redis counts: the name included, negative for "at least".
    pub arity: i32,
    pub flags: Flags,
    pub keys: &'static [KeySpec],
    pub kind: Kind,
    /// Keys may lie in several groups: one part for each, merged like this.
    pub split: Option<Merge>,
    /// How it works on a namespace; `None`: not at all.
    pub spread: Option<Spread>,
    /// For a command that may wait: how long.
    pub timeout: Option<Timeout>,
    /// Categories that do not follow from the flags.
    pub explicit_categories: u32,
    pub tips: &'static [&'static str],
    pub doc: Doc,
    pub subcommands: &'static [Spec],
    /// Clients cannot name it.
    pub internal: bool,
}

impl Spec {
    /// The command's own name: what follows the container's.
    pub fn name(&self) -> &'static str {
        self.full_name.split_once('|').map_or(self.full_name, |(_, name)| name)
    }

    /// Whether `argc` words, the name included, are an acceptable number.
    pub fn accepts(&self, argc: usize) -> bool {
        let arity = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { argc == arity } else { argc >= arity }
    }

    /// Whether each key of a series comes with all that belongs to it: MSET's values. (What stands
    /// between two keys goes with the key before it, also when a command is split.)
    pub fn completes_pairs(&self, argc: usize) -> bool {
        let series = self.keys.iter().find_map(KeySpec::open_step);
        series.is_none_or(|(first, step)| (argc + 1 - first).is_multiple_of(step))
    }

    /// For a command that can be split: how many arguments, key included, come with each key, and
    /// how many behind the last key belong to all.
    pub fn split_shape(&self) -> (usize, usize) {
        let Some(KeySpec { find: Find::Range { last, step, .. }, .. }) = self.keys.first() else {
            return (1, 0);
        };
        (usize::from(*step), usize::from(last.unsigned_abs().saturating_sub(1)))
    }

    /// Indices of the keys in `args` (the command's name excluded).
    pub fn key_positions<'a>(&self, args: &'a [&'a [u8]]) -> impl Iterator<Item = usize> + use<'a> {
        self.keys.iter().flat_map(move |spec| spec.indices(args))
    }

    /// The slot that all keys in `args` share; `None` if there are no keys.
    pub fn slot(&self, args: &[&[u8]]) -> Result<Option<Slot>, CommandError> {
        let mut slots = self.key_positions(args).map(|at| slot_of(args[at]));
        let Some(first) = slots.next() else { return Ok(None) };
        if slots.all(|slot| slot == first) { Ok(Some(first)) } else { Err(CommandError::CrossSlot) }
    }

    /// Why a cluster, which has one database, refuses the command.
    pub fn check_one_database(&self, args: &[&[u8]]) -> Result<(), CommandError> {
        match self.id {
            Id::Move | Id::Swapdb => Err(CommandError::NotInCluster(self.full_name)),
            Id::Copy if keyspace::copies_elsewhere(&Args::new(args)) => Err(CommandError::CopyInCluster),
            _ => Ok(()),
        }
    }

    /// What a storage node executes, if it executes this command at all.
    pub fn handler(&self) -> Option<Handler> {
        match self.kind {
            Kind::Read(handler) => Some(Handler::Read(handler)),
            Kind::Write(handler) => Some(Handler::Write(handler)),
            Kind::Broadcast { handler, .. } => Some(handler),
            Kind::Group { .. } | Kind::Local(_) | Kind::Container => None,
        }
    }

    /// What a group's evaluator executes itself, if it is such a command.
    pub fn group_command(&self) -> Option<GroupCommand> {
        match self.kind {
            Kind::Group { command, .. } => Some(command),
            _ => None,
        }
    }

    pub fn is_write(&self) -> bool {
        matches!(self.handler(), Some(Handler::Write(_)))
            || matches!(self.kind, Kind::Group { writes: true, .. })
    }

    pub fn categories(&self) -> Categories {
        Categories::implied(self.flags, self.explicit_categories)
    }

    /// The subcommand called `name`, in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Spec> {
        self.subcommands.iter().find(|sub| sub.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

pub(crate) const fn exactly(argc: i32) -> i32 {
    argc
}

pub(crate) const fn at_least(argc: i32) -> i32 {
    -argc
}

pub(crate) const fn read(
    id: Id,
    name: &'static str,
    arity: i32,
    keys: &'static [KeySpec],
    handler: ReadFn,
) -> Spec {
    let mut row = new(id, name, arity, Kind::Read(handler)).flags(flag::READONLY);
    row.keys = keys;
    row
}

pub(crate) const fn write(
    id: Id,
    name: &'static str,
    arity: i32,
    keys: &'static [KeySpec],
    handler: WriteFn,
) -> Spec {
    let mut row = new(id, name, arity, Kind::Write(handler)).flags(flag::WRITE);
    row.keys = keys;
    row
}

pub(crate) const fn broadcast_read(
    id: Id,
    name: &'static str,
    arity: i32,
    handler: ReadFn,
    merge: Merge,
) -> Spec {
    new(id, name, arity, Kind::Broadcast { handler: Handler::Read(handler), merge }).flags(flag::READONLY)
}

pub(crate) const fn broadcast_write(
    id: Id,
    name: &'static str,
    arity: i32,
    handler: WriteFn,
    merge: Merge,
) -> Spec {
    new(id, name, arity, Kind::Broadcast { handler: Handler::Write(handler), merge }).flags(flag::WRITE)
}

pub(crate) const fn group(
    id: Id,
    name: &'static str,
    arity: i32,
    keys: &'static [KeySpec],
    kind: Kind,
) -> Spec {
    let mut row = new(id, name, arity, kind);
    row.keys = keys;
    row
}

pub(crate) const fn script(command: ScriptCommand, writes: bool) -> Kind {
    Kind::Group { command: GroupCommand::Script(command), writes }
}

pub(crate) const fn local(id: Id, name: &'static str, arity: i32, command: ProxyCommand) -> Spec {
    new(id, name, arity, Kind::Local(command))
}

pub(crate) const fn container(id: Id, name: &'static str, subcommands: &'static [Spec]) -> Spec {
    new(id, name, at_least(2), Kind::Container).subcommands(subcommands)
}

const fn new(id: Id, full_name: &'static str, arity: i32, kind: Kind) -> Spec {
    Spec {
        id,
        full_name,
        arity,
        flags: Flags(0),
        keys: &[],
        kind,
        split: None,
        spread: None,
        timeout: None,
        explicit_categories: 0,
        tips: &[],
        doc: Doc {
            summary: "",
            since: "",
            group: Group::Generic,
            complexity: "",
            deprecated: None,
            system: false,
            args: &[],
        },
        subcommands: &[],
        internal: false,
    }
}

impl Spec {
    /// Adds bits of [`flag`].
    pub(crate) const fn flags(mut self, bits: u32) -> Self {
        self.flags = Flags(self.flags.0 | bits);
        self
    }

    /// A write that Redis counts among the reads: what it writes is nothing that a reader would miss.
    pub(crate) const fn shown_as_read(mut self) -> Self {
        self.flags = Flags(self.flags.0 & !flag::WRITE | flag::READONLY);
        self
    }

    /// May wait until it can be served: its handler tries once, and answers
    /// [`CommandError::WouldBlock`] if it cannot be served now.
    pub const fn blocking(mut self, timeout: Timeout) -> Self {
        self.timeout = Some(timeout);
        self.flags(flag::BLOCKING)
    }

    /// Adds bits of [`crate::flags::category`].
    pub(crate) const fn acl(mut self, bits: u32) -> Self {
        self.explicit_categories |= bits;
        self
    }

    /// Keys of a command whose constructor takes none.
    pub(crate) const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    pub(crate) const fn split(mut self, merge: Merge) -> Self {
        self.split = Some(merge);
        self
    }

    pub(crate) const fn spread(mut self, spread: Spread) -> Self {
        self.spread = Some(spread);
        self
    }

    pub(crate) const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    pub(crate) const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    pub(crate) const fn subcommands(mut self, subcommands: &'static [Spec]) -> Self {
        self.subcommands = subcommands;
        self
    }

    pub(crate) const fn doc(
        mut self,
        group: Group,
        since: &'static str,
        complexity: &'static str,
        summary: &'static str,
    ) -> Self {
        self.doc.group = group;
        self.doc.since = since;
        self.doc.complexity = complexity;
        self.doc.summary = summary;
        self
    }

    pub(crate) const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> Self {
        self.doc.deprecated = Some(Deprecated { since, replaced_by });
        self
    }

    pub(crate) const fn system(mut self) -> Self {
        self.doc.system = true;
        self
    }

    pub(crate) const fn args(mut self, args: &'static [Arg]) -> Self {
        self.doc.args = args;
        self
    }
}
