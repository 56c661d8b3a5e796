//! Why rules are refused, in Redis's words.

/// Why one rule is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("Unknown command or category name in ACL")]
    Unknown,
    #[error("Syntax error")]
    Syntax,
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try \
         'resetkeys' to start with an empty list of patterns"
    )]
    KeysAfterAll,
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. \
         Try 'resetchannels' to start with an empty list of channels"
    )]
    ChannelsAfterAll,
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    Digest,
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgOfSubcommand,
}

/// Why the rules of an ACL SETUSER are refused, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    /// The argument that opens it.
    Unmatched(Vec<u8>),
    Rule(Vec<u8>, RuleError),
}

impl SetError {
    /// The text of the error reply.
    pub fn text(&self) -> Vec<u8> {
        let parts: [&[u8]; 4] = match self {
            Self::Unmatched(at) => {
                [b"ERR Unmatched parenthesis in acl selector starting at '", shown(at), b"'.", b""]
            }
            Self::Rule(rule, error) => {
                let head: &[u8] = b"ERR Error in ACL SETUSER modifier '";
                return [head, shown(rule), b"': ", error.to_string().as_bytes()].concat();
            }
        };
        parts.concat()
    }
}

/// As C would print it.
pub(crate) fn shown(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|&byte| byte == 0).unwrap_or(text.len())]
}
