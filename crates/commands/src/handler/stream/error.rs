//! Why a command on streams was refused.

use std::borrow::Cow;

use crate::error::{SHOWN_BYTES_MAX, one_line, shown};

#[derive(Debug)]
pub enum StreamError {
    InvalidId,
    InvalidStart,
    InvalidEnd,
    /// XADD with the id 0-0.
    ZeroId,
    /// XADD with an id that is not greater than the last one.
    SmallId,
    /// There is no id behind the last one.
    Exhausted,
    TooLarge,
    TwoStrategies,
    NegativeMaxlen,
    NegativeLimit,
    LimitWithoutStrategy,
    LimitWithoutTilde,
    NoStrategy,
    /// Full name of the command.
    Unbalanced {
        command: &'static str,
        symbol: char,
    },
    GroupOfXread,
    NoackOfXread,
    NewOfXread,
    LastOfXreadgroup,
    MissingGroup,
    NoKeyOrGroup {
        key: Vec<u8>,
        group: Vec<u8>,
    },
    /// The same, of XREADGROUP.
    NothingToRead {
        key: Vec<u8>,
        group: Vec<u8>,
    },
    NoGroup {
        key: Vec<u8>,
        group: Vec<u8>,
    },
    NoKey,
    BusyGroup,
    NegativeEntriesRead,
    NegativeEntriesAdded,
    LastBelowGivenDeleted,
    LastBelowDeleted,
    LastBelowTop,
    AddedBelowLength,
    MinIdle(&'static str),
    /// Name of the option.
    ClaimOption(&'static str),
    UnknownClaimOption(Vec<u8>),
    CountNotPositive,
    /// The container, and the subcommand as it came.
    Subcommand {
        container: &'static str,
        name: Vec<u8>,
    },
}

impl StreamError {
    pub(crate) fn no_group(key: &[u8], group: &[u8]) -> Self {
        Self::NoGroup { key: key.to_vec(), group: group.to_vec() }
    }

    pub(crate) fn no_key_or_group(key: &[u8], group: &[u8]) -> Self {
        Self::NoKeyOrGroup { key: key.to_vec(), group: group.to_vec() }
    }

    pub(crate) fn text(&self) -> Cow<'static, [u8]> {
        match self {
            Self::Unbalanced { command, symbol } => owned(&[
                b"ERR Unbalanced '",
                command.as_bytes(),
                b"' list of streams: for each stream key an ID or '",
                symbol.encode_utf8(&mut [0; 4]).as_bytes(),
                b"' must be specified.",
            ]),
            Self::NoKeyOrGroup { key, group } => {
                owned(&[b"NOGROUP No such key '", text(key), b"' or consumer group '", text(group), b"'"])
            }
            Self::NothingToRead { key, group } => owned(&[
                b"NOGROUP No such key '",
                text(key),
                b"' or consumer group '",
                text(group),
                b"' in XREADGROUP with GROUP option",
            ]),
            Self::NoGroup { key, group } => owned(&[
                b"NOGROUP No such consumer group '",
                text(group),
                b"' for key name '",
                text(key),
                b"'",
            ]),
            Self::MinIdle(command) => {
                owned(&[b"ERR Invalid min-idle-time argument for ", command.as_bytes()])
            }
            Self::ClaimOption(option) => {
                owned(&[b"ERR Invalid ", option.as_bytes(), b" option argument for XCLAIM"])
            }
            Self::UnknownClaimOption(option) => {
                owned(&[b"ERR Unrecognized XCLAIM option '", text(option), b"'"])
            }
            Self::Subcommand { container, name } => owned(&[
                b"ERR unknown subcommand or wrong number of arguments for '",
                shown(name, SHOWN_BYTES_MAX),
                b"'. Try ",
                container.as_bytes(),
                b" HELP.",
            ]),
            other => Cow::Borrowed(other.fixed_text().as_bytes()),
        }
    }

    fn fixed_text(&self) -> &'static str {
        match self {
            Self::InvalidId => "ERR Invalid stream ID specified as stream command argument",
            Self::InvalidStart => "ERR invalid start ID for the interval",
            Self::InvalidEnd => "ERR invalid end ID for the interval",
            Self::ZeroId => "ERR The ID specified in XADD must be greater than 0-0",
            Self::SmallId => {
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            }
            Self::Exhausted => "ERR The stream has exhausted the last possible ID, unable to add more items",
            Self::TooLarge => "ERR Elements are too large to be stored",
            Self::TwoStrategies => {
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
            }
            Self::NegativeMaxlen => "ERR The MAXLEN argument must be >= 0.",
            Self::NegativeLimit => "ERR The LIMIT argument must be >= 0.",
            Self::LimitWithoutStrategy => {
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
            }
            Self::LimitWithoutTilde => "ERR syntax error, LIMIT cannot be used without the special ~ option",
            Self::NoStrategy => "ERR syntax error, XTRIM must be called with a trimming strategy",
            Self::GroupOfXread => {
                "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
            }
            Self::NoackOfXread => {
                "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
            }
            Self::NewOfXread => {
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
            }
            Self::LastOfXreadgroup => {
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
                 an empty result set."
            }
            Self::MissingGroup => "ERR Missing GROUP option for XREADGROUP",
            Self::NoKey => {
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
                 MKSTREAM option to create an empty stream automatically."
            }
            Self::BusyGroup => "BUSYGROUP Consumer Group name already exists",
            Self::NegativeEntriesRead => "ERR value for ENTRIESREAD must be positive or -1",
            Self::NegativeEntriesAdded => "ERR entries_added must be positive",
            Self::LastBelowGivenDeleted => {
                "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
            }
            Self::LastBelowDeleted => {
                "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
            }
            Self::LastBelowTop => "ERR The ID specified in XSETID is smaller than the target stream top item",
            Self::AddedBelowLength => {
                "ERR The entries_added specified in XSETID is smaller than the target stream length"
            }
            Self::CountNotPositive => "ERR COUNT must be > 0",
            Self::Unbalanced { .. }
            | Self::NoKeyOrGroup { .. }
            | Self::NothingToRead { .. }
            | Self::NoGroup { .. }
            | Self::MinIdle(_)
            | Self::ClaimOption(_)
            | Self::UnknownClaimOption(_)
            | Self::Subcommand { .. } => "ERR",
        }
    }
}

fn text(bytes: &[u8]) -> &[u8] {
    shown(bytes, usize::MAX)
}

fn owned(parts: &[&[u8]]) -> Cow<'static, [u8]> {
    one_line([&parts.concat(), b"", b""])
}
