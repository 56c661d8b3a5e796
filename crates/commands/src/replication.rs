//! WAIT and WAITAOF: what they ask for, and how far a group's log has come to its replicas.

use datatypes::number::parse_i64;
use resp::Reply;

use crate::{Args, CommandError, blocking::block_ms};

/// How far the log of a group has come, as its leader knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// An entry of the group's log. All that the asker wrote is in it or before it.
    pub index: u64,
    /// Replicas that have the entry, the leader not counted.
    pub replicas: u64,
    /// The leader has it too, as durable as it is configured.
    pub local: bool,
    /// What a replica has is synced to its disk.
    pub durable: bool,
}

impl Progress {
    pub fn to_reply(self) -> Reply {
        let number = |n: u64| Reply::Int(i64::try_from(n).unwrap_or(i64::MAX));
        Reply::Array(vec![
            number(self.index),
            number(self.replicas),
            number(u64::from(self.local)),
            number(u64::from(self.durable)),
        ])
    }

    pub fn from_reply(reply: &Reply) -> Option<Self> {
        let Reply::Array(items) = reply else { return None };
        let number = |at: usize| match items.get(at) {
            Some(&Reply::Int(n)) => u64::try_from(n).ok(),
            _ => None,
        };
        let (index, replicas) = (number(0)?, number(1)?);
        Some(Self { index, replicas, local: number(2)? > 0, durable: number(3)? > 0 })
    }
}

/// What a client wants to be sure of, and for how long it waits for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub what: Wanted,
    /// 0: for ever.
    pub timeout_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// WAIT: so many replicas have it.
    Replicas(i64),
    /// WAITAOF: it is synced by the leader (1), and by so many other replicas.
    Synced { local: u64, replicas: u64 },
}

impl Wish {
    /// Of `WAIT numreplicas timeout`.
    pub fn wait(args: &Args<'_>, now_ms: u64) -> Result<Self, CommandError> {
        Ok(Self { what: Wanted::Replicas(args.int(0)?), timeout_ms: block_ms(args.at(1)?, now_ms)? })
    }

    /// Of `WAITAOF numlocal numreplicas timeout`.
    pub fn wait_aof(args: &Args<'_>, now_ms: u64) -> Result<Self, CommandError> {
        let local = u64::try_from(args.int(0)?).ok().filter(|&n| n <= 1);
        let local = local.ok_or(CommandError::NotBetween(0, 1))?;
        let replicas = parse_i64(args.at(1)?).and_then(|n| u64::try_from(n).ok());
        let replicas = replicas.ok_or(CommandError::NotPositive)?;
        let what = Wanted::Synced { local, replicas };
        Ok(Self { what, timeout_ms: block_ms(args.at(2)?, now_ms)? })
    }

    /// Whether all groups have come so far.
    pub fn is_met(&self, groups: &[Progress]) -> bool {
        let count = i64::try_from(replicas(groups)).unwrap_or(i64::MAX);
        match self.what {
            Wanted::Replicas(wanted) => count >= wanted,
            Wanted::Synced { local, replicas } => {
                let (synced, others) = synced(groups);
                synced >= local && others >= replicas
            }
        }
    }

    /// What the client is told.
    pub fn reply(&self, groups: &[Progress]) -> Reply {
        let number = |n: u64| Reply::Int(i64::try_from(n).unwrap_or(i64::MAX));
        match self.what {
            Wanted::Replicas(_) => number(replicas(groups)),
            Wanted::Synced { .. } => {
                let (local, replicas) = synced(groups);
                Reply::Array(vec![number(local), number(replicas)])
            }
        }
    }

    /// Why it will never be met.
    pub fn refusal(&self, groups: &[Progress]) -> Option<CommandError> {
        let wants_sync = matches!(self.what, Wanted::Synced { local: 1.., .. });
        let refused = wants_sync && groups.iter().any(|group| !group.durable);
        refused.then_some(CommandError::NothingIsSynced)
    }
}

/// The fewest that any of the groups has; none if there is no group.
fn replicas(groups: &[Progress]) -> u64 {
    groups.iter().map(|group| group.replicas).min().unwrap_or(0)
}

fn synced(groups: &[Progress]) -> (u64, u64) {
    let durable = !groups.is_empty() && groups.iter().all(|group| group.durable);
    let local = durable && groups.iter().all(|group| group.local);
    (u64::from(local), if durable { replicas(groups) } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(replicas: u64, local: bool, durable: bool) -> Progress {
        Progress { index: 7, replicas, local, durable }
    }

    #[test]
    fn the_group_that_is_behind_decides() {
        let wish = Wish::wait(&Args::new(&[b"2", b"0"]), 0).unwrap();
        let groups = [at(2, true, true), at(1, true, true)];
        assert!(!wish.is_met(&groups) && wish.is_met(&groups[..1]) && !wish.is_met(&[]));
        assert_eq!(wish.reply(&groups), Reply::Int(1));
        let negative = Wish::wait(&Args::new(&[b"-1", b"0"]), 0).unwrap();
        assert!(negative.is_met(&groups));
    }

    #[test]
    fn what_is_not_synced_does_not_count() {
        let wish = Wish::wait_aof(&Args::new(&[b"1", b"1", b"5"]), 0).unwrap();
        assert_eq!(wish.timeout_ms, 5);
        assert!(wish.is_met(&[at(1, true, true)]) && !wish.is_met(&[at(2, false, true)]));
        assert!(wish.refusal(&[at(2, true, true)]).is_none());
        let lax = [at(2, true, false)];
        assert!(wish.refusal(&lax).is_some() && !wish.is_met(&lax));
        assert_eq!(wish.reply(&lax), Reply::Array(vec![Reply::Int(0), Reply::Int(0)]));
    }

    #[test]
    fn arguments_are_refused_as_redis_does() {
        let text = |wish: Result<Wish, CommandError>| match Reply::from(wish.unwrap_err()) {
            Reply::Error(text) => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        let aof = |args: [&'static str; 3]| Wish::wait_aof(&Args::new(&args.map(str::as_bytes)), 0);
        let wait = |args: [&'static str; 2]| Wish::wait(&Args::new(&args.map(str::as_bytes)), 0);
        assert_eq!(text(aof(["2", "0", "0"])), "ERR value is out of range, value must between 0 and 1");
        assert_eq!(text(aof(["0", "-1", "0"])), "ERR value is out of range, must be positive");
        assert_eq!(text(aof(["0", "0", "-1"])), "ERR timeout is negative");
        assert_eq!(text(wait(["x", "0"])), "ERR value is not an integer or out of range");
        assert_eq!(text(wait(["0", "x"])), "ERR timeout is not an integer or out of range");
    }

    #[test]
    fn progress_survives_the_round_trip() {
        let progress = at(1, false, true);
        assert_eq!(Progress::from_reply(&progress.to_reply()), Some(progress));
        assert_eq!(Progress::from_reply(&Reply::OK), None);
    }
}
