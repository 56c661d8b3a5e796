//! What COMMAND DOCS tells about a command.

/// Chapter of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Generic,
    String,
    Bitmap,
    HyperLogLog,
    Hash,
    Set,
    List,
    Json,
    SortedSet,
    Geo,
    Stream,
    Connection,
    Server,
    Cluster,
    Transactions,
    Scripting,
    PubSub,
}

impl Group {
    pub const ALL: &[Self] = &[
        Self::String,
        Self::Bitmap,
        Self::HyperLogLog,
        Self::Hash,
        Self::Set,
        Self::List,
        Self::Json,
        Self::SortedSet,
        Self::Geo,
        Self::Stream,
        Self::Generic,
        Self::Transactions,
        Self::Scripting,
        Self::PubSub,
        Self::Connection,
        Self::Server,
        Self::Cluster,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::String => "string",
            Self::Bitmap => "bitmap",
            Self::HyperLogLog => "hyperloglog",
            Self::Hash => "hash",
            Self::Set => "set",
            Self::List => "list",
            Self::Json => "json",
            Self::SortedSet => "sorted-set",
            Self::Geo => "geo",
            Self::Stream => "stream",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Cluster => "cluster",
            Self::Transactions => "transactions",
            Self::Scripting => "scripting",
            Self::PubSub => "pubsub",
        }
    }
}

/// A command for people.
#[derive(Debug, Clone, Copy)]
pub struct Doc {
    pub summary: &'static str,
    /// Redis version that brought the command.
    pub since: &'static str,
    pub group: Group,
    /// Empty: not told.
    pub complexity: &'static str,
    pub deprecated: Option<Deprecated>,
    /// For servers among themselves.
    pub system: bool,
    pub args: &'static [Arg],
}

#[derive(Debug, Clone, Copy)]
pub struct Deprecated {
    pub since: &'static str,
    pub replaced_by: &'static str,
}

/// Type of a documented argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgType {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl ArgType {
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key => "key",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf => "oneof",
            Self::Block => "block",
        }
    }

    /// Has sub-arguments, and no text of its own.
    pub fn is_compound(self) -> bool {
        matches!(self, Self::OneOf | Self::Block)
    }
}

/// A documented argument.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    pub name: &'static str,
    pub kind: ArgType,
    pub display: Option<&'static str>,
    /// Index of the key spec that finds it.
    pub key_spec: Option<u8>,
    pub token: Option<&'static str>,
    pub since: Option<&'static str>,
    pub optional: bool,
    pub multiple: bool,
    /// Repeated, its token is repeated too.
    pub multiple_token: bool,
    pub args: &'static [Arg],
}

pub const fn arg(name: &'static str, kind: ArgType) -> Arg {
    Arg {
        name,
        kind,
        display: None,
        key_spec: None,
        token: None,
        since: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        args: &[],
    }
}

pub const fn string(name: &'static str) -> Arg {
    arg(name, ArgType::String)
}

pub const fn integer(name: &'static str) -> Arg {
    arg(name, ArgType::Integer)
}

pub const fn double(name: &'static str) -> Arg {
    arg(name, ArgType::Double)
}

pub const fn pattern(name: &'static str) -> Arg {
    arg(name, ArgType::Pattern)
}

pub const fn unix_time(name: &'static str) -> Arg {
    arg(name, ArgType::UnixTime)
}

/// A key found by the key spec at `spec`.
pub const fn key_arg(name: &'static str, spec: u8) -> Arg {
    let mut key = arg(name, ArgType::Key);
    key.key_spec = Some(spec);
    key
}

/// A word that stands for itself.
pub const fn word(name: &'static str, token: &'static str) -> Arg {
    arg(name, ArgType::PureToken).token(token)
}

pub const fn one_of(name: &'static str, args: &'static [Arg]) -> Arg {
    let mut choice = arg(name, ArgType::OneOf);
    choice.args = args;
    choice
}

pub const fn block(name: &'static str, args: &'static [Arg]) -> Arg {
    let mut block = arg(name, ArgType::Block);
    block.args = args;
    block
}

impl Arg {
    /// Index of the key spec that finds what the argument leads to.
    pub const fn key_spec(mut self, spec: u8) -> Self {
        self.key_spec = Some(spec);
        self
    }

    pub const fn token(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }

    pub const fn display(mut self, text: &'static str) -> Self {
        self.display = Some(text);
        self
    }

    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }

    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub const fn multiple(mut self) -> Self {
        self.multiple = true;
        self
    }

    pub const fn multiple_token(mut self) -> Self {
        self.multiple_token = true;
        self.multiple()
    }
}
