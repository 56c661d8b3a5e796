//! Logs: text for people or JSON for machines, to standard error or a file, with a filter that can
//! be changed while the process runs. One subscriber per process.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, fmt::writer::BoxMakeWriter, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

/// Raft tells every step of its life at `info`.
pub const DEFAULT_FILTER: &str = "info,openraft=warn";

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Text,
    Json,
}

crate::options! {
    /// Options every process has.
    pub struct Options("", "", check = check) {
        /// Log filter: `error`, `warn`, `info`, `debug`, or by module (`info,meta=debug`). Changed
        /// at run time with `PUT /log-level` on the HTTP listener.
        pub log_level: String = DEFAULT_FILTER.to_owned(),
        /// Log lines as `text` or `json`.
        pub log_format: Format = Format::Text,
    }
}

fn check(options: &Options) -> Vec<(&'static str, String)> {
    match parse(&options.log_level) {
        Ok(_) => Vec::new(),
        Err(error) => vec![("log_level", error.to_string())],
    }
}

/// Why the logs cannot be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("`{0}` is not a log filter; write for example `info` or `info,meta=debug`")]
    BadFilter(String),
    #[error("logs were not set up in this process")]
    NotSetUp,
    #[error("logs were already set up in this process")]
    AlreadySetUp,
    #[error("cannot open the log file")]
    File(#[from] io::Error),
}

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let bad = || LogError::BadFilter(filter.to_owned());
    // A bare word parses as a module name: `inof` would silently switch everything off.
    let known_level = |word: &str| word.parse::<tracing::level_filters::LevelFilter>().is_ok();
    let sound = |part: &str| part.contains(['=', '[']) || known_level(part.trim());
    if filter.is_empty() || !filter.split(',').all(sound) {
        return Err(bad());
    }
    EnvFilter::builder().parse(filter).map_err(|_| bad())
}

/// Logs to standard error.
pub fn init(options: &Options) -> Result<(), LogError> {
    init_writer(options, BoxMakeWriter::new(io::stderr))
}

/// Logs to the end of the file at `path`.
pub fn init_file(options: &Options, path: &Path) -> Result<(), LogError> {
    let file: File = OpenOptions::new().create(true).append(true).open(path)?;
    init_writer(options, BoxMakeWriter::new(file))
}

fn init_writer(options: &Options, writer: BoxMakeWriter) -> Result<(), LogError> {
    let (filter, handle) = reload::Layer::new(parse(&options.log_level)?);
    // In-process clusters run one server per named thread: the name tells them apart.
    let lines = fmt::layer().with_writer(writer).with_ansi(false).with_thread_names(true);
    let lines = match options.log_format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().boxed(),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    subscriber.try_init().map_err(|_| LogError::AlreadySetUp)?;
    FILTER.set(handle).map_err(|_| LogError::AlreadySetUp)
}

/// Changes the filter of this process.
pub fn set_filter(filter: &str) -> Result<(), LogError> {
    let parsed = parse(filter)?;
    let handle = FILTER.get().ok_or(LogError::NotSetUp)?;
    handle.reload(parsed).map_err(|_| LogError::NotSetUp)
}

/// The filter in force, if logs were set up.
pub fn filter() -> Option<String> {
    FILTER.get()?.with_current(ToString::to_string).ok()
}
