//! The scripts on the store in memory, and that they execute every row.

mod support;

use std::collections::BTreeSet;

use commands::{Id, Kind, ProxyCommand, resolve, table};
use support::script::{self, Scenario, Step};
use support::shard::Shard;
use support::text::show;

#[test]
fn every_reply_is_the_expected_one() {
    let failures: Vec<String> = script::all().iter().flat_map(failures_of).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn failures_of(scenario: &Scenario) -> Vec<String> {
    let mut shard = Shard::default();
    let mut failures = Vec::new();
    for step in &scenario.steps {
        match step {
            Step::Advance(ms) => shard.cx.now_ms += ms,
            Step::Database(db) => shard.cx.db = *db,
            Step::Command { line, argv, expected } => {
                let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
                let got = show(&shard.run(&argv));
                if got != *expected {
                    failures.push(format!(
                        "{}\n> {line}\n  expected {expected}\n  got      {got}",
                        scenario.name
                    ));
                }
                shard.check_invariants();
            }
        }
    }
    failures
}

#[test]
fn every_row_is_executed_by_a_script() {
    let mut executed = BTreeSet::from([Id::CountKeysInSlot, Id::GetKeysInSlot]); // see tests/whole.rs
    for step in script::all().iter().flat_map(|scenario| &scenario.steps) {
        if let Step::Command { argv, expected, .. } = step
            && !expected.contains("wrong number of arguments")
        {
            let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
            executed.extend(resolve(&argv).map(|spec| spec.id));
        }
    }
    let forgotten: Vec<_> = table::all()
        .filter(|spec| answered_here(spec.kind) && !executed.contains(&spec.id))
        .map(|spec| spec.full_name)
        .collect();
    assert!(forgotten.is_empty(), "no script executes {forgotten:?}");
}

fn answered_here(kind: Kind) -> bool {
    use ProxyCommand::*;
    match kind {
        Kind::Container | Kind::Group { .. } => false,
        Kind::Local(command) => matches!(
            command,
            CommandCount
                | CommandDocs
                | CommandGetKeys
                | CommandGetKeysAndFlags
                | CommandInfo
                | CommandList
                | Debug
                | MemoryDoctor
                | MemoryMallocStats
                | MemoryPurge
                | MemoryStats
        ),
        _ => true,
    }
}

#[test]
fn names_and_ids_are_unique_and_rows_are_whole() {
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for spec in table::all() {
        assert!(names.insert(spec.full_name) && ids.insert(spec.id), "{} twice", spec.full_name);
        assert!(!spec.doc.summary.is_empty(), "{} without a summary", spec.full_name);
        assert!(
            spec.full_name.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'|' | b'-' | b'_' | b'.'))
        );
        assert!(spec.split.is_none() || !spec.keys.is_empty());
        let elsewhere = matches!(spec.kind, Kind::Local(_) | Kind::Group { .. });
        // Redis calls PFCOUNT a read, though it keeps what it has computed.
        let writes = spec.flags.has(commands::flags::flag::WRITE) || spec.id == Id::Pfcount;
        assert!(elsewhere || spec.is_write() == writes, "{}", spec.full_name);
    }
}

#[test]
fn the_whole_table_can_be_told() {
    let mut shard = Shard::default();
    let count = show(&shard.run(&[b"COMMAND", b"COUNT"]));
    for argv in [&[&b"COMMAND"[..]][..], &[b"COMMAND", b"INFO"], &[b"COMMAND", b"DOCS"]] {
        let told = match shard.run(argv) {
            resp::Reply::Array(rows) => rows.len(),
            resp::Reply::Map(rows) => rows.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(format!(":{told}"), count);
    }
    for container in table::commands().filter(|spec| !spec.subcommands.is_empty()) {
        let help = show(&shard.run(&[container.full_name.as_bytes(), b"HELP"]));
        assert!(
            container.subcommands.iter().all(|sub| help.contains(&sub.name().to_ascii_uppercase())),
            "{help}"
        );
    }
}
