//! The scripts and the table against a real redis-server, if there is one on this machine.
//!
//! Debian's is 7.0: what 7.2 changed or added is left out here by name.

mod support;

use std::collections::BTreeMap;

use commands::{Args, introspect, table};
use resp::Reply;
use support::script::{self, Scenario, Step};
use support::server::Server;
use support::text::show;

#[test]
fn real_redis_answers_the_scripts_alike() {
    let Some(mut server) = Server::start() else { return };
    let scenarios = script::all();
    let comparable = scenarios.iter().filter(|scenario| !scenario.only_here);
    let failures: Vec<String> = comparable.flat_map(|scenario| failures_of(&mut server, scenario)).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn failures_of(server: &mut Server, scenario: &Scenario) -> Vec<String> {
    server.run(&[b"SELECT", b"0"]);
    server.run(&[b"FLUSHALL"]);
    let mut failures = Vec::new();
    for step in &scenario.steps {
        match step {
            Step::Advance(_) => panic!("{}: real Redis has its own clock", scenario.name),
            Step::Database(db) => drop(server.run(&[b"SELECT", db.to_string().as_bytes()])),
            Step::Command { line, argv, expected } => {
                let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
                let got = show(&server.run(&argv));
                if got != *expected {
                    failures.push(format!(
                        "{}\n> {line}\n  expected {expected}\n  real     {got}",
                        scenario.name
                    ));
                }
            }
        }
    }
    failures
}

/// Commands that 7.2 brought.
const NEWER: [&str; 3] = ["client|no-touch", "client|setinfo", "cluster|myshardid"];

/// Commands whose row 7.2 changed.
const CHANGED: [&str; 4] = ["cluster|shards", "cluster|slots", "command|getkeys", "command|getkeysandflags"];
/// Commands whose documented arguments or history 7.2 changed.
const REDOCUMENTED: [&str; 4] = ["client|kill", "client|list", "client|pause", "config|get"];

#[test]
fn rows_agree_with_command_info() {
    let Some(mut server) = Server::start() else { return };
    let mut real = rows(server.run(&[b"COMMAND"]));
    let mut failures = Vec::new();
    for (name, ours) in rows(introspect::all_info()) {
        match real.remove(&name) {
            Some(theirs) if theirs == ours || CHANGED.contains(&name.as_str()) => {}
            Some(theirs) => failures.push(format!("{name}\n  ours {ours:?}\n  real {theirs:?}")),
            None if NEWER.contains(&name.as_str()) => {}
            None => failures.push(format!("{name} is unknown to real Redis")),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Everything COMMAND tells but the tips, by full name; sets are sorted.
fn rows(reply: Reply) -> BTreeMap<String, Vec<String>> {
    let Reply::Array(rows) = reply else { panic!("COMMAND answers an array") };
    let mut known = BTreeMap::new();
    rows.into_iter().for_each(|row| enter(row, &mut known));
    known
}

fn enter(row: Reply, known: &mut BTreeMap<String, Vec<String>>) {
    let Reply::Array(mut fields) = row else { panic!("a row is an array") };
    let subcommands = fields.remove(9);
    let name = show(&fields.remove(0)).trim_matches('"').to_owned();
    fields.remove(6);
    known.insert(name, fields.iter().map(sorted).collect());
    if let Reply::Array(subcommands) = subcommands {
        subcommands.into_iter().for_each(|row| enter(row, known));
    }
}

fn sorted(field: &Reply) -> String {
    match field {
        Reply::Array(items) | Reply::Set(items) => {
            let mut items: Vec<String> = items.iter().map(show).collect();
            items.sort();
            items.join(" ")
        }
        other => show(other),
    }
}

/// Facts of COMMAND DOCS that 7.0 has too: since, group, deprecation, and the shape of arguments.
#[test]
fn docs_agree_with_command_docs() {
    let Some(mut server) = Server::start() else { return };
    let mut failures = Vec::new();
    let skipped = |name| NEWER.contains(&name) || REDOCUMENTED.contains(&name);
    for spec in table::all().filter(|spec| !spec.internal && !skipped(spec.full_name)) {
        let name = spec.full_name.as_bytes();
        let real = facts(server.run(&[b"COMMAND", b"DOCS", name]));
        let ours = facts(introspect::docs(&Args::new(&[b"DOCS", name])));
        for (field, value) in ours {
            if real.get(&field).is_some_and(|theirs| *theirs != value) {
                failures.push(format!("{} {field}\n  ours {value}\n  real {}", spec.full_name, real[&field]));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn facts(reply: Reply) -> BTreeMap<String, String> {
    let document = entries(&reply).pop().expect("one command").1;
    let kept = ["since", "group", "deprecated_since", "arguments"];
    let fields = entries(&document).into_iter().filter(|(field, _)| kept.contains(&field.as_str()));
    fields.map(|(field, value)| (field, shape(&value))).collect()
}

/// Arguments without their names, many of which 7.2 changed, and without what it added.
fn shape(value: &Reply) -> String {
    let Reply::Array(arguments) = value else { return show(value) };
    let argument = |argument: &Reply| {
        let fields = entries(argument)
            .into_iter()
            .filter(|(field, _)| !matches!(field.as_str(), "name" | "display_text"));
        let fields = fields.map(|(field, value)| match field.as_str() {
            "arguments" => format!("[{}]", shape(&value)),
            _ => format!("{field}={}", show(&value)),
        });
        fields.collect::<Vec<_>>().join(" ")
    };
    arguments.iter().map(argument).collect::<Vec<_>>().join("; ")
}

/// The pairs of a map, which RESP2 flattens.
fn entries(map: &Reply) -> Vec<(String, Reply)> {
    let name = |key: &Reply| show(key).trim_matches('"').to_owned();
    match map {
        Reply::Map(pairs) => pairs.iter().map(|(key, value)| (name(key), value.clone())).collect(),
        Reply::Array(items) => {
            items.as_chunks().0.iter().map(|[key, value]| (name(key), value.clone())).collect()
        }
        other => panic!("no map: {other:?}"),
    }
}
