//! Layers, problems and print-outs of the configuration.

use std::path::{Path, PathBuf};

use daemon::config::{self, Action, ConfigError, LoadError, Loaded, Sources};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Durability {
    Fsync,
    Os,
}

daemon::options! {
    /// Options of a test program.
    struct Kettle("miraft-kettle", "kettle", check = check) {
        /// Where to keep
        /// the water.
        data_dir: PathBuf = PathBuf::from("water"),
        /// Give up after so many milliseconds.
        deadline_ms: u64 = 5_000,
        /// Whistle when done.
        whistle: bool = false,
        /// Ask these.
        peers: Vec<String> = Vec::new(),
        /// Health and metrics.
        http_listen: Option<String> = None,
        /// `fsync` or `os`.
        durability: Durability = Durability::Fsync,
    }
}

fn check(options: &Kettle) -> Vec<(&'static str, String)> {
    match options.deadline_ms {
        0 => vec![("deadline_ms", "must be above 0".to_owned())],
        _ => Vec::new(),
    }
}

fn load(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Loaded<Kettle>, LoadError> {
    config::load(&Sources {
        arguments: std::iter::once("miraft-kettle")
            .chain(arguments.iter().copied())
            .map(Into::into)
            .collect(),
        variables: variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
    })
}

fn with_file(text: &str, test: impl FnOnce(&str)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kettle.toml");
    std::fs::write(&path, text).unwrap();
    test(path.to_str().unwrap());
}

fn problems(result: Result<Loaded<Kettle>, LoadError>) -> ConfigError {
    match result {
        Err(LoadError::Config(error)) => error,
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn nothing_given_is_the_default() {
    let loaded = load(&[], &[]).unwrap();
    assert_eq!(loaded.options, Kettle::default());
    assert_eq!(loaded.action, Action::Run);
    assert_eq!(loaded.logging.log_level, "info,openraft=warn");
}

#[test]
fn flags_override_environment_overrides_file() {
    with_file("deadline_ms = 1\nwhistle = true\ndata_dir = 'file'\nlog_level = 'warn'\n", |path| {
        let variables = [("MIRAFT_KETTLE_DEADLINE_MS", "2"), ("MIRAFT_KETTLE_DATA_DIR", "variable")];
        let loaded = load(&["--config", path, "--deadline-ms", "3"], &variables).unwrap();
        assert_eq!(loaded.options.deadline_ms, 3);
        assert_eq!(loaded.options.data_dir, Path::new("variable"));
        assert!(loaded.options.whistle);
        assert_eq!(loaded.logging.log_level, "warn");
    });
}

#[test]
fn every_kind_of_value_can_be_given_as_text() {
    let flags = ["--peers", "a,b", "--peers=c", "--whistle", "--http-listen", "x:1", "--durability", "os"];
    let options = load(&flags, &[]).unwrap().options;
    assert_eq!(options.peers, ["a", "b", "c"]);
    assert!(options.whistle);
    assert_eq!(options.http_listen.as_deref(), Some("x:1"));
    assert_eq!(options.durability, Durability::Os);
}

#[test]
fn an_unknown_key_names_the_file_the_line_and_the_fix() {
    with_file("whistle = true\ndeadlin_ms = 7\n", |path| {
        let text = problems(load(&["--config", path], &[])).to_string();
        assert!(
            text.contains(&format!("{path}:2: unknown key `deadlin_ms`: did you mean `deadline_ms`?")),
            "{text}"
        );
    });
}

#[test]
fn all_problems_are_reported_together() {
    with_file("deadline_ms = 'soon'\nzzz = 1\ndurability = 'maybe'\nlog_level = 'inof'\n", |path| {
        let variables =
            [("MIRAFT_KETTLE_WHISTLE", "perhaps"), ("MIRAFT_KETTLE_PEER", "a"), ("MIRAFT_POT_X", "1")];
        let error = problems(load(&["--config", path], &variables));
        let text = error.to_string();
        for part in [
            ":1: `deadline_ms`: invalid type: string \"soon\"",
            ":2: unknown key `zzz`: remove it",
            ":3: `durability`: unknown variant `maybe`, expected `fsync` or `os`",
            ":4: `log_level`: `inof` is not a log filter",
            "environment variable MIRAFT_KETTLE_WHISTLE: `whistle`",
            "unknown key `MIRAFT_KETTLE_PEER`: did you mean `MIRAFT_KETTLE_PEERS`?",
        ] {
            assert!(text.contains(part), "missing {part:?} in:\n{text}");
        }
        assert_eq!(error.problems.len(), 6, "{text}");
    });
}

#[test]
fn values_that_do_not_fit_name_their_origin() {
    let text = problems(load(&["--deadline-ms", "0"], &[])).to_string();
    assert!(text.contains("flag --deadline-ms: `deadline_ms`: must be above 0"), "{text}");
}

#[test]
fn broken_and_missing_files_are_said() {
    with_file("deadline_ms = \n", |path| {
        assert!(problems(load(&["--config", path], &[])).to_string().contains("not valid TOML"));
    });
    assert!(problems(load(&["--config", "/nonexistent/x.toml"], &[])).to_string().contains("cannot be read"));
}

#[test]
fn a_dump_reads_back_as_itself() {
    let flags = ["--peers", "a,b", "--data-dir", "odd \"name\\", "--deadline-ms", "9", "--dump-config"];
    let loaded = load(&flags, &[]).unwrap();
    assert_eq!(loaded.action, Action::Dump);
    with_file(&config::dump(&loaded.options, &loaded.logging), |path| {
        let again = load(&["--config", path, "--check-config"], &[]).unwrap();
        assert_eq!(again.action, Action::Check);
        assert_eq!(again.options, loaded.options);
    });
}

#[test]
fn help_and_reference_show_every_option_with_its_default() {
    let Err(LoadError::CommandLine(help)) = load(&["--help"], &[]) else { panic!("--help ends the program") };
    let help = help.to_string();
    let reference = config::reference::<Kettle>();
    for (flag, key) in
        [("--deadline-ms", "`deadline_ms`"), ("--data-dir", "`data_dir`"), ("--log-level", "`log_level`")]
    {
        assert!(help.contains(flag), "{help}");
        assert!(reference.contains(key), "{reference}");
    }
    assert!(help.contains("[default: 5000]"), "{help}");
    assert!(reference.contains("| `data_dir` | text | `water` | Where to keep the water. |"), "{reference}");
}
