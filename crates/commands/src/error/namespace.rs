//! Why a command was refused on a namespace.

use std::borrow::Cow;

use super::CommandError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespaceError {
    /// Rules come or go, or shards move. Nothing was executed; a moment later it will be.
    Changing,
    /// Full name of a command that no namespace knows.
    Refused(&'static str),
    /// Full name of a command that would need several shards within a transaction.
    InTransaction(&'static str),
}

impl NamespaceError {
    pub(super) fn text(self) -> Cow<'static, [u8]> {
        let name = |name: &str| name.replace('|', " ");
        Cow::Owned(match self {
            Self::Changing => return Cow::Borrowed(b"TRYAGAIN The namespaces of the cluster are changing"),
            Self::Refused(command) => {
                format!("ERR '{}' does not work on a namespace", name(command)).into_bytes()
            }
            Self::InTransaction(command) => {
                format!("ERR '{}' on a namespace inside MULTI must keep to one shard", name(command))
                    .into_bytes()
            }
        })
    }
}

impl From<NamespaceError> for CommandError {
    fn from(error: NamespaceError) -> Self {
        Self::Namespace(error)
    }
}
