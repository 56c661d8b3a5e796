//! SCAN over all slots in view, one run of slots of one group at a time.
//!
//! A cursor is `slot << 48 | position inside the slot`. The command that a storage node executes
//! has the end of its run as an additional argument; when the run is done and not enough was found, the next
//! one is asked, and else the cursor for the client points to its start.

use std::rc::Rc;

use bytes::Bytes;
use commands::{Id, Merge, Spec};
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
fn place(cursor: u64, backend: &dyn Submit, view: &[GroupId]) -> Option<(u64, Run)> {
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

/// How many elements a client asks for, of the options that it named; wrong ones are refused by the group.
fn wanted(options: &[&[u8]]) -> usize {
    let (pairs, _) = options.as_chunks();
    let count = pairs.iter().rev().find(|[word, _]| word.eq_ignore_ascii_case(b"COUNT"));
    count.and_then(|[_, number]| std::str::from_utf8(number).ok()?.parse().ok()).unwrap_or(COUNT_DEFAULT)
}

/// SCAN from a cursor on, with these options; the first run is asked now.
pub fn keys(
    backend: Rc<dyn Submit>,
    asker: Asker,
    view: Vec<GroupId>,
    cursor: u64,
    options: &[&[u8]],
) -> impl Future<Output = Reply> + use<> {
    let place = |cursor: Bytes, run: Run| vec![cursor, run.end.to_string().into()];
    Walk::new(backend, asker, view, Id::Scan.spec(), options, place).begin(cursor)
}

/// Looks through one run after the other, until enough is found.
pub struct Walk<P> {
    backend: Rc<dyn Submit>,
    asker: Asker,
    view: Vec<GroupId>,
    spec: &'static Spec,
    place: P,
    options: Vec<Bytes>,
    wanted: usize,
}

impl<P: Fn(Bytes, Run) -> Vec<Bytes>> Walk<P> {
    /// Groups are told with `spec` what `place` says of a cursor and the run it lies in, and the options.
    pub fn new(
        backend: Rc<dyn Submit>,
        asker: Asker,
        view: Vec<GroupId>,
        spec: &'static Spec,
        options: &[&[u8]],
        place: P,
    ) -> Self {
        let wanted = wanted(options);
        let options = options.iter().map(|word| Bytes::copy_from_slice(word)).collect();
        Self { backend, asker, view, spec, place, options, wanted }
    }

    /// Asks the first run now.
    pub fn begin(self, cursor: u64) -> impl Future<Output = Reply> {
        let first = place(cursor, &*self.backend, &self.view);
        let first = first.map(|(cursor, run)| (run, self.ask(cursor, run)));
        async move {
            match first {
                Some((run, answer)) => self.go_on(run, answer).await,
                None => of_nothing(Merge::Scan, self.asker.protocol),
            }
        }
    }

    fn ask(&self, cursor: u64, run: Run) -> impl Future<Output = Result<Bytes, RouteError>> + use<P> {
        let Self { asker, spec, .. } = *self;
        let mut args = (self.place)(cursor.to_string().into(), run);
        args.extend(self.options.iter().cloned());
        let question = Question { asker, target: Target::Slot(run.first), spec, args, writes: false };
        // The client's own, also where another command stands for what it sent.
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
    use std::cell::RefCell;

    use super::*;
    use crate::backend_api::{Outgoing, Sink};

    /// Groups 1 and 2 take turns every 1000 slots; nobody serves those from 16000 on.
    struct Turns;

    impl Submit for Turns {
        fn submit(&self, _: Outgoing<'_>, _: Sink) {}

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

    /// Serves like [`Turns`]; answers one after the other, and remembers in which slot each question began.
    struct Script {
        answers: RefCell<Vec<&'static str>>,
        asked: RefCell<Vec<u16>>,
    }

    impl Submit for Script {
        fn submit(&self, command: Outgoing<'_>, sink: Sink) {
            let Target::Slot(first) = command.target else { panic!("runs begin at a slot") };
            self.asked.borrow_mut().push(first.number());
            let answer = match self.answers.borrow_mut().remove(0) {
                "" => Err(RouteError::ClusterDown("nobody")),
                answer => Ok(answer.into()),
            };
            sink.to.reply(sink.token, answer);
        }

        fn group_of(&self, slot: Slot) -> Option<GroupId> {
            Turns.group_of(slot)
        }

        fn groups(&self) -> Vec<GroupId> {
            Turns.groups()
        }

        fn fronted_groups(&self) -> Vec<GroupId> {
            Turns.fronted_groups()
        }
    }

    /// The reply to a SCAN of three at a time, and the runs that were asked.
    async fn scanned(answers: &[&'static str]) -> (Reply, Vec<u16>) {
        let script = Rc::new(Script { answers: answers.to_vec().into(), asked: RefCell::default() });
        let asker = Asker { origin: 1, protocol: Protocol::Resp2, db: 0, flags: 0, writer: 0 };
        let options: [&[u8]; 2] = [b"COUNT", b"3"];
        let reply = keys(script.clone(), asker, Turns.groups(), 0, &options).await;
        (reply, script.asked.take())
    }

    const ONE: &str = "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n";
    const NONE: &str = "*2\r\n$1\r\n0\r\n*0\r\n";

    fn found(cursor: u64, count: usize) -> Reply {
        page(cursor.to_string().into(), vec![Reply::bulk("k"); count])
    }

    #[tokio::test]
    async fn a_scan_goes_on_until_it_has_found_enough() {
        assert_eq!(scanned(&[ONE, NONE, ONE, ONE]).await, (found(4000 << 48, 3), vec![0, 1000, 2000, 3000]));
        // A run that is not done, and the last one.
        let more = "*2\r\n$2\r\n77\r\n*1\r\n$1\r\nk\r\n";
        assert_eq!(scanned(&[ONE, more]).await, (found(77, 2), vec![0, 1000]));
        let (reply, asked) = scanned(&[NONE; 16]).await;
        assert_eq!((reply, asked.len()), (found(0, 0), 16));
    }

    #[tokio::test]
    async fn what_was_found_before_an_error_is_not_lost() {
        let refusal = "-ERR syntax error\r\n";
        assert_eq!(scanned(&[refusal]).await, (Reply::Raw(refusal.into()), vec![0]));
        assert_eq!(scanned(&[""]).await.0, Reply::error("CLUSTERDOWN nobody"));
        for failed in [refusal, ""] {
            assert_eq!(scanned(&[ONE, failed]).await, (found(1000 << 48, 1), vec![0, 1000]));
        }
    }

    #[test]
    fn the_count_of_a_client_is_heeded() {
        assert_eq!(wanted(&[]), 10);
        assert_eq!(wanted(&[b"MATCH", b"COUNT", b"count", b"7"]), 7);
        assert_eq!(wanted(&[b"COUNT", b"-1"]), 10);
    }
}
