//! The scripts on the store in memory, and on a real redis-server.

mod support;

use resp::Reply;
use support::here::Here;
use support::script::{self, Scenario, Step};
use support::server::Server;
use support::text::show;

#[test]
fn every_reply_is_the_expected_one() {
    let failures: Vec<String> = script::all()
        .iter()
        .flat_map(|scenario| {
            let mut here = Here::default();
            failures_of(scenario, |argv| here.run(argv))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn a_real_server_answers_the_same() {
    let Some(mut server) = Server::start() else { return };
    let shared = script::all().into_iter().filter(|scenario| !scenario.only_here);
    let failures: Vec<String> = shared
        .flat_map(|scenario| {
            for reset in [&[&b"FLUSHALL"[..]][..], &[b"SCRIPT", b"FLUSH"], &[b"FUNCTION", b"FLUSH"]] {
                server.run(reset);
            }
            failures_of(&scenario, |argv| server.run(argv))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn failures_of(scenario: &Scenario, mut run: impl FnMut(&[&[u8]]) -> Reply) -> Vec<String> {
    let mut failures = Vec::new();
    for step in &scenario.steps {
        let Step::Command { line, argv, expected } = step else { panic!("commands only") };
        let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        let got = show(&run(&argv));
        if got != *expected {
            failures.push(format!("{}\n> {line}\n  expected {expected}\n  got      {got}", scenario.name));
        }
    }
    failures
}
