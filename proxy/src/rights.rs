//! What a client's user may do, on the way of each command; and the account that is kept of what it may
//! not.

use std::sync::Arc;

use acl::Denial;
use bytes::Bytes;
use commands::{GroupCommand, Spec};
use resp::Reply;

use crate::{
    accounts::{self, Account, Context, LogEntry, Reason, Refusal, denial_reply},
    ask::Question,
    clients::ClientInfo,
    connection::Connection,
    execute::Front,
    settings::Number,
    shared::Shared,
};

impl Front {
    /// Follows the users in force: one that is gone takes its clients along.
    pub fn follow_users(&mut self) {
        let shared = &self.conn.worker.shared;
        let access = &mut self.session.access;
        let before = match access.refresh(&shared.accounts) {
            Ok(None) => return,
            Ok(Some(before)) => before,
            Err(accounts::Gone) => {
                self.session.closing = true;
                return;
            }
        };
        let now = access.account().clone();
        // It may have subscribed while the others were looked through.
        self.session.closing |= accounts::is_overheard(shared, &self.conn.info, &before, &now);
        self.conn.info.set_account(now);
    }

    /// Refuses what the client's user may not do. To be asked where access is restricted.
    pub fn check_rights(&self, spec: &Spec, args: &[&[u8]]) -> Result<(), Reply> {
        let denial = match self.session.access.check(spec, args) {
            Ok(()) => return Ok(()),
            Err(Refusal::NoAuth) => return Err(Reply::error("NOAUTH Authentication required.")),
            Err(Refusal::Denied(denial)) => denial,
        };
        let context = if self.session.transaction.is_some() { Context::Multi } else { Context::Toplevel };
        *self.conn.info.last_command.lock() = spec.full_name;
        Err(self.denied(denial, context, spec, args))
    }

    /// Whether a command that was queued is not allowed any more; then its reply.
    pub fn recheck_rights(&self, spec: &Spec, args: &[&[u8]]) -> Option<Reply> {
        let Err(Refusal::Denied(denial)) = self.session.access.check(spec, args) else { return None };
        self.denied(denial, Context::Multi, spec, args);
        let reason = match denial {
            Denial::Command => "no permission to execute the command or subcommand",
            Denial::Key(_) => "no permission to touch the specified keys",
            Denial::Channel(_) => {
                "no permission to access one of the channels used as arguments to the command"
            }
            Denial::SortOption(_) => "insufficient permissions for an option of SORT",
        };
        Some(Reply::error(format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This \
             command is no longer allowed for the following reason: {reason}"
        )))
    }

    /// What the group has to know of the user to run a script; `None`: the user may do everything.
    pub fn script_rights(&self, spec: &Spec) -> Option<Bytes> {
        let runs = matches!(spec.group_command(), Some(GroupCommand::Script(_)));
        let access = &self.session.access;
        (runs && access.is_restricted).then(|| access.account().for_scripts())
    }

    /// Keeps account of what is denied, and answers the error.
    pub fn denied(&self, denial: Denial, context: Context, spec: &Spec, args: &[&[u8]]) -> Reply {
        let account = self.session.access.account();
        let shared = &self.conn.worker.shared;
        note_denial(shared, &self.conn.info, account, (denial, context), denial.object(spec, args));
        denial_reply(account, denial, spec)
    }
}

/// The reply of a command that was waiting when its user lost the right to it.
pub fn denied_while_waiting(conn: &Connection, denial: Denial, question: &Question) -> Reply {
    let args: Vec<&[u8]> = question.args.iter().map(|arg| &arg[..]).collect();
    let (account, shared) = (conn.info.account(), &conn.worker.shared);
    let object = denial.object(question.spec, &args);
    note_denial(shared, &conn.info, &account, (denial, Context::Toplevel), object);
    denial_reply(&account, denial, question.spec)
}

/// Keeps account of what was denied.
pub fn note_denial(
    shared: &Shared,
    client: &ClientInfo,
    account: &Arc<Account>,
    (denial, context): (Denial, Context),
    object: &[u8],
) {
    if let Some(reason) = Reason::of(denial) {
        note(shared, client, reason, context, object, account.name.clone());
    }
}

/// Keeps account of a refusal.
pub fn note(
    shared: &Shared,
    client: &ClientInfo,
    reason: Reason,
    context: Context,
    object: &[u8],
    username: Bytes,
) {
    shared.accounts.denied.count(reason);
    let object = Bytes::copy_from_slice(object);
    let entry = LogEntry { reason, context, object, username, client: client.describe(shared.now_ms()) };
    let max = shared.settings.limit(Number::AclLogLen);
    shared.accounts.log.lock().push(entry, shared.env.clock.now_ms(), max);
}
