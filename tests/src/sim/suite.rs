//! Many seeds, each in a process of its own, each twice.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::Report;

/// What is run.
#[derive(Debug, Clone)]
pub struct Suite {
    /// The `sim` binary.
    pub binary: PathBuf,
    pub seeds: Vec<u64>,
    /// Arguments of each run beside the seed.
    pub arguments: Vec<String>,
    /// Runs of each seed; all must agree.
    pub repeats: usize,
    pub jobs: usize,
    /// Begin no further seed after such a verdict.
    pub enough: fn(&Verdict) -> bool,
}

/// What became of a seed.
#[derive(Debug, Clone)]
pub enum Verdict {
    Fine(Report),
    Violation(Report),
    /// Two runs differ: the simulation itself is broken.
    Diverged(Report, Report),
    /// The process ended without a report, with this on its standard error.
    Died {
        seed: u64,
        error: String,
    },
}

impl Verdict {
    pub fn is_fine(&self) -> bool {
        matches!(self, Verdict::Fine(_))
    }
}

impl Suite {
    /// Runs all seeds; `done` sees each verdict as it comes.
    pub fn run(&self, done: impl Fn(&Verdict) + Sync) -> io::Result<Vec<Verdict>> {
        let next = AtomicUsize::new(0);
        let verdicts = Mutex::new(Vec::new());
        let work = || -> io::Result<()> {
            while let Some(&seed) = self.seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                let verdict = self.judge(seed)?;
                done(&verdict);
                if (self.enough)(&verdict) {
                    next.store(self.seeds.len(), Ordering::Relaxed);
                }
                verdicts.lock().unwrap_or_else(|e| e.into_inner()).push(verdict);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs.max(1)).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(io::Error::other("a worker of the suite panicked")))
            })
        })?;
        Ok(verdicts.into_inner().unwrap_or_else(|e| e.into_inner()))
    }

    fn judge(&self, seed: u64) -> io::Result<Verdict> {
        let mut first: Option<Report> = None;
        for _ in 0..self.repeats.max(1) {
            let report = match run_child(&self.binary, seed, &self.arguments)? {
                Ok(report) => report,
                Err(error) => return Ok(Verdict::Died { seed, error }),
            };
            match first.take() {
                Some(first) if first != report => return Ok(Verdict::Diverged(first, report)),
                _ => first = Some(report),
            }
        }
        match first {
            Some(report) if report.violation.is_none() => Ok(Verdict::Fine(report)),
            Some(report) => Ok(Verdict::Violation(report)),
            None => Err(io::Error::other("a suite runs each seed at least once")),
        }
    }
}

fn run_child(binary: &Path, seed: u64, arguments: &[String]) -> io::Result<Result<Report, String>> {
    let output = Command::new(binary)
        .args(["run", "--seed", &seed.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    Ok(serde_json::from_slice(&output.stdout).map_err(|_| {
        let error = String::from_utf8_lossy(&output.stderr);
        format!("{}; {}", output.status, error.trim_end())
    }))
}
