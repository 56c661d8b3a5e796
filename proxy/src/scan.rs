//! SCAN over all slots in view, one run of slots of one group at a time.
//!
//! A cursor is `slot << 48 | position inside the slot`. The command that a storage node executes
//! has the end of its run as an additional argument; when the run is done and not enough was found, the next
//! one is asked, and else the cursor for the client points to its start.

use std::rc::Rc;

use bytes::Bytes;
use commands::{CommandError, Id, Merge, Spec};
use resp::{Protocol, Reply};
use topology::{GroupId, SLOT_COUNT, Slot};

use crate::{
    ask::{Asker, Question, ask_this},
    backend_api::{RouteError, Submit, Target},
    gather::of_nothing,
};

/// Runs that one call looks through at most, while it has not found enough.
const RUNS_MAX: usize = 16;
const COUNT_DEFAULT: usize = 10;
const SLOT_SHIFT: u32 = 48;

/// A run of slots of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub first: Slot,
    /// One past the last.
    pub end: u16,
}

/// Where a scan goes on: the cursor to send, and the run it lies in; `None`: nothing is left.
pub fn place(cursor: u64, backend: &dyn Submit, view: &[GroupId]) -> Option<(u64, Run)> {
    let slot = u16::try_from(cursor >> SLOT_SHIFT).ok()?;
    let run = run_from(slot, backend, view)?;
    let first = run.first.number();
    let cursor = if first == slot { cursor } else { u64::from(first) << SLOT_SHIFT };
    Some((cursor, run))
}

fn run_from(slot: u16, backend: &dyn Submit, view: &[GroupId]) -> Option<Run> {
    let group = |n: u16| backend.group_of(Slot::new(n)?).filter(|g| view.contains(g));
    let first = (slot..SLOT_COUNT).find(|&n| group(n).is_some())?;
    let owner = group(first);
    let end = (first..SLOT_COUNT).find(|&n| group(n) != owner).unwrap_or(SLOT_COUNT);
    Some(Run { first: Slot::new(first)?, end })
}

/// The cursor that a client named.
pub fn parse_cursor(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// How many elements a client asks for, of the options that it named; wrong ones are refused by the group.
pub fn wanted(options: &[&[u8]]) -> usize {
    let (pairs, _) = options.as_chunks();
    let count = pairs.iter().rev().find(|[word, _]| word.eq_ignore_ascii_case(b"COUNT"));
    count.and_then(|[_, number]| std::str::from_utf8(number).ok()?.parse().ok()).unwrap_or(COUNT_DEFAULT)
}

/// SCAN with these arguments, the cursor first; the first run is asked now.
pub fn scan(
    backend: Rc<dyn Submit>,
    asker: Asker,
    view: Vec<GroupId>,
    args: &[&[u8]],
) -> Result<impl Future<Output = Reply> + use<>, Reply> {
    let cursor = parse_cursor(args[0]).ok_or_else(|| Reply::from(CommandError::InvalidCursor))?;
    let nothing = || of_nothing(Merge::Scan, asker.protocol);
    let (cursor, run) = place(cursor, &*backend, &view).ok_or_else(nothing)?;
    let options: Vec<Bytes> = args[1..].iter().map(|word| Bytes::copy_from_slice(word)).collect();
    let wanted = wanted(&args[1..]);
    let args = move |cursor: u64, run: Run| {
        let place = [cursor.to_string(), run.end.to_string()].map(Bytes::from);
        place.into_iter().chain(options.iter().cloned()).collect()
    };
    Ok(Walk { backend, asker, view, spec: Id::Scan.spec(), wanted, args }.begin(cursor, run))
}

/// Looks through one run after the other, until enough is found.
pub struct Walk<A> {
    pub backend: Rc<dyn Submit>,
    pub asker: Asker,
    pub view: Vec<GroupId>,
    pub spec: &'static Spec,
    pub wanted: usize,
    /// What a group is told: from which cursor to go on in which run.
    pub args: A,
}

impl<A: Fn(u64, Run) -> Vec<Bytes>> Walk<A> {
    /// Asks the first run now.
    pub fn begin(self, cursor: u64, run: Run) -> impl Future<Output = Reply> {
        let answer = self.ask(cursor, run);
        self.go_on(run, answer)
    }

    fn ask(&self, cursor: u64, run: Run) -> impl Future<Output = Result<Bytes, RouteError>> + use<A> {
        let Self { asker, spec, .. } = *self;
        let (target, args) = (Target::Slot(run.first), (self.args)(cursor, run));
        let question = Question { asker, target, spec, args, writes: false };
        ask_this(&*self.backend, &question, asker.flags)
    }

    async fn go_on(self, mut run: Run, first: impl Future<Output = Result<Bytes, RouteError>>) -> Reply {
        let (mut found, mut answer) = (Vec::new(), first.await);
        for runs_left in (0..RUNS_MAX).rev() {
            let is_first = runs_left + 1 == RUNS_MAX;
            match answer.map(|reply| (page_of(&reply, self.asker.protocol), reply)) {
                Ok((Some((cursor, elements)), _)) => {
                    found.extend(elements);
                    if &cursor[..] != b"0" {
                        return page(cursor, found);
                    }
                }
                Ok((None, refusal)) if is_first => return Reply::Raw(refusal),
                Err(error) if is_first => return Reply::error(error.to_string()),
                // What was found is not lost: the next call tells the error.
                Ok(_) | Err(_) => return page(start(run), found),
            }
            let Some(next) = run_from(run.end, &*self.backend, &self.view) else {
                return page(Bytes::from_static(b"0"), found);
            };
            run = next;
            if runs_left == 0 || found.len() >= self.wanted {
                break;
            }
            answer = self.ask(cursor_of(run), run).await;
        }
        page(start(run), found)
    }
}

fn cursor_of(run: Run) -> u64 {
    u64::from(run.first.number()) << SLOT_SHIFT
}

fn start(run: Run) -> Bytes {
    cursor_of(run).to_string().into()
}

fn page(cursor: Bytes, found: Vec<Reply>) -> Reply {
    Reply::Array(vec![Reply::Bulk(cursor), Reply::Array(found)])
}

/// Cursor and elements of a reply; `None`: it is an error.
fn page_of(reply: &Bytes, protocol: Protocol) -> Option<(Bytes, Vec<Reply>)> {
    let (Reply::Array(parts), _) = resp::parse(reply, protocol).ok()?? else { return None };
    match <[Reply; 2]>::try_from(parts) {
        Ok([Reply::Bulk(cursor), Reply::Array(found)]) => Some((cursor, found)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups 1 and 2 take turns every 1000 slots; nobody serves those from 16000 on.
    struct Turns;

    impl Submit for Turns {
        fn submit(&self, _: crate::backend_api::Outgoing<'_>, _: crate::backend_api::Sink) {}

        fn group_of(&self, slot: Slot) -> Option<GroupId> {
            let n = slot.number();
            (n < 16000).then_some(GroupId(u64::from(n / 1000 % 2) + 1))
        }

        fn groups(&self) -> Vec<GroupId> {
            vec![GroupId(1), GroupId(2)]
        }

        fn fronted_groups(&self) -> Vec<GroupId> {
            vec![GroupId(2)]
        }
    }

    #[test]
    fn runs_follow_the_slots_in_view() {
        let all = [GroupId(1), GroupId(2)];
        let run = |first, end| Run { first: Slot::new(first).unwrap(), end };
        assert_eq!(place(0, &Turns, &all), Some((0, run(0, 1000))));
        let cursor = 1500u64 << 48 | 77;
        assert_eq!(place(cursor, &Turns, &all), Some((cursor, run(1500, 2000))));
        assert_eq!(place(16000 << 48, &Turns, &all), None);
        assert_eq!(place(u64::MAX, &Turns, &all), None);
        let one = [GroupId(2)];
        assert_eq!(place(5, &Turns, &one), Some((1000 << 48, run(1000, 2000))));
    }

    #[test]
    fn the_count_of_a_client_is_heeded() {
        assert_eq!(wanted(&[]), 10);
        assert_eq!(wanted(&[b"MATCH", b"COUNT", b"count", b"7"]), 7);
        assert_eq!(wanted(&[b"COUNT", b"-1"]), 10);
    }
}
