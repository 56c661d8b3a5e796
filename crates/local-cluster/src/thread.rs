//! A member as a thread of this process.

use std::{ffi::OsString, future::Future, io, thread};

use anyhow::anyhow;
use daemon::{
    config::{self, Options, Sources},
    env::Env,
    process::{CancellationToken, block_on},
};

use crate::layout::{MemberId, Role};

/// As much as the main thread of a process has.
const STACK_BYTES: usize = 8 << 20;

/// A running member.
#[derive(Debug)]
pub(crate) struct Thread {
    stop: CancellationToken,
    handle: Option<thread::JoinHandle<anyhow::Result<()>>>,
}

impl Thread {
    pub fn start(id: MemberId, arguments: Vec<String>) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let handle = thread::Builder::new()
            .name(id.to_string())
            .stack_size(STACK_BYTES)
            .spawn(move || run(id.role, arguments, stopped))?;
        Ok(Self { stop, handle: Some(handle) })
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Why it ended, if it did.
    pub fn ended(&mut self) -> Option<anyhow::Result<()>> {
        if !self.handle.as_ref()?.is_finished() {
            return None;
        }
        let joined = self.handle.take()?.join();
        Some(joined.unwrap_or_else(|_| Err(anyhow!("panicked"))))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn run(role: Role, arguments: Vec<String>, stop: CancellationToken) -> anyhow::Result<()> {
    match role {
        Role::Meta => serve(arguments, stop, |o, env, stop| meta::run(o, env, |_| (), stop)),
        Role::Storage => serve(arguments, stop, |o, env, stop| storage_node::run(o, env, |_| (), stop)),
        Role::Proxy => serve(arguments, stop, |o, env, stop| proxy::run(o, env, |_| (), stop)),
    }
}

fn serve<T, F>(
    arguments: Vec<String>,
    stop: CancellationToken,
    run: impl FnOnce(T, Env, CancellationToken) -> F,
) -> anyhow::Result<()>
where
    T: Options,
    F: Future<Output = anyhow::Result<()>>,
{
    let arguments = std::iter::once(T::PROGRAM.to_owned()).chain(arguments).map(OsString::from).collect();
    let loaded = config::load::<T>(&Sources { arguments, variables: Vec::new() })?;
    block_on(run(loaded.options, Env::real(), stop))?
}
