//! Which meta node is asked next.

use proto::v1::WatchEvent;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::LEADER_METADATA;
use crate::{env::Env, grpc};

/// Addresses taken from meta, beside the configured ones.
const LEARNED_MAX: usize = 32;
const ADDR_BYTES_MAX: usize = 255;

#[derive(Default)]
pub(super) struct Target {
    configured: Vec<String>,
    /// Named by meta, and not configured.
    learned: Vec<String>,
    /// As it answered last, or as another node named it.
    leader: Option<String>,
    /// Counts through the configured and the learned ones, while no leader is known.
    next: usize,
    /// To nodes that were asked.
    channels: Vec<(String, Channel)>,
}

impl Target {
    /// Begins with the `next`th of the configured addresses.
    pub fn new(configured: Vec<String>, next: usize) -> Self {
        Self { configured, next, ..Self::default() }
    }

    pub fn channel(&mut self, env: &Env) -> Result<(String, Channel), Status> {
        let addr = self.addr().ok_or_else(|| Status::invalid_argument("no meta address is configured"))?;
        if let Some((_, channel)) = self.channels.iter().find(|(known, _)| *known == addr) {
            return Ok((addr, channel.clone()));
        }
        let channel = grpc::channel(env, &addr)
            .map_err(|error| Status::invalid_argument(format!("meta address {addr}: {error}")))?;
        self.forget_channels();
        self.channels.push((addr.clone(), channel.clone()));
        Ok((addr, channel))
    }

    fn addr(&self) -> Option<String> {
        self.leader.clone().or_else(|| {
            let at = self.next.checked_rem(self.configured.len() + self.learned.len())?;
            self.configured.iter().chain(&self.learned).nth(at).cloned()
        })
    }

    /// Closes those to nodes that nobody names any more.
    fn forget_channels(&mut self) {
        let (leader, learned, configured) = (&self.leader, &self.learned, &self.configured);
        self.channels.retain(|(addr, _)| {
            leader.as_ref() == Some(addr) || learned.contains(addr) || configured.contains(addr)
        });
    }

    /// Takes the leader from how `addr` answered; without a clue the next address is tried.
    pub fn learn(&mut self, addr: &str, error: Option<&Status>) {
        let Some(status) = error.filter(|status| !is_definite(status)) else {
            self.leader = Some(addr.to_owned());
            return;
        };
        let leader = leader_named_by(status).filter(|&leader| leader != addr && is_addr(leader));
        self.leader = leader.map(str::to_owned);
        if self.leader.is_none() {
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Takes in the addresses that meta names instead of those it named before.
    pub fn learn_addrs(&mut self, event: &WatchEvent) {
        if event.meta_addrs.is_empty() {
            return;
        }
        let news = event.meta_addrs.iter().filter(|addr| is_addr(addr) && !self.configured.contains(addr));
        self.learned = news.take(LEARNED_MAX).cloned().collect();
    }
}

/// Whether asking again would get the same answer.
pub(super) fn is_definite(status: &Status) -> bool {
    use Code::*;
    match status.code() {
        InvalidArgument | NotFound | AlreadyExists | PermissionDenied | Unimplemented | Unauthenticated => {
            true
        }
        // A node that does not lead names the leader; else the request itself is refused.
        FailedPrecondition => leader_named_by(status).is_none(),
        _ => false,
    }
}

pub(super) fn leader_named_by(status: &Status) -> Option<&str> {
    status.metadata().get(LEADER_METADATA)?.to_str().ok()
}

fn is_addr(text: &str) -> bool {
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let fits = text.len() <= ADDR_BYTES_MAX && port.is_some();
    fits && Endpoint::from_shared(format!("http://{text}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(configured: &[&str]) -> Target {
        Target::new(configured.iter().map(ToString::to_string).collect(), 1)
    }

    fn naming(addrs: impl IntoIterator<Item = impl ToString>) -> WatchEvent {
        let meta_addrs = addrs.into_iter().map(|addr| addr.to_string()).collect();
        WatchEvent { meta_addrs, ..WatchEvent::default() }
    }

    /// Everybody it asks when nobody answers.
    fn asked(target: &mut Target, tries: usize) -> Vec<String> {
        let mut asked = Vec::new();
        for _ in 0..tries {
            let addr = target.addr().expect("an address");
            target.learn(&addr, Some(&Status::unavailable("gone")));
            asked.push(addr);
        }
        asked.sort();
        asked.dedup();
        asked
    }

    /// R6: nodes that joined later are found.
    #[test]
    fn addresses_that_meta_names_are_asked_beside_the_configured_ones() {
        let mut target = target(&["a:1", "b:1"]);
        assert_eq!(asked(&mut target, 4), ["a:1", "b:1"]);
        target.learn_addrs(&naming(["b:1", "c:1", "no address", "nowhere", "d:1"]));
        assert_eq!(asked(&mut target, 8), ["a:1", "b:1", "c:1", "d:1"]);
        target.learn_addrs(&naming([""; 0]));
        assert_eq!(asked(&mut target, 8), ["a:1", "b:1", "c:1", "d:1"], "empty: as before");
        target.learn_addrs(&naming(["e:1"]));
        assert_eq!(asked(&mut target, 6), ["a:1", "b:1", "e:1"]);
        target.learn_addrs(&naming((0..1_000).map(|n| format!("n{n}:1"))));
        assert_eq!(asked(&mut target, 2_000).len(), 2 + LEARNED_MAX);
    }

    #[test]
    fn whoever_leads_is_asked_and_nonsense_is_not() {
        let mut target = target(&["a:1"]);
        let mut status = Status::failed_precondition("not the leader");
        status.metadata_mut().insert(LEADER_METADATA, "x:1".parse().expect("ascii"));
        target.learn("a:1", Some(&status));
        assert_eq!(asked(&mut target, 3), ["a:1", "x:1"]);
        status.metadata_mut().insert(LEADER_METADATA, "no address".parse().expect("ascii"));
        target.learn("a:1", Some(&status));
        assert_eq!(asked(&mut target, 3), ["a:1"]);
        assert!(!is_definite(&status));
        assert!(is_definite(&Status::failed_precondition("ERR Node 1 is the last voter")));
    }

    #[test]
    fn without_an_address_there_is_nobody_to_ask() {
        assert_eq!(Target::default().addr(), None);
    }
}
