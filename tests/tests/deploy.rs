//! What `deploy` ships: configuration files, the compose layouts and their scripts, the Helm chart.
//!
//! The scripts in `deploy/tests` do the work and write to this process's standard error themselves. What
//! they need beyond this repository is not on every machine: they say so, and the test passes as skipped.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// Exit status of a script that lacks something on this machine.
const STATUS_SKIPPED: i32 = 77;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Where `cargo build --release --workspace --bins` leaves the binaries.
fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

/// The Python that `./run test` prepares, or the machine's own.
fn python() -> PathBuf {
    std::env::var_os("MIRAFT_PYTHON").map_or_else(|| "python3".into(), PathBuf::from)
}

fn assert_passed_or_skipped(name: &str, status: ExitStatus) {
    assert!(status.success() || status.code() == Some(STATUS_SKIPPED), "{name}: {status}");
}

#[test]
fn shipped_configuration_files_are_valid() {
    let mut checked = BTreeSet::new();
    for entry in fs::read_dir(deploy().join("config")).unwrap() {
        let file = entry.unwrap().path();
        let process = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut server = Command::new(binaries().join(format!("miraft-{process}")));
        let output = server.arg("--check-config").arg("--config").arg(&file).env_clear().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        checked.insert(process);
    }
    assert_eq!(checked, ["meta", "proxy", "storage"].map(str::to_owned).into());
}

/// The names in `text` that begin with `MIRAFT_` and follow `before`.
fn variables(text: &str, before: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(before)
        .skip(1)
        .map(|rest| rest.split(|c| !is_part(c)).next().unwrap_or_default())
        .filter(|name| name.starts_with("MIRAFT_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_setting_of_the_compose_files_is_in_the_example() {
    let read = |name: &str| fs::read_to_string(deploy().join(name)).unwrap();
    let files = ["base.yml", "docker-compose.yml", "docker-compose.6node.yml", "lib.sh"].map(read).concat();
    let (used, named) = (variables(&files, "${"), variables(&read(".env.example"), "\n#"));
    assert!(!used.is_empty());
    assert_eq!(used, named);
}

// covers: O1, T18
#[test]
fn compose_layouts_work() {
    // The layout that is made by hand has all that the other one has.
    let all = std::env::var_os("MIRAFT_SLOW_TESTS").is_some();
    let layouts: &[&str] = if all { &["default", "6node"] } else { &["6node"] };
    let script = deploy().join("tests/compose.sh");
    let status = Command::new(script).arg("--prebuilt").arg(binaries()).args(layouts).status().unwrap();
    assert_passed_or_skipped("compose.sh", status);
}

#[test]
fn the_chart_is_valid() {
    let script = deploy().join("tests/chart.py");
    let status = Command::new(python()).arg(script).arg("--bin").arg(binaries()).status().unwrap();
    assert_passed_or_skipped("chart.py", status);
}
