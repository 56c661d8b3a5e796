//! Everything a command can fail with, and the exact text that clients see.

mod field;
mod intersection;
mod json;
mod namespace;
mod sort;
mod swap;

use std::borrow::Cow;

use datatypes::StoreError;
use datatypes::hyperloglog::HllError;
use datatypes::json::JsonError;
use datatypes::rdb::RdbError;
use resp::Reply;

pub use field::FieldError;
pub use intersection::IntersectionError;
pub use namespace::NamespaceError;
pub use sort::SortError;
pub use swap::SwapError;

use crate::blocking::TimeoutError;
use crate::handler::geo::GeoError;
use crate::handler::sorted_set::SortedSetError;
use crate::handler::stream::StreamError;

/// Why a command was refused. It has changed nothing.
#[derive(Debug, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(&self.text()))]
pub enum CommandError {
    /// No such command; the name and the arguments as they came.
    UnknownCommand {
        shown: Vec<u8>,
    },
    /// No such subcommand of `container`.
    UnknownSubcommand {
        container: &'static str,
        name: Vec<u8>,
    },
    /// No such subcommand of `container`, or not with so many arguments; the name as it came.
    Subcommand {
        container: &'static str,
        name: Vec<u8>,
    },
    /// Full name of the command.
    WrongArity(&'static str),
    Syntax,
    WrongType,
    NotInteger,
    NotFloat,
    NoSuchKey,
    CrossSlot,
    InvalidSlot,
    InvalidCursor,
    InvalidKeyCount,
    DatabaseOutOfRange,
    SameObject,
    OffsetOutOfRange,
    StringTooLong,
    IncrementOverflow,
    DecrementOverflow,
    IncrementNotFinite,
    /// The increment itself is.
    InfiniteIncrement,
    HashValueNotInteger,
    HashValueNotFloat,
    OutOfRange,
    NotPositive,
    /// Least and greatest value.
    NotBetween(i64, i64),
    /// Full name of the command.
    InvalidExpire(&'static str),
    ExpireNxWithOthers,
    ExpireGtWithLt,
    UnsupportedOption(Vec<u8>),
    LcsNotStrings,
    LcsLenWithIdx,
    LcsTooLarge,
    /// For one entry of the log, or one message.
    TooMuchAtOnce,
    FrequencyNotTracked,
    GetKeysUnknown,
    GetKeysNone,
    GetKeysArity,
    GetKeysInvalid,
    BusyKey,
    InvalidTtl,
    InvalidIdletime,
    InvalidFrequency,
    /// Name of the command.
    NotInCluster(&'static str),
    /// To another database.
    CopyInCluster,
    /// DEBUG is off, as it is in Redis.
    DebugDisabled,
    /// A script keeps everybody waiting, or a function.
    Busy {
        function: bool,
    },
    /// There is no script to be stopped.
    NotBusy,
    /// WAITAOF where storage nodes do not sync what they write.
    NothingIsSynced,
    Bit(BitError),
    List(ListError),
    HyperLogLog(HllError),
    HyperLogLogDebug(HllDebugError),
    /// A payload of DUMP.
    Payload(RdbError),
    Function(FunctionError),
    Field(FieldError),
    Intersection(IntersectionError),
    Sort(SortError),
    Swap(SwapError),
    SortedSet(SortedSetError),
    Geo(GeoError),
    Stream(StreamError),
    Timeout(TimeoutError),
    Json(JsonError),
    Namespace(NamespaceError),
    /// Nothing can be served now. Whoever may not wait for it answers this null.
    WouldBlock(Null),
    Store(StoreError),
}

/// Why PFDEBUG answers nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HllDebugError {
    NoKey,
    NotSparse,
    Unknown(Vec<u8>),
}

impl HllDebugError {
    fn text(&self) -> Cow<'static, [u8]> {
        let text: &'static str = match self {
            Self::NoKey => "ERR The specified key does not exist",
            Self::NotSparse => "ERR HLL encoding is not sparse",
            Self::Unknown(name) => return one_line([b"ERR Unknown PFDEBUG subcommand '", name, b"'"]),
        };
        Cow::Borrowed(text.as_bytes())
    }
}

impl From<HllDebugError> for CommandError {
    fn from(error: HllDebugError) -> Self {
        Self::HyperLogLogDebug(error)
    }
}

/// The null of a command that waited in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    Bulk,
    Array,
}

impl From<Null> for Reply {
    fn from(null: Null) -> Self {
        match null {
            Null::Bulk => Reply::Null,
            Null::Array => Reply::NullArray,
        }
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<HllError> for CommandError {
    fn from(error: HllError) -> Self {
        Self::HyperLogLog(error)
    }
}

impl From<ListError> for CommandError {
    fn from(error: ListError) -> Self {
        Self::List(error)
    }
}

impl From<JsonError> for CommandError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<GeoError> for CommandError {
    fn from(error: GeoError) -> Self {
        Self::Geo(error)
    }
}

impl From<SortedSetError> for CommandError {
    fn from(error: SortedSetError) -> Self {
        Self::SortedSet(error)
    }
}

impl From<RdbError> for CommandError {
    fn from(error: RdbError) -> Self {
        Self::Payload(error)
    }
}

impl From<CommandError> for Reply {
    fn from(error: CommandError) -> Self {
        Reply::Error(match error.text() {
            Cow::Borrowed(text) => bytes::Bytes::from_static(text),
            Cow::Owned(text) => bytes::Bytes::from(text),
        })
    }
}

impl CommandError {
    /// The text of the error reply, without the leading `-` and without line breaks.
    pub fn text(&self) -> Cow<'static, [u8]> {
        let text: &'static str = match self {
            Self::UnknownCommand { shown } => return one_line([b"ERR unknown command ", &shown[..], b""]),
            Self::UnknownSubcommand { container, name } => return unknown_subcommand(container, name),
            Self::Subcommand { container, name } => {
                let hint = format!("'. Try {} HELP.", container.to_ascii_uppercase());
                let text = b"ERR unknown subcommand or wrong number of arguments for '";
                return one_line([text, shown(name, SHOWN_BYTES_MAX), hint.as_bytes()]);
            }
            Self::WrongArity(name) => {
                return one_line([b"ERR wrong number of arguments for '", name.as_bytes(), b"' command"]);
            }
            Self::InvalidExpire(name) => {
                return one_line([b"ERR invalid expire time in '", name.as_bytes(), b"' command"]);
            }
            Self::NotInCluster(name) => {
                let name = name.to_ascii_uppercase();
                return one_line([b"ERR ", name.as_bytes(), b" is not allowed in cluster mode"]);
            }
            Self::UnsupportedOption(option) => return one_line([b"ERR Unsupported option ", option, b""]),
            Self::Payload(RdbError::Unsupported(kind)) => {
                return one_line([b"ERR Values of type ", kind.as_bytes(), b" are not supported yet"]);
            }
            Self::NotBetween(least, most) => {
                let text = format!("ERR value is out of range, value must between {least} and {most}");
                return Cow::Owned(text.into_bytes());
            }
            Self::Function(error) => return error.text(),
            Self::Intersection(error) => error.text(),
            Self::Sort(error) => error.text(),
            Self::Swap(error) => error.text(),
            Self::Field(error) => return error.text(),
            Self::SortedSet(error) => return error.text(),
            Self::Geo(error) => return error.text(),
            Self::HyperLogLogDebug(error) => return error.text(),
            Self::Stream(error) => return error.text(),
            Self::Timeout(error) => return error.text(),
            Self::Json(error) => return json::text(error),
            Self::Namespace(error) => return error.text(),
            // Never reaches a client: whoever executes the command waits, or answers the null.
            Self::WouldBlock(_) => "ERR the command would block",
            Self::Bit(error) => error.text(),
            Self::List(error) => error.text(),
            Self::Store(error) => return one_line([b"ERR storage error ", error.0.as_bytes(), b""]),
            Self::Syntax => "ERR syntax error",
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::NotInteger => "ERR value is not an integer or out of range",
            Self::NotFloat => "ERR value is not a valid float",
            Self::NoSuchKey => "ERR no such key",
            Self::CrossSlot => "CROSSSLOT Keys in request don't hash to the same slot",
            Self::InvalidSlot => "ERR Invalid slot",
            Self::InvalidCursor => "ERR invalid cursor",
            Self::InvalidKeyCount => "ERR Invalid slot or number of keys",
            Self::DatabaseOutOfRange => "ERR DB index is out of range",
            Self::SameObject => "ERR source and destination objects are the same",
            Self::OffsetOutOfRange => "ERR offset is out of range",
            Self::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::IncrementOverflow => "ERR increment or decrement would overflow",
            Self::DecrementOverflow => "ERR decrement would overflow",
            Self::IncrementNotFinite => "ERR increment would produce NaN or Infinity",
            Self::InfiniteIncrement => "ERR value is NaN or Infinity",
            Self::HashValueNotInteger => "ERR hash value is not an integer",
            Self::HashValueNotFloat => "ERR hash value is not a float",
            Self::OutOfRange => "ERR value is out of range",
            Self::NotPositive => "ERR value is out of range, must be positive",
            Self::ExpireNxWithOthers => "ERR NX and XX, GT or LT options at the same time are not compatible",
            Self::ExpireGtWithLt => "ERR GT and LT options at the same time are not compatible",
            Self::LcsNotStrings => "ERR The specified keys must contain string values",
            Self::LcsLenWithIdx => "ERR If you want both the length and indexes, please just use IDX.",
            Self::LcsTooLarge => {
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
            }
            Self::TooMuchAtOnce => "ERR more than 1 GiB would be written or answered at once",
            Self::FrequencyNotTracked => {
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust."
            }
            Self::GetKeysUnknown => "ERR Invalid command specified",
            Self::GetKeysNone => "ERR The command has no key arguments",
            Self::GetKeysArity => "ERR Invalid number of arguments specified for command",
            Self::GetKeysInvalid => "ERR Invalid arguments specified for command",
            Self::CopyInCluster => "ERR Copying to another database is not allowed in cluster mode",
            Self::DebugDisabled => {
                "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
                 from a local connection, otherwise you need to set this option in the configuration file, and then \
                 restart the server."
            }
            Self::Busy { function: false } => {
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
            }
            Self::Busy { function: true } => {
                "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
            }
            Self::NotBusy => "NOTBUSY No scripts in execution right now.",
            Self::NothingIsSynced => {
                "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
            }
            Self::BusyKey => "BUSYKEY Target key name already exists.",
            Self::InvalidTtl => "ERR Invalid TTL value, must be >= 0",
            Self::InvalidIdletime => "ERR Invalid IDLETIME value, must be >= 0",
            Self::InvalidFrequency => "ERR Invalid FREQ value, must be >= 0 and <= 255",
            Self::HyperLogLog(HllError::Invalid) => "WRONGTYPE Key is not a valid HyperLogLog string value.",
            Self::HyperLogLog(HllError::Corrupt) => "INVALIDOBJ Corrupted HLL object detected",
            Self::Payload(RdbError::Footer) => "ERR DUMP payload version or checksum are wrong",
            Self::Payload(RdbError::Format) => "ERR Bad data format",
        };
        Cow::Borrowed(text.as_bytes())
    }

    /// The error for a command that is not in the table; quotes at most 128 bytes of its name and
    /// 128 of its arguments, as Redis does.
    pub fn unknown_command(name: &[u8], args: &[&[u8]]) -> Self {
        let mut quoted = Vec::new();
        for arg in args {
            if quoted.len() >= SHOWN_BYTES_MAX {
                break;
            }
            let room = SHOWN_BYTES_MAX - quoted.len();
            quoted.push(b'\'');
            quoted.extend_from_slice(shown(arg, room));
            quoted.extend_from_slice(b"' ");
        }
        let parts = [b"'", shown(name, SHOWN_BYTES_MAX), b"', with args beginning with: ", &quoted];
        Self::UnknownCommand { shown: parts.concat() }
    }
}

/// Why a command on bits was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitError {
    /// Not the offset of a bit that a string can have.
    Offset,
    /// The bit to set is neither 0 nor 1.
    Value,
    /// Likewise, the bit to look for.
    Argument,
    /// BITOP NOT with several sources.
    NotTakesOne,
    FieldType,
    Overflow,
    ReadOnlyField,
}

impl BitError {
    fn text(self) -> &'static str {
        match self {
            Self::Offset => "ERR bit offset is not an integer or out of range",
            Self::Value => "ERR bit is not an integer or out of range",
            Self::Argument => "ERR The bit argument must be 1 or 0.",
            Self::NotTakesOne => "ERR BITOP NOT must be called with a single source key.",
            Self::FieldType => {
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
            }
            Self::Overflow => "ERR Invalid OVERFLOW type specified",
            Self::ReadOnlyField => "ERR BITFIELD_RO only supports the GET subcommand",
        }
    }
}

/// Why a command on lists was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListError {
    /// There is no such element.
    Index,
    /// Of LPOS.
    ZeroRank,
    NegativeCount,
    NegativeLength,
    /// Not a number of keys.
    NoKeys,
    /// Not a number of elements.
    NoCount,
}

impl ListError {
    fn text(self) -> &'static str {
        match self {
            Self::Index => "ERR index out of range",
            Self::ZeroRank => {
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative \
                 to start from the end of the list"
            }
            Self::NegativeCount => "ERR COUNT can't be negative",
            Self::NegativeLength => "ERR MAXLEN can't be negative",
            Self::NoKeys => "ERR numkeys should be greater than 0",
            Self::NoCount => "ERR count should be greater than 0",
        }
    }
}

/// Why a subcommand of FUNCTION was refused.
#[derive(Debug)]
pub enum FunctionError {
    NoLibraryName,
    UnknownArgument(Vec<u8>),
    /// Of LOAD.
    UnknownOption(Vec<u8>),
    WrongPolicy,
    WrongFlush,
}

impl FunctionError {
    fn text(&self) -> Cow<'static, [u8]> {
        let text: &'static str = match self {
            Self::UnknownArgument(argument) => {
                return one_line([b"ERR Unknown argument ", shown(argument, usize::MAX), b""]);
            }
            Self::UnknownOption(option) => {
                return one_line([b"ERR Unknown option given: ", shown(option, usize::MAX), b""]);
            }
            Self::NoLibraryName => "ERR library name argument was not given",
            Self::WrongPolicy => {
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
            }
            Self::WrongFlush => "ERR FUNCTION FLUSH only supports SYNC|ASYNC option",
        };
        Cow::Borrowed(text.as_bytes())
    }
}

pub(crate) const SHOWN_BYTES_MAX: usize = 128;

/// What C's `%.128s` prints: up to the limit, or the first zero byte.
pub(crate) fn shown(text: &[u8], limit: usize) -> &[u8] {
    let cut = &text[..text.len().min(limit)];
    &cut[..cut.iter().position(|&b| b == 0).unwrap_or(cut.len())]
}

fn unknown_subcommand(container: &str, name: &[u8]) -> Cow<'static, [u8]> {
    let hint = format!("'. Try {} HELP.", container.to_ascii_uppercase());
    one_line([b"ERR unknown subcommand '", shown(name, SHOWN_BYTES_MAX), hint.as_bytes()])
}

pub(crate) fn one_line(parts: [&[u8]; 3]) -> Cow<'static, [u8]> {
    let mut text = parts.concat();
    for byte in &mut text {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_quote_what_came_and_stay_on_one_line() {
        let error = CommandError::unknown_command(b"fo\r\no", &[b"a", b"b\0c"]);
        assert_eq!(&error.text()[..], b"ERR unknown command 'fo  o', with args beginning with: 'a' 'b' ");
        let long = [b'x'; 300];
        let error = CommandError::unknown_command(&long, &[&long, &long]);
        assert_eq!(error.text().len(), "ERR unknown command '', with args beginning with: '' ".len() + 256);
        let error = CommandError::UnknownSubcommand { container: "config", name: b"foo".to_vec() };
        assert_eq!(&error.text()[..], b"ERR unknown subcommand 'foo'. Try CONFIG HELP.");
        let error = CommandError::Subcommand { container: "client", name: b"Pause\n".to_vec() };
        let text = b"ERR unknown subcommand or wrong number of arguments for 'Pause '. Try CLIENT HELP.";
        assert_eq!(&error.text()[..], text);
    }
}
