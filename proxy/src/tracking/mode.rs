//! How a client tracks: as its connection knows it, and as others see it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
};

use bytes::Bytes;
use commands::{GroupCommand, Id, Kind, Spec, flags::flag};

/// What CLIENT TRACKING ON said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tracks {
    /// The client that is told; 0: itself.
    pub redirect: u64,
    /// Of all keys with a prefix, whatever it reads.
    pub broadcast: bool,
    pub opt_in: bool,
    pub opt_out: bool,
    /// It is not told what it changes itself.
    pub no_loop: bool,
    /// CLIENT CACHING was said of the next command.
    pub caching: bool,
    pub prefixes: BTreeSet<Bytes>,
}

impl Tracks {
    /// Whether what a command reads now is to be remembered.
    pub fn remembers(&self, spec: &Spec) -> bool {
        let wanted = match (self.opt_in, self.opt_out) {
            (true, _) => self.caching,
            (_, true) => !self.caching,
            _ => true,
        };
        wanted && !self.broadcast && may_read(spec)
    }

    /// What CLIENT CACHING says is over with the next command that is not CLIENT; `None`: one that was
    /// refused.
    pub fn command_ended(&mut self, spec: Option<&Spec>) {
        if self.caching && !spec.is_some_and(|spec| spec.full_name.starts_with("client")) {
            self.caching = false;
        }
    }
}

fn may_read(spec: &Spec) -> bool {
    let is_script = matches!(spec.kind, Kind::Group { command: GroupCommand::Script(_), .. });
    spec.flags.has(flag::READONLY) || is_script || spec.id == Id::Exec
}

/// What CLIENT LIST shows. Written by the connection's task, and by whoever finds that the client that is to
/// be told is gone.
#[derive(Debug, Default)]
pub struct Shown {
    on: AtomicBool,
    broadcasts: AtomicBool,
    broken: AtomicBool,
    redirect: AtomicI64,
}

impl Shown {
    pub fn show(&self, tracks: Option<&Tracks>) {
        self.on.store(tracks.is_some(), Relaxed);
        self.broadcasts.store(tracks.is_some_and(|tracks| tracks.broadcast), Relaxed);
        self.broken.store(false, Relaxed);
        self.redirect.store(tracks.map_or(0, |tracks| tracks.redirect as i64), Relaxed);
    }

    pub fn set_broken(&self) {
        self.broken.store(true, Relaxed);
    }

    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    pub fn broadcasts(&self) -> bool {
        self.broadcasts.load(Relaxed)
    }

    pub fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// As Redis shows it; -1: the client does not track.
    pub fn redirect(&self) -> i64 {
        if self.is_on() { self.redirect.load(Relaxed) } else { -1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_decide_what_is_remembered() {
        let (get, set) = (Id::Get.spec(), Id::Set.spec());
        let remembers = |tracks: &Tracks| tracks.remembers(get);
        let plain = Tracks::default();
        assert!(remembers(&plain) && plain.remembers(Id::Exec.spec()) && plain.remembers(Id::Eval.spec()));
        assert!(!plain.remembers(set));
        let opt_in = Tracks { opt_in: true, ..Tracks::default() };
        let opt_out = Tracks { opt_out: true, ..Tracks::default() };
        assert!(!remembers(&opt_in) && remembers(&opt_out));
        assert!(
            remembers(&Tracks { caching: true, ..opt_in })
                && !remembers(&Tracks { caching: true, ..opt_out })
        );
        assert!(!remembers(&Tracks { broadcast: true, ..Tracks::default() }));
    }

    #[test]
    fn caching_is_said_of_one_command() {
        let mut tracks = Tracks { caching: true, ..Tracks::default() };
        tracks.command_ended(Some(Id::ClientId.spec()));
        assert!(tracks.caching);
        tracks.command_ended(None);
        assert!(!tracks.caching);
    }
}
