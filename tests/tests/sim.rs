//! The simulation in CI: seeds in which nothing may go wrong, and planted bugs that must be found.
//! A seed that fails here fails everywhere: `./run sim --from SEED --seeds 1`.

use std::sync::{Mutex, PoisonError};

use miraft_tests::sim::suite::{Suite, Verdict};

const SEEDS: u64 = 30;
/// Seeds within which a planted bug must be found.
const TRIES: u64 = 30;
const JOBS: usize = 2;

/// The machine is small: one suite at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn run(suite: &Suite) -> Vec<Verdict> {
    let _only = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    suite.run(|_| ()).expect("the runs start")
}

fn suite(seeds: u64, arguments: &[&str]) -> Suite {
    Suite {
        binary: env!("CARGO_BIN_EXE_sim").into(),
        seeds: (1..=seeds).collect(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        repeats: 2,
        jobs: JOBS,
        enough: |verdict| !verdict.is_fine(),
    }
}

/// Histories are linearizable, increments counted once, replicas equal; and each seed repeats
/// itself to the byte.
#[test]
fn seeds_are_fine_and_repeat_themselves() {
    let verdicts = run(&suite(SEEDS, &[]));
    let bad: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.is_fine()).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let answered = |verdict: &Verdict| match verdict {
        Verdict::Fine(report) => report.operations - report.unknown,
        _ => 0,
    };
    let answered: usize = verdicts.iter().map(answered).sum();
    assert!(answered > 1_000 * SEEDS as usize, "only {answered} operations had an answer");
}

/// The oracle's own words: a run that merely gets stuck does not count.
fn shows_wrong_data(verdict: &Verdict) -> bool {
    let Verdict::Violation(report) = verdict else { return false };
    let violation = report.violation.as_deref().unwrap_or_default();
    ["is not linearizable", "increments were acknowledged"].iter().any(|words| violation.contains(words))
}

/// Runs seeds with a planted bug until one shows it.
fn is_caught(fault: &str) {
    let hunt = Suite { repeats: 1, enough: shows_wrong_data, ..suite(TRIES, &["--fault", fault]) };
    let verdicts = run(&hunt);
    assert!(verdicts.iter().any(shows_wrong_data), "{fault} not found: {verdicts:#?}");
}

#[test]
fn a_stale_read_is_caught() {
    is_caught("stale-read");
}

#[test]
fn a_log_that_lies_about_syncing_is_caught() {
    is_caught("fsync-lie");
}

#[test]
fn a_lost_session_is_caught() {
    is_caught("lost-session");
}
