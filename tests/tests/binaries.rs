//! The command lines of the three servers.

use std::{
    path::Path,
    process::{Command, Output},
};

/// Each server, and an option it has with a letter missing.
const SERVERS: [(&str, &str, &str); 3] = [
    ("miraft-meta", "expected_node", "expected_nodes"),
    ("miraft-storage", "durabilty", "durability"),
    ("miraft-proxy", "plain_lisen", "plain_listen"),
];

fn run(server: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join(server);
    assert!(binary.is_file(), "build it first: cargo build --release --workspace --bins");
    Command::new(binary).args(arguments).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_dumped_configuration_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    for (server, ..) in SERVERS {
        let path = dir.path().join(server);
        std::fs::write(&path, run(server, &["--dump-config"]).stdout).unwrap();
        let checked = run(server, &["--check-config", "--config", path.to_str().unwrap()]);
        assert!(checked.status.success(), "{}", text(&checked.stderr));
    }
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let dir = tempfile::tempdir().unwrap();
    for (server, wrong, right) in SERVERS {
        let path = dir.path().join(server).with_extension("toml");
        std::fs::write(&path, format!("# one line\n{wrong} = 'x'\nlog_level = 7\n")).unwrap();
        let output = run(server, &["--config", path.to_str().unwrap()]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        let path = path.display();
        assert!(
            complaint.contains(&format!("{path}:2: unknown key `{wrong}`: did you mean `{right}`?")),
            "{complaint}"
        );
        assert!(complaint.contains(&format!("{path}:3: `log_level`: ")), "{complaint}");
    }
}

#[test]
fn help_shows_options_with_their_defaults() {
    for (server, _, option) in SERVERS {
        let help = text(&run(server, &["--help"]).stdout);
        assert!(help.contains(&format!("--{}", option.replace('_', "-"))), "{help}");
        assert!(help.contains("[default: info,openraft=warn]"), "{help}");
    }
}
