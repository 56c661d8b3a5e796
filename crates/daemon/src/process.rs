//! The life of a process: configuration, logs, signals, one runtime, an exit status.
//!
//! A server is one `!Send` future on a current-thread runtime; threads are its own affair.

use std::{future::Future, io, process::ExitCode};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::LocalSet,
};
pub use tokio_util::sync::CancellationToken;

use crate::{
    config::{self, Action, LoadError, Loaded, Options, Sources},
    env::Env,
    logging,
};

/// Exit status when the configuration is wrong.
const STATUS_BAD_CONFIG: u8 = 2;

/// `main` of a server: loads `T`, sets up logs, runs `run` until it ends or a signal cancels the
/// token it was given.
pub fn main<T, F>(run: impl FnOnce(T, Env, CancellationToken) -> F) -> ExitCode
where
    T: Options,
    F: Future<Output = anyhow::Result<()>>,
{
    match config::load::<T>(&Sources::of_process()) {
        Ok(Loaded { action: Action::Check, .. }) => {
            println!("the configuration of {} is valid", T::PROGRAM);
            ExitCode::SUCCESS
        }
        Ok(Loaded { action: Action::Dump, options, logging }) => {
            print!("{}", config::dump(&options, &logging));
            ExitCode::SUCCESS
        }
        Ok(Loaded { action: Action::Run, options, logging }) => serve(options, &logging, run),
        Err(LoadError::CommandLine(error)) => error.exit(),
        Err(LoadError::Config(error)) => {
            eprintln!("{error}");
            ExitCode::from(STATUS_BAD_CONFIG)
        }
    }
}

fn serve<T, F>(
    options: T,
    logging: &logging::Options,
    run: impl FnOnce(T, Env, CancellationToken) -> F,
) -> ExitCode
where
    T: Options,
    F: Future<Output = anyhow::Result<()>>,
{
    if let Err(error) = logging::init(logging) {
        eprintln!("{}: {error}", T::PROGRAM);
        return ExitCode::FAILURE;
    }
    log_panics();
    let ended = block_on(async {
        let stop = CancellationToken::new();
        stop_on_signals(stop.clone())?;
        run(options, Env::real(), stop).await
    });
    match ended.map_err(anyhow::Error::from).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{} failed", T::PROGRAM);
            ExitCode::FAILURE
        }
    }
}

/// Runs `future` on a new current-thread runtime inside a `LocalSet`, to its end. Tasks it left
/// behind are dropped with the runtime.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(LocalSet::new().block_on(&runtime, future))
}

/// Cancels `stop` at the first SIGTERM or SIGINT. A second one ends the process at once, for whom
/// the graceful way takes too long.
pub fn stop_on_signals(stop: CancellationToken) -> io::Result<()> {
    const STATUS_IMPATIENT: i32 = 130;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut either = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = either().await;
        tracing::info!(signal = name, "stopping");
        stop.cancel();
        either().await;
        std::process::exit(STATUS_IMPATIENT);
    });
    Ok(())
}

/// Panics go to the log as well: tokio swallows those of a task.
fn log_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!(%panic, "panic");
        default(panic);
    }));
}
