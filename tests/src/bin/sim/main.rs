//! The simulation, by hand and as child of the tests.
//!
//! ```text
//! sim run --seed N [--fault stale-read|fsync-lie|lost-session] [--menu M] [--seconds S] [--trace FILE]
//! sim suite [--seeds N] [--from N] [--jobs N] [--once] [the arguments of run]
//! ```
//!
//! `run` prints a report as JSON. `RUST_LOG` shows what the processes log, on standard error.

#![allow(unsafe_code)]

mod override_libc;

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use miraft_tests::sim::{
    self, Menu, Plan, determinism,
    suite::{Suite, Verdict},
};
use storage_node::Faults;

/// Set in the process that simulates.
const PREPARED: &str = "MIRAFT_SIM_PREPARED";
const STORM_MS: u64 = 25_000;
/// Real time that a run may take.
const PATIENCE: Duration = Duration::from_secs(300);
const HANGS: i32 = 3;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("run") if std::env::var_os(PREPARED).is_some() => simulate(arguments.collect()),
        Some("run") => prepare(),
        Some("suite") => run_suite(arguments.collect()),
        _ => bail!("usage: sim run --seed N …, or sim suite --seeds N …"),
    }
}

/// Replaces this process by itself at fixed addresses and with next to no environment: some hash
/// seeds come from addresses, and the stack begins below the environment.
fn prepare() -> anyhow::Result<ExitCode> {
    // SAFETY: changes a flag of this process that the next exec looks at.
    unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).env_clear().env(PREPARED, "1");
    if let Some(filter) = std::env::var_os("RUST_LOG") {
        command.env("RUST_LOG", filter);
    }
    Err(command.exec()).context("start anew")
}

fn simulate(arguments: Vec<String>) -> anyhow::Result<ExitCode> {
    let plan = plan(&mut Arguments(arguments))?;
    // Before anything else: the thread's hash keys are drawn once, when first needed.
    determinism::enter(plan.seed);
    if let Ok(filter) = std::env::var("RUST_LOG") {
        let filter = tracing_subscriber::EnvFilter::new(filter);
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let root = tempfile::Builder::new()
        .prefix(&format!("miraft-sim-{:010}-", std::process::id()))
        .tempdir_in(parent)?;
    let _watched = watch(root.path().to_owned());
    let report = sim::run(&plan, root.path())?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends the process if the simulation hangs: a task that never rests stops simulated time. Until
/// the sender is dropped.
fn watch(root: PathBuf) -> mpsc::Sender<()> {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        if finished.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("the simulation hangs");
            // Best effort: the process ends, whatever stays behind.
            let _ = std::fs::remove_dir_all(root);
            std::process::exit(HANGS);
        }
    });
    done
}

fn plan(arguments: &mut Arguments) -> anyhow::Result<Plan> {
    let seed = arguments.number("--seed")?.context("--seed is missing")?;
    let mut faults = Faults::default();
    let mut menu = Menu::Mixed;
    if let Some(fault) = arguments.value("--fault")? {
        let (field, provoking) = match fault.as_str() {
            "stale-read" => (&mut faults.stale_read, Menu::Partitions),
            "fsync-lie" => (&mut faults.fsync_lie, Menu::PowerLoss),
            "lost-session" => (&mut faults.lost_session, Menu::BrokenStreams),
            other => bail!("no fault is called {other}"),
        };
        *field = true;
        menu = provoking;
    }
    if let Some(name) = arguments.value("--menu")? {
        menu = match name.as_str() {
            "mixed" => Menu::Mixed,
            "partitions" => Menu::Partitions,
            "power-loss" => Menu::PowerLoss,
            "broken-streams" => Menu::BrokenStreams,
            other => bail!("no menu is called {other}"),
        };
    }
    let storm_ms = arguments.number("--seconds")?.map_or(STORM_MS, |seconds| seconds * 1_000);
    let trace_file = arguments.value("--trace")?.map(PathBuf::from);
    arguments.end()?;
    Ok(Plan { seed, storm_ms, menu, faults, trace_file })
}

fn run_suite(arguments: Vec<String>) -> anyhow::Result<ExitCode> {
    let mut arguments = Arguments(arguments);
    let seeds = arguments.number("--seeds")?.unwrap_or(100);
    let from = arguments.number("--from")?.unwrap_or(1);
    let jobs = arguments.number("--jobs")?.map_or_else(cores, |jobs| jobs as usize);
    let repeats = if arguments.flag("--once") { 1 } else { 2 };
    let suite = Suite {
        binary: std::env::current_exe()?,
        seeds: (from..from + seeds).collect(),
        arguments: arguments.0,
        repeats,
        jobs,
        enough: |_| false,
    };
    let verdicts = suite.run(show)?;
    let bad = verdicts.iter().filter(|verdict| !verdict.is_fine()).count();
    println!("{} seeds, {bad} of them bad", verdicts.len());
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn show(verdict: &Verdict) {
    match verdict {
        Verdict::Fine(report) => println!(
            "seed {}: fine; {} operations, {} of unknown outcome, {} faults, {} s, trace {:016x}",
            report.seed,
            report.operations,
            report.unknown,
            report.faults,
            report.simulated_ms / 1_000,
            report.trace
        ),
        Verdict::Violation(report) => {
            println!("seed {}: VIOLATION: {}", report.seed, report.violation.as_deref().unwrap_or_default());
        }
        Verdict::Diverged(first, second) => println!("seed {}: DIVERGED: {first:?} / {second:?}", first.seed),
        Verdict::Died { seed, error } => println!("seed {seed}: DIED: {error}"),
    }
}

/// What is left of the command line.
struct Arguments(Vec<String>);

impl Arguments {
    fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|argument| argument == name);
        found.map(|at| self.0.remove(at)).is_some()
    }

    fn value(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        let Some(at) = self.0.iter().position(|argument| argument == name) else { return Ok(None) };
        anyhow::ensure!(at + 1 < self.0.len(), "{name} needs a value");
        self.0.remove(at);
        Ok(Some(self.0.remove(at)))
    }

    fn number(&mut self, name: &str) -> anyhow::Result<Option<u64>> {
        self.value(name)?.map(|text| text.parse().with_context(|| format!("{name} {text}"))).transpose()
    }

    fn end(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.is_empty(), "unknown arguments: {:?}", self.0);
        Ok(())
    }
}
