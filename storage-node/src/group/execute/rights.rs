//! Users for whom scripts run: the proxy names one who may not do everything, with its rules.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use acl::{Channels, Denial, User};
use bytes::Bytes;
use commands::{
    Spec,
    wire::{FLAG_USER, WireCommand},
};
use proto::v1::{DeniedCall, denied_call::Reason};
use scripting::Rights;

/// Rules that were read and are kept; past that all are forgotten.
const KNOWN_MAX: usize = 256;
/// What a script is refused and that is told; past that, nothing is.
pub const DENIED_MAX: usize = 64;
/// A longer name is cut off there.
const OBJECT_BYTES_MAX: usize = 4096;

thread_local! {
    static KNOWN: RefCell<HashMap<Vec<u8>, Rc<Caller>>> = RefCell::default();
}

/// A user for whom a script runs.
pub struct Caller {
    name: Vec<u8>,
    user: User,
    /// What its script was refused, until that is told.
    denied: RefCell<Vec<DeniedCall>>,
}

/// Takes the user off the command that runs a script; `None`: whoever asked may do everything.
pub fn take<'a>(command: &WireCommand<'a>) -> Option<(WireCommand<'a>, Rc<Caller>)> {
    if command.flags & FLAG_USER == 0 {
        return None;
    }
    let (text, args) = command.args.split_last().map_or((&b""[..], &[][..]), |(text, args)| (*text, args));
    let WireCommand { id, flags, db, writer, .. } = *command;
    Some((WireCommand { id, flags, db, writer, args: args.iter().copied().collect() }, caller(text)))
}

fn caller(text: &[u8]) -> Rc<Caller> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(caller) = known.get(text) {
            return caller.clone();
        }
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        let caller = match User::from_named(text) {
            Ok((name, user)) => Caller::new(name, user),
            // Whoever cannot be read may do nothing.
            Err(_) => Caller::new(b"", User::new(Channels::None)),
        };
        let caller = Rc::new(caller);
        known.insert(text.to_vec(), caller.clone());
        caller
    })
}

impl Caller {
    fn new(name: &[u8], user: User) -> Self {
        Self { name: name.to_vec(), user, denied: RefCell::default() }
    }

    pub fn take_denied(&self) -> Vec<DeniedCall> {
        self.denied.take()
    }
}

impl Rights for Caller {
    fn check(&self, spec: &Spec, args: &[&[u8]]) -> Result<(), Vec<u8>> {
        self.user.check(spec, args).map_err(|denial| match denial {
            Denial::SortOption(_) => denial.text(&self.name, spec),
            _ => [b"ERR ACL failure in script: ", &denial.reason(&self.name, spec)[..]].concat(),
        })
    }

    fn refused(&self, spec: &Spec, args: &[&[u8]]) {
        let Err(denial) = self.user.check(spec, args) else { return };
        let reason = match denial {
            Denial::Command => Reason::Command,
            Denial::Key(_) => Reason::Key,
            Denial::Channel(_) => Reason::Channel,
            Denial::SortOption(_) => return,
        };
        let mut denied = self.denied.borrow_mut();
        if denied.len() < DENIED_MAX {
            let object = denial.object(spec, args);
            let object = Bytes::copy_from_slice(&object[..object.len().min(OBJECT_BYTES_MAX)]);
            denied.push(DeniedCall { command: 0, reason: reason.into(), object });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_taken_off_and_limits_the_script() {
        let mut user = User::new(Channels::None);
        user.set(&[b"~own", b"+@all", b"-incr"], Channels::None).unwrap();
        let text = user.named(b"u");
        let args: &[&[u8]] = &[b"script", b"0", &text];
        let mut command =
            WireCommand { id: 1, flags: FLAG_USER, db: 2, writer: 0, args: args.iter().copied().collect() };
        let (stripped, caller) = take(&command).unwrap();
        assert_eq!((&stripped.args[..], stripped.db), (&args[..2], 2));
        let check = |name: &[u8], args: &[&[u8]]| {
            let refused = caller.check(commands::lookup(name).unwrap(), args);
            refused.map_err(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(check(b"get", &[b"own"]), Ok(()));
        let denied = "ERR ACL failure in script: User u has no permissions to run the 'incr' command";
        assert_eq!(check(b"incr", &[b"own"]), Err(denied.to_owned()));
        assert!(check(b"get", &[b"other"]).is_err());

        command.args.pop();
        let (_, nobody) = take(&command).unwrap();
        assert!(nobody.check(commands::lookup(b"get").unwrap(), &[b"own"]).is_err(), "not a user");
        command.flags = 0;
        assert!(take(&command).is_none());
    }
}
