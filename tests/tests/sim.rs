//! The simulation in CI: seeds in which nothing may go wrong, and planted bugs that must be found.
//! A seed that fails here fails everywhere: `./run sim --from SEED --seeds 1`.

use miraft_tests::sim::suite::{Suite, Verdict};

const SEEDS: u64 = 30;
/// Seeds within which a planted bug must be found.
const TRIES: u64 = 30;
const JOBS: usize = 2;

fn suite(seeds: u64, arguments: &[&str]) -> Suite {
    Suite {
        binary: env!("CARGO_BIN_EXE_sim").into(),
        seeds: (1..=seeds).collect(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        repeats: 2,
        jobs: JOBS,
        stop_at_failure: true,
    }
}

/// Histories are linearizable, increments counted once, replicas equal; and each seed repeats
/// itself to the byte.
#[test]
fn seeds_are_fine_and_repeat_themselves() {
    let verdicts = suite(SEEDS, &[]).run(|_| ()).expect("the runs start");
    let bad: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.is_fine()).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let operations: usize = verdicts
        .iter()
        .map(|verdict| match verdict {
            Verdict::Fine(report) => report.operations - report.unknown,
            _ => 0,
        })
        .sum();
    assert!(operations > 1_000 * SEEDS as usize, "only {operations} operations had an answer");
}

/// Runs seeds with a planted bug until one shows it.
fn is_caught(fault: &str, how: &str) {
    let hunt = Suite { repeats: 1, ..suite(TRIES, &["--fault", fault]) };
    let verdicts = hunt.run(|_| ()).expect("the runs start");
    let found = verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Violation(report) => report.violation.as_deref(),
        _ => None,
    });
    let found = found.unwrap_or_else(|| panic!("{fault} not found in {TRIES} seeds: {verdicts:#?}"));
    assert!(found.contains(how), "{fault} was found by something else: {found}");
}

#[test]
fn a_stale_read_is_caught() {
    is_caught("stale-read", "is not linearizable");
}

#[test]
fn a_log_that_lies_about_syncing_is_caught() {
    is_caught("fsync-lie", "");
}

#[test]
fn a_lost_session_is_caught() {
    is_caught("lost-session", "");
}
