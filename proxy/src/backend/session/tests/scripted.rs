//! One failure at a time.

use proto::v1::{Batch, BatchReply, LeaderHint, Refusal};

use super::*;

const A: StoreId = StoreId(1);
const B: StoreId = StoreId(2);

fn tag(number: u64) -> Tag {
    Tag { origin: 1, number }
}

/// One group on stores 1, 2, 3, serving slots 0 and 1.
fn session() -> Session<Tag> {
    with_limits(Limits { deadline_ms: 1000, ..Limits::default() })
}

fn with_limits(limits: Limits) -> Session<Tag> {
    let mut session = Session::new(limits, 42);
    session.routes_changed(0, routes(1, &[(7, &[0, 1], &[1, 2, 3])]));
    session
}

fn ok(batch: &Batch) -> BatchReply {
    let replies = replies_to(&batch.commands, |_| b"+OK\r\n".to_vec());
    BatchReply { id: batch.id, replies, ..BatchReply::default() }
}

fn refusal(batch: &Batch, refusal: Refusal) -> BatchReply {
    BatchReply { id: batch.id, refusal: refusal.into(), ..BatchReply::default() }
}

/// Submits a write and takes the batch it goes in.
fn sent(session: &mut Session<Tag>, now_ms: u64, number: u64) -> Batch {
    submit(session, now_ms, 0, tag(number), true);
    assert!(effects(session).replies.is_empty());
    let mut batches = session.collect(now_ms, A);
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

fn numbers(answers: &[Answer]) -> Vec<(u64, bool)> {
    answers.iter().map(|(tag, result)| (tag.number, result.is_ok())).collect()
}

fn commands_in(batch: &Batch) -> usize {
    wire::commands(&batch.commands).count()
}

#[test]
fn commands_that_wait_together_travel_together() {
    let mut session = session();
    for number in 0..10 {
        submit(&mut session, 0, (number % 2) as u16, tag(number), true);
    }
    assert_eq!(effects(&mut session).wake, [A], "woken once");
    let batches = session.collect(0, A);
    assert_eq!((batches.len(), batches[0].seq, commands_in(&batches[0])), (1, 1, 10));
    assert!(session.collect(0, A).is_empty());
    session.reply(1, ok(&batches[0]));
    assert_eq!(answers(&mut session).len(), 10);
    assert_eq!(session.waiting_bytes(), 0);
}

/// The answer in parts of so many replies.
fn pieces(batch: &Batch, lengths: &[usize]) -> Vec<BatchReply> {
    let mut commands = wire::commands(&batch.commands).map(|command| command.expect("well formed"));
    let mut left = commands_in(batch);
    let mut piece = |length: usize| {
        let mut replies = Vec::new();
        commands.by_ref().take(length).for_each(|_| wire::put_bytes(&mut replies, b"+OK\r\n"));
        left -= length;
        BatchReply { id: batch.id, replies: replies.into(), more: left > 0, ..BatchReply::default() }
    };
    lengths.iter().map(|&length| piece(length)).collect()
}

#[test]
fn a_long_answer_comes_in_pieces() {
    let mut session = session();
    (0..10).for_each(|number| submit(&mut session, 0, 0, tag(number), false));
    effects(&mut session);
    let batches = session.collect(0, A);
    let [first, second, third] = &pieces(&batches[0], &[3, 1, 6])[..] else { panic!("three pieces") };
    session.reply(900, first.clone());
    assert_eq!(numbers(&answers(&mut session)), [(0, true), (1, true), (2, true)]);
    // Whoever waits for the rest has time as long as something comes.
    session.tick(1500);
    assert!(answers(&mut session).is_empty());
    session.reply(1800, second.clone());
    assert_eq!(numbers(&answers(&mut session)), [(3, true)]);
    session.tick(2500);
    session.reply(2600, third.clone());
    assert_eq!(answers(&mut session).len(), 6);
    assert_eq!(session.waiting_bytes(), 0);
}

#[test]
fn what_is_left_of_an_answer_in_pieces_is_asked_for_again() {
    for write in [false, true] {
        let mut session = session();
        (0..4).for_each(|number| submit(&mut session, 0, 0, tag(number), write));
        let batches = session.collect(0, A);
        session.reply(1, pieces(&batches[0], &[2, 2]).remove(0));
        assert_eq!(answers(&mut session).len(), 2);
        session.disconnected(2, A);
        let again = (2..900)
            .find_map(|now| [A, B, StoreId(3)].iter().find_map(|&store| session.collect(now, store).pop()));
        let again = again.expect("sent again");
        assert_eq!((again.seq, commands_in(&again)), (u64::from(write), 4));
        let answered = pieces(&again, &[1, 3]).into_iter().map(|piece| {
            session.reply(900, piece);
            numbers(&answers(&mut session))
        });
        assert_eq!(answered.collect::<Vec<_>>(), [vec![], vec![(2, true), (3, true)]]);
        assert_eq!(session.waiting_bytes(), 0);
    }
}

#[test]
fn batches_in_flight_are_bounded_and_the_rest_grows() {
    let mut session = session();
    let limit = Limits::default().write_batches_in_flight_max;
    let first = sent(&mut session, 0, 0);
    for number in 1..limit {
        sent(&mut session, 0, number as u64);
    }
    for number in 0..5 {
        submit(&mut session, 0, 0, tag(100 + number), true);
    }
    assert!(session.collect(0, A).is_empty());
    effects(&mut session);
    session.reply(1, ok(&first));
    assert_eq!(effects(&mut session).wake, [A]);
    let next = session.collect(1, A);
    assert_eq!((next.len(), commands_in(&next[0]), next[0].seq), (1, 5, limit as u64 + 1));
    assert_eq!(next[0].acked_seq, 1);
}

#[test]
fn batches_are_bounded_in_bytes() {
    let limits = Limits { batch_bytes_max: 64, message_bytes_max: 128, ..Limits::default() };
    let mut session = with_limits(limits);
    for number in 0..40 {
        submit(&mut session, 0, 0, tag(number), true);
    }
    let first = session.collect(0, A);
    assert!(first.len() < 4 && first.iter().all(|b| b.commands.len() < 128));
    let mut total: usize = first.iter().map(commands_in).sum();
    let mut open = first;
    while let Some(batch) = open.pop() {
        session.reply(0, ok(&batch));
        let more = session.collect(0, A);
        total += more.iter().map(commands_in).sum::<usize>();
        open.extend(more);
    }
    assert_eq!(total, 40);
}

#[test]
fn reads_do_not_wait_for_other_clients_writes() {
    let mut session = session();
    submit(&mut session, 0, 0, Tag { origin: 1, number: 0 }, true);
    submit(&mut session, 0, 0, Tag { origin: 2, number: 1 }, false);
    submit(&mut session, 0, 0, Tag { origin: 1, number: 2 }, false);
    let batches = session.collect(0, A);
    let shape: Vec<_> = batches.iter().map(|b| (b.seq, commands_in(b))).collect();
    assert_eq!(
        shape,
        [(0, 1), (1, 2)],
        "the reader's own batch first; the writer's read stays behind its write"
    );
}

#[test]
fn a_refused_batch_follows_the_hint_at_once_under_its_number() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    session.reply(5, BatchReply { leader_hint: B.0, ..refusal(&batch, Refusal::NotLeader) });
    assert_eq!(effects(&mut session).wake, [B]);
    assert!(session.collect(5, A).is_empty());
    let again = session.collect(5, B);
    assert_eq!((again.len(), again[0].seq, &again[0].commands), (1, 1, &batch.commands));
    assert_eq!(again[0].session, batch.session);
    assert_ne!(again[0].id, batch.id);
    session.reply(6, ok(&batch));
    assert!(answers(&mut session).is_empty(), "the answer of a given-up attempt");
    session.reply(7, ok(&again[0]));
    assert_eq!(numbers(&answers(&mut session)), [(0, true)]);
}

#[test]
fn without_a_hint_replicas_are_tried_in_turn_with_pauses() {
    let mut session = session();
    let mut batch = sent(&mut session, 0, 0);
    let mut now_ms = 0;
    let mut seen = vec![A];
    for _ in 0..6 {
        session.reply(now_ms, refusal(&batch, Refusal::NotLeader));
        let next = session.next_timer_ms(now_ms).expect("a pause");
        assert!(next > now_ms, "never at once");
        now_ms = next;
        effects(&mut session);
        session.tick(now_ms);
        let store = effects(&mut session).wake[0];
        seen.push(store);
        batch = session.collect(now_ms, store).remove(0);
    }
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3, 1]);
    assert!(now_ms < 400);
}

#[test]
fn everything_unanswered_is_repeated_in_order_when_a_stream_breaks() {
    let mut session = session();
    let first = sent(&mut session, 0, 0);
    let second = sent(&mut session, 0, 1);
    submit(&mut session, 0, 0, tag(2), true);
    session.reply(1, ok(&second));
    let now_ms = 10;
    session.disconnected(now_ms, A);
    session.tick(now_ms + 3);
    let again = session.collect(now_ms + 3, B);
    let seqs: Vec<_> = again.iter().map(|b| b.seq).collect();
    assert_eq!(seqs, [1, 3], "the un-answered one first, what waited after it");
    assert_eq!(again[0].commands, first.commands);
    assert_eq!(again[0].acked_seq, 0, "nothing below an un-answered number is acknowledged");
}

#[test]
fn nothing_new_overtakes_a_refused_batch() {
    let mut session = session();
    let first = sent(&mut session, 0, 0);
    let second = sent(&mut session, 0, 1);
    session.reply(1, refusal(&first, Refusal::Overloaded));
    submit(&mut session, 1, 0, tag(2), true);
    assert!(session.collect(400, A).is_empty(), "the second attempt is still under way");
    session.reply(400, refusal(&second, Refusal::OutOfOrder));
    let again: Vec<_> = session.collect(400, A).iter().map(|b| b.seq).collect();
    assert_eq!(again, [1, 2, 3]);
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for_forever() {
    let mut session = session();
    let first = sent(&mut session, 0, 0);
    sent(&mut session, 0, 1);
    session.reply(1, refusal(&first, Refusal::Overloaded));
    let due = (1..1000).find(|&now| !session.collect(now, A).is_empty());
    assert!(due.is_some_and(|at| (100..900).contains(&at)), "{due:?}");
}

#[test]
fn reads_behind_a_refused_write_are_read_again() {
    let mut session = session();
    let write = sent(&mut session, 0, 0);
    submit(&mut session, 0, 0, tag(1), false);
    let read = session.collect(0, A).remove(0);
    assert_eq!(read.seq, 0);
    session.reply(1, refusal(&write, Refusal::NotLeader));
    session.reply(1, ok(&read));
    assert!(answers(&mut session).is_empty(), "it may not have seen the write");
    let again: Vec<_> = session.collect(20, B).iter().map(|b| b.seq).collect();
    assert_eq!(again, [1, 0]);
}

#[test]
fn a_lost_session_fails_only_writes_that_may_have_happened() {
    let mut session = session();
    let first = sent(&mut session, 0, 0);
    session.disconnected(1, A);
    effects(&mut session);
    submit(&mut session, 5, 0, tag(1), true);
    let again = session.collect(10, B);
    assert_eq!(again.iter().map(|b| b.seq).collect::<Vec<_>>(), [1, 2]);
    session.reply(11, refusal(&again[0], Refusal::SessionExpired));
    session.reply(11, refusal(&again[1], Refusal::SessionExpired));
    assert_eq!(answers(&mut session), [(tag(0), Err(RouteError::Unknown))]);
    let renewed = session.collect(200, B);
    assert_eq!(renewed.len(), 1);
    assert_eq!((renewed[0].seq, renewed[0].acked_seq), (1, 0));
    assert_ne!(renewed[0].session, first.session);
    session.reply(201, ok(&renewed[0]));
    assert_eq!(numbers(&answers(&mut session)), [(1, true)]);
    assert_eq!(session.waiting_bytes(), 0);
}

#[test]
fn a_session_that_expired_while_idle_costs_nobody_anything() {
    let mut session = session();
    let first = sent(&mut session, 0, 0);
    session.reply(0, ok(&first));
    effects(&mut session);
    let late = sent(&mut session, 100_000, 1);
    session.reply(100_001, refusal(&late, Refusal::SessionExpired));
    let renewed = session.collect(100_001, A);
    assert_eq!((renewed.len(), renewed[0].seq), (1, 1));
    session.reply(100_002, ok(&renewed[0]));
    assert_eq!(numbers(&answers(&mut session)), [(1, true)]);
}

#[test]
fn a_session_that_is_forever_out_of_order_is_renewed() {
    let mut session = session();
    let mut batch = sent(&mut session, 0, 0);
    let first = batch.session;
    let mut now_ms = 0;
    while batch.session == first {
        assert!(now_ms < 900, "still the old session");
        session.reply(now_ms, refusal(&batch, Refusal::OutOfOrder));
        batch = loop {
            now_ms += 1;
            session.tick(now_ms);
            if let Some(batch) = session.collect(now_ms, A).pop() {
                break batch;
            }
        };
    }
    assert_eq!(batch.seq, 1);
}

#[test]
fn a_moved_slot_is_routed_again_after_its_number_is_used_up() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    session.reply(1, BatchReply { topology_version: 2, ..refusal(&batch, Refusal::WrongGroup) });
    session.routes_changed(1, routes(2, &[(7, &[1], &[1]), (8, &[0], &[2])]));
    assert!(session.collect(1, B).is_empty(), "an attempt of it may still be executed");
    let empty = session.collect(1, A).remove(0);
    assert_eq!((empty.seq, empty.commands.len()), (1, 0));
    session.reply(2, ok(&empty));
    let moved = session.collect(2, B).remove(0);
    assert_eq!((moved.group, moved.seq, &moved.commands), (8, 1, &batch.commands));
    assert_eq!(moved.topology_version, 2);
    session.reply(3, ok(&moved));
    assert_eq!(numbers(&answers(&mut session)), [(0, true)]);
    assert_eq!(session.waiting_bytes(), 0);
}

#[test]
fn a_withdrawn_batch_that_was_executed_answers_after_all() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    session.reply(1, refusal(&batch, Refusal::WrongGroup));
    let empty = session.collect(1, A).remove(0);
    assert!(empty.commands.is_empty());
    session.reply(2, BatchReply { id: empty.id, ..ok(&batch) });
    let late = BatchReply { id: empty.id, ..ok(&batch) };
    session.reply(2, late);
    assert_eq!(numbers(&answers(&mut session)), [(0, true)]);
}

#[test]
fn a_closed_slot_is_tried_again_after_a_pause() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    session.reply(0, BatchReply { topology_version: 1, ..refusal(&batch, Refusal::WrongGroup) });
    let empty = session.collect(0, A).remove(0);
    session.reply(0, ok(&empty));
    let due = (0..100).find(|&now| {
        session.tick(now);
        session.collect(now, A).iter().any(|b| b.seq == 2 && b.commands == batch.commands)
    });
    assert!(due.is_some_and(|at| at > 0), "{due:?}");
}

#[test]
fn newer_commands_for_a_moved_slot_queue_behind_those_under_way() {
    let mut session = session();
    let old = sent(&mut session, 0, 0);
    session.routes_changed(1, routes(2, &[(7, &[1], &[1]), (8, &[0], &[2])]));
    submit(&mut session, 1, 0, tag(1), true);
    assert!(session.collect(1, B).is_empty());
    session.reply(2, ok(&old));
    let next = session.collect(2, B);
    assert_eq!((next.len(), next[0].group), (1, 8));
    submit(&mut session, 3, 0, tag(2), true);
    assert_eq!(session.collect(3, B).len(), 1, "the way is free again");
}

#[test]
fn deadlines_tell_the_known_from_the_unknown() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    submit(&mut session, 0, 0, tag(1), false);
    session.collect(0, A);
    for number in 10..13 {
        sent(&mut session, 0, number);
    }
    submit(&mut session, 0, 0, tag(2), true);
    session.tick(999);
    assert!(answers(&mut session).is_empty());
    session.tick(1000);
    let mut answers = answers(&mut session);
    answers.sort_by_key(|(tag, _)| *tag);
    let errors: Vec<_> = answers.into_iter().map(|(tag, result)| (tag.number, result.err())).collect();
    let (unknown, timeout) = (Some(RouteError::Unknown), Some(RouteError::Timeout));
    let expected = [
        (0, unknown.clone()),
        (1, timeout.clone()),
        (2, timeout),
        (10, unknown.clone()),
        (11, unknown.clone()),
        (12, unknown),
    ];
    assert_eq!(errors, expected);
    session.disconnected(1001, A);
    session.tick(1010);
    let again = session.collect(1010, B);
    assert_eq!(
        again.iter().map(|b| b.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4],
        "numbers are used up in any case"
    );
    assert!(again.iter().all(|b| b.commands.is_empty()), "what nobody waits for is not executed late");
    assert_eq!(again[0].session, batch.session);
    for batch in &again {
        session.reply(1011, ok(batch));
    }
    assert!(self::answers(&mut session).is_empty());
    assert_eq!((session.waiting_bytes(), session.next_timer_ms(1011)), (0, None));
}

#[test]
fn what_nobody_waits_for_any_more_counts_for_nothing() {
    let mut session =
        with_limits(Limits { deadline_ms: 1000, waiting_bytes_congested: 500, ..Limits::default() });
    let mut sent_batches = Vec::new();
    for number in 0..4 {
        sent_batches.push(sent(&mut session, 0, number));
    }
    for number in 4..8 {
        submit(&mut session, 0, 0, tag(number), true);
        submit(&mut session, 0, 1, Tag { origin: 2, number }, false);
    }
    sent_batches.extend(session.collect(0, A));
    assert!(session.is_congested());
    session.tick(1000);
    assert_eq!(answers(&mut session).len(), 12);
    assert_eq!((session.is_congested(), session.waiting_bytes()), (false, 0), "the group still says nothing");
    // Of two that were executed after all, one says so late, and the other says so to its empty repetition.
    session.reply(1005, ok(&sent_batches[0]));
    session.disconnected(1005, A);
    let again = session.collect(1100, B);
    assert!(again.iter().all(|b| b.commands.is_empty()));
    session.reply(1101, BatchReply { id: again[0].id, ..ok(&sent_batches[1]) });
    again[1..].iter().for_each(|batch| session.reply(1101, ok(batch)));
    assert!(answers(&mut session).is_empty());
    submit(&mut session, 1101, 0, tag(9), true);
    let next = session.collect(1200, B).remove(0);
    assert_eq!((next.seq, next.acked_seq, commands_in(&next)), (5, 4, 1));
    session.reply(1201, ok(&next));
    assert_eq!(numbers(&answers(&mut session)), [(9, true)]);
    assert_eq!(session.waiting_bytes(), 0);
}

#[test]
fn an_attempt_that_is_never_answered_does_not_hold_its_place_forever() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    session.tick(1000);
    assert_eq!(answers(&mut session), [(tag(0), Err(RouteError::Unknown))]);
    submit(&mut session, 1000, 0, tag(1), true);
    let next: Vec<_> = session.collect(1010, A).iter().map(|b| (b.seq, commands_in(b))).collect();
    assert_eq!(next, [(1, 0), (2, 1)]);
    session.reply(1011, ok(&batch));
    assert!(answers(&mut session).is_empty());
}

#[test]
fn what_was_refused_for_certain_times_out_for_certain() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    session.reply(1, refusal(&batch, Refusal::NotLeader));
    submit(&mut session, 500, 0, tag(1), true);
    session.tick(1000);
    assert_eq!(answers(&mut session), [(tag(0), Err(RouteError::Timeout))]);
    let next: Vec<_> = session.collect(1000, B).iter().map(|b| (b.seq, commands_in(b))).collect();
    assert_eq!(next, [(1, 0), (2, 1)], "its number is used up, its command is gone");
}

#[test]
fn a_leader_that_answers_is_not_given_up_for_old_news() {
    let mut session = session();
    let first = sent(&mut session, 0, 0);
    session.reply(100, ok(&first));
    effects(&mut session);
    sent(&mut session, 110, 1);
    let hint = LeaderHint { group: 7, store_id: B.0, term: 5 };
    session.leaders(120, &[hint]);
    assert!(session.collect(120, B).is_empty());
    session.leaders(1000, &[hint]);
    assert_eq!(session.collect(1000, B).len(), 1, "it has been silent since");
}

#[test]
fn failed_storage_is_told_to_the_client_and_leaves_no_gap() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    let reply = BatchReply { detail: "disk full".into(), ..refusal(&batch, Refusal::StorageFailed) };
    session.reply(1, reply);
    assert_eq!(answers(&mut session), [(tag(0), Err(RouteError::Storage("disk full".into())))]);
    submit(&mut session, 1, 0, tag(1), true);
    let next: Vec<_> = session.collect(10, A).iter().map(|b| (b.seq, commands_in(b))).collect();
    assert_eq!(next, [(1, 0), (2, 1)]);
}

#[test]
fn commands_wait_for_the_first_topology() {
    let mut session = Session::new(Limits::default(), 1);
    submit(&mut session, 0, 0, tag(0), true);
    session.tick(50);
    assert!(answers(&mut session).is_empty());
    session.routes_changed(60, routes(1, &[(7, &[0], &[1])]));
    assert_eq!(session.collect(60, A).len(), 1);
}

#[test]
fn slots_that_nobody_serves_are_refused_at_once() {
    let mut session = session();
    submit(&mut session, 0, 9, tag(0), true);
    assert_eq!(answers(&mut session), [(tag(0), Err(RouteError::ClusterDown("Hash slot not served")))]);
}

#[test]
fn a_group_that_vanishes_fails_what_may_have_happened_and_routes_the_rest() {
    let mut session = session();
    sent(&mut session, 0, 0);
    session.disconnected(1, A);
    submit(&mut session, 1, 0, tag(1), true);
    effects(&mut session);
    session.routes_changed(2, routes(2, &[(8, &[0, 1], &[2])]));
    assert_eq!(answers(&mut session), [(tag(0), Err(RouteError::Unknown))]);
    let next = session.collect(2, B);
    assert_eq!((next.len(), next[0].group, next[0].seq), (1, 8, 1));
}

#[test]
fn the_leader_that_meta_names_is_followed() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    let hint = |store: StoreId, term| LeaderHint { group: 7, store_id: store.0, term };
    session.leaders(1, &[hint(B, 5)]);
    let again = session.collect(1, B);
    assert_eq!((again.len(), again[0].seq), (1, batch.seq));
    session.leaders(2, &[hint(A, 4), hint(StoreId(99), 9)]);
    assert!(session.collect(2, A).is_empty(), "neither old news nor strangers");
    session.reply(3, ok(&again[0]));
    assert_eq!(numbers(&answers(&mut session)), [(0, true)]);
}

#[test]
fn what_waits_is_bounded() {
    let limits = Limits { waiting_bytes_congested: 500, waiting_bytes_max: 1000, ..Limits::default() };
    let mut session = with_limits(limits);
    let mut number = 0;
    while answers(&mut session).is_empty() {
        submit(&mut session, 0, 0, tag(number), true);
        number += 1;
        assert!(number < 100);
    }
    assert!(session.is_congested());
    for batch in session.collect(0, A) {
        session.reply(0, ok(&batch));
    }
    assert!(!session.is_congested());
    assert_eq!(session.waiting_bytes(), 0);
}

#[test]
fn a_malformed_answer_fails_its_commands_only() {
    let mut session = session();
    let batch = sent(&mut session, 0, 0);
    session
        .reply(0, BatchReply { id: batch.id, replies: Bytes::from_static(&[200]), ..BatchReply::default() });
    assert_eq!(answers(&mut session), [(tag(0), Err(RouteError::Unknown))]);
    let unknown = BatchReply { id: u64::MAX, ..BatchReply::default() };
    session.reply(0, unknown);
    assert!(answers(&mut session).is_empty());
}
