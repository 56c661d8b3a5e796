//! Why a command on places was refused.

use std::borrow::Cow;

use datatypes::geo::Point;

/// What only commands on places are refused for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GeoError {
    NotOnTheMap(Point),
    Unit,
    Radius,
    NegativeRadius,
    Width,
    Height,
    NegativeBox,
    NoSuchMember,
    Count,
    AnyWithoutCount,
    /// GEORADIUS and GEORADIUSBYMEMBER.
    StoreWithOthers,
    /// GEOSEARCHSTORE.
    SearchStoreWithOthers,
    /// Full name of the command.
    From(&'static str),
    /// Full name of the command.
    By(&'static str),
}

impl GeoError {
    pub(crate) fn text(self) -> Cow<'static, [u8]> {
        Cow::Borrowed(match self {
            Self::NotOnTheMap(Point { longitude, latitude }) => {
                let text = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
                return Cow::Owned(text.into());
            }
            Self::From(name) => {
                let text = format!("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}");
                return Cow::Owned(text.into());
            }
            Self::By(name) => {
                let text = format!("ERR exactly one of BYRADIUS and BYBOX can be specified for {name}");
                return Cow::Owned(text.into());
            }
            Self::Unit => b"ERR unsupported unit provided. please use M, KM, FT, MI",
            Self::Radius => b"ERR need numeric radius",
            Self::NegativeRadius => b"ERR radius cannot be negative",
            Self::Width => b"ERR need numeric width",
            Self::Height => b"ERR need numeric height",
            Self::NegativeBox => b"ERR height or width cannot be negative",
            Self::NoSuchMember => b"ERR could not decode requested zset member",
            Self::Count => b"ERR COUNT must be > 0",
            Self::AnyWithoutCount => b"ERR the ANY argument requires COUNT argument",
            Self::StoreWithOthers => {
                b"ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            }
            Self::SearchStoreWithOthers => {
                b"ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            }
        })
    }
}
