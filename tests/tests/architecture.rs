//! The rules of ARCHITECTURE.md that a machine can check.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Which crates of this repository each crate may depend on. Tests may use all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("resp", &[]),
    ("topology", &[]),
    ("datatypes", &["topology"]),
    ("commands", &["datatypes", "resp", "topology"]),
    ("acl", &["commands", "resp"]),
    ("scripting", &["commands", "datatypes", "resp"]),
    ("proto", &[]),
    ("raft-rocks", &["proto", "topology"]),
    ("daemon", &["proto"]),
    ("proxy", &["acl", "commands", "daemon", "proto", "resp", "topology"]),
    (
        "storage-node",
        &["acl", "commands", "daemon", "datatypes", "proto", "raft-rocks", "resp", "scripting", "topology"],
    ),
    ("meta", &["daemon", "proto", "raft-rocks", "topology"]),
    ("local-cluster", &["daemon", "meta", "proto", "proxy", "storage-node", "topology"]),
    ("miraft-cli", &["daemon", "local-cluster", "proto", "topology"]),
];
const TESTS: &str = "miraft-tests";

/// No I/O, runtime, consensus, storage or randomness in here, not even indirectly.
const PURE: &[&str] = &["resp", "datatypes", "commands", "acl", "scripting", "topology"];
const IMPURE: &[&str] = &["tokio", "tonic", "openraft", "rocksdb", "rand", "getrandom", "daemon", "proto"];

/// Crates that may name a library at all.
const RESERVED: &[(&str, &[&str])] =
    &[("rocksdb", &["raft-rocks", "storage-node"]), ("openraft", &["raft-rocks"])];

/// Code that runs in the simulation: the world comes in through `daemon::env`.
const SIMULATED: &[&str] = &[
    "proxy/src",
    "storage-node/src",
    "meta/src",
    "crates/raft-rocks/src",
    "crates/resp/src",
    "crates/datatypes/src",
    "crates/commands/src",
    "crates/acl/src",
    "crates/scripting/src",
    "crates/topology/src",
];
const WORLD: &[&str] = &[
    "SystemTime::now",
    "std::time::Instant",
    "thread::sleep",
    "net::TcpStream",
    "net::TcpListener",
    "rand::",
];

const LINES_MAX: usize = 800;
const ARCHITECTURE_LINES_MAX: usize = 300;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Of this platform: packages that only others need may not be on this machine.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &host()])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Normal dependencies (not for tests or build scripts) of every package, by name.
fn dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let name_of: BTreeMap<&str, &str> = array(&metadata["packages"])
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let normal = |dep: &&Value| array(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
    array(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let deps = array(&node["deps"]).iter().filter(normal);
            let names = deps.map(|dep| name_of[dep["pkg"].as_str().unwrap()].to_owned()).collect();
            (name_of[node["id"].as_str().unwrap()].to_owned(), names)
        })
        .collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every source file of the repository: (path from the root, content).
fn all_sources() -> Vec<(String, String)> {
    let root = root();
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    sources(&root).iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn expect_none(rule: &str, offenders: Vec<String>) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn crates_depend_on_each_other_only_as_drawn() {
    let dependencies = dependencies(&metadata());
    let ours: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    let mut offenders = Vec::new();
    for (name, allowed) in MAY_USE {
        for used in dependencies[*name].iter().map(String::as_str).filter(|used| ours.contains(used)) {
            if !allowed.contains(&used) {
                offenders.push(format!("{name} -> {used}"));
            }
        }
    }
    expect_none("dependencies that ARCHITECTURE.md does not draw", offenders);
}

#[test]
fn every_member_has_its_rule_and_the_common_lints() {
    let metadata = metadata();
    let members: BTreeSet<&str> =
        array(&metadata["workspace_members"]).iter().map(|id| id.as_str().unwrap()).collect();
    let mut offenders = Vec::new();
    for package in array(&metadata["packages"]) {
        if !members.contains(package["id"].as_str().unwrap()) {
            continue;
        }
        let name = package["name"].as_str().unwrap();
        if name != TESTS && !MAY_USE.iter().any(|(known, _)| *known == name) {
            offenders.push(format!("{name}: no rule in this file"));
        }
        let manifest = fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        if !manifest.contains("[lints]\nworkspace = true") {
            offenders.push(format!("{name}: its manifest lacks the lints of the workspace"));
        }
    }
    expect_none("members", offenders);
}

#[test]
fn the_pure_ring_is_pure() {
    let dependencies = dependencies(&metadata());
    let mut offenders = Vec::new();
    for pure in PURE {
        let (mut seen, mut next) = (BTreeSet::new(), vec![(*pure).to_owned()]);
        while let Some(name) = next.pop() {
            if IMPURE.contains(&name.as_str()) {
                offenders.push(format!("{pure} reaches {name}"));
            }
            if seen.insert(name.clone()) {
                next.extend(dependencies[&name].iter().cloned());
            }
        }
    }
    expect_none("the pure ring", offenders);
}

#[test]
fn reserved_libraries_stay_where_they_belong() {
    let dependencies = dependencies(&metadata());
    let mut offenders = Vec::new();
    for (library, allowed) in RESERVED {
        for (name, _) in MAY_USE {
            if dependencies[*name].contains(*library) && !allowed.contains(name) {
                offenders.push(format!("{name} depends on {library}"));
            }
        }
    }
    let outside =
        |path: &str| path.starts_with("storage-node/src") && !path.starts_with("storage-node/src/engine");
    let named = all_sources().into_iter().filter(|(path, text)| outside(path) && text.contains("rocksdb::"));
    offenders.extend(named.map(|(path, _)| format!("{path} names rocksdb")));
    expect_none("reserved libraries", offenders);
}

#[test]
fn simulated_code_takes_the_world_from_outside() {
    let simulated = |path: &str| SIMULATED.iter().any(|dir| path.starts_with(dir));
    let mut offenders = Vec::new();
    for (path, text) in all_sources().into_iter().filter(|(path, _)| simulated(path)) {
        let words = WORLD.iter().filter(|word| code_of(&text).any(|line| names(line, word)));
        offenders.extend(words.map(|word| format!("{path}: {word}")));
    }
    expect_none("clock, sleep, network and randomness come from daemon::env and tokio", offenders);
}

/// Whether `line` holds `path` from the beginning of a word on.
fn names(line: &str, path: &str) -> bool {
    let begins = |at: usize| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    line.match_indices(path).any(|(at, _)| begins(at))
}

/// Lines that are not comments.
fn code_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    let mut offenders = Vec::new();
    for (path, text) in all_sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let begins = code.contains("unsafe {") || code.contains("unsafe impl");
            // In the lines above, where a statement may have begun.
            let explained = lines[at.saturating_sub(5)..=at].iter().any(|line| line.contains("SAFETY:"));
            if begins && !explained && path != "tests/tests/architecture.rs" {
                offenders.push(format!("{path}:{}", at + 1));
            }
        }
    }
    expect_none("unsafe blocks without a SAFETY comment", offenders);
}

#[test]
fn files_are_small_and_modules_introduce_themselves() {
    let mut offenders = Vec::new();
    for (path, text) in all_sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            offenders.push(format!("{path} has {lines} lines, more than {LINES_MAX}"));
        }
        if !text.starts_with("//!") {
            offenders.push(format!("{path} does not begin with //!"));
        }
    }
    expect_none("source files", offenders);
}

#[test]
fn the_documents_keep_up() {
    let root = root();
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let (architecture, decisions) = (read("ARCHITECTURE.md"), read("docs/adr/README.md"));
    let mut offenders = Vec::new();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        if !architecture.contains(&format!("`{member}`")) {
            offenders.push(format!("ARCHITECTURE.md does not mention `{member}`"));
        }
    }
    for entry in fs::read_dir(root.join("docs/adr")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "README.md" && !decisions.contains(&name) {
            offenders.push(format!("docs/adr/README.md does not list {name}"));
        }
    }
    if architecture.lines().count() >= ARCHITECTURE_LINES_MAX {
        offenders.push(format!("ARCHITECTURE.md has {ARCHITECTURE_LINES_MAX} lines or more"));
    }
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/adr/README.md"] {
        let folder = root.join(document).parent().unwrap().to_owned();
        let text = read(document);
        let broken = links(&text).filter(|link| !folder.join(link).exists());
        offenders.extend(broken.map(|link| format!("{document} links to {link}, which is not there")));
    }
    expect_none("documents", offenders);
}

/// Targets of the relative links of a Markdown text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link));
    targets.filter(|link| !link.contains("://") && !link.starts_with('#'))
}
