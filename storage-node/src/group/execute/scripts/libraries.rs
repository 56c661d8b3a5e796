//! The libraries of functions in the replicated state of a group. Meta keeps them for the whole cluster;
//! each group has them in its log, so that a function is called as of one point of that log.
//!
//! ```text
//! FF 05 00  →  version:u64be
//! FF 05 01  →  ( length:varint library )*          libraries as `scripting::Library` encodes them
//! ```

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use commands::{Args, CommandError, functions, wire};
use datatypes::kv::{Kv, KvMut, StoreError};
use resp::Reply;
use scripting::{Libraries, Library, LibraryError, ScriptError, Watch};

use super::engines::with_engine;
use crate::group::{Assigned, state::GroupState};

const VERSION_KEY: [u8; 3] = [0xFF, 0x05, 0x00];
const LIBRARIES_KEY: [u8; 3] = [0xFF, 0x05, 0x01];

/// The libraries of one version, as read from the state.
#[derive(Default)]
pub struct Current {
    version: u64,
    libraries: Arc<Libraries>,
}

impl Current {
    /// As they were when somebody last asked.
    pub fn last(&self) -> &Libraries {
        &self.libraries
    }

    /// The libraries in `view`.
    pub fn of(&mut self, view: &mut dyn Kv) -> Result<&Arc<Libraries>, ScriptError> {
        let version = version(view).map_err(failed)?;
        if version != self.version {
            let stored = view.get(&LIBRARIES_KEY).map_err(failed)?.unwrap_or_default();
            self.libraries = Arc::new(decoded(&stored)?);
            self.version = version;
        }
        Ok(&self.libraries)
    }
}

/// Makes what meta assigned part of the state, if it is newer. Answers whether it was.
pub fn adopt(view: &mut dyn KvMut, assigned: &Assigned) -> Result<bool, StoreError> {
    if assigned.version <= version(view.as_kv())? {
        return Ok(false);
    }
    let number = Bytes::copy_from_slice(&assigned.version.to_be_bytes());
    view.put(Bytes::from_static(&VERSION_KEY), number);
    view.put(Bytes::from_static(&LIBRARIES_KEY), assigned.encoded.clone());
    Ok(true)
}

/// The form in which libraries are stored.
pub fn encode<'a>(libraries: impl IntoIterator<Item = &'a [u8]>) -> Bytes {
    let mut encoded = Vec::new();
    libraries.into_iter().for_each(|library| wire::put_bytes(&mut encoded, library));
    encoded.into()
}

/// The version that is applied.
pub fn applied_version(state: &GroupState) -> u64 {
    state.get(&VERSION_KEY).ok().flatten().map_or(0, number)
}

fn version(view: &mut dyn Kv) -> Result<u64, StoreError> {
    Ok(view.get(&VERSION_KEY)?.map_or(0, number))
}

fn number(stored: Bytes) -> u64 {
    stored[..].try_into().map_or(0, u64::from_be_bytes)
}

fn decoded(stored: &[u8]) -> Result<Libraries, ScriptError> {
    let damaged = || ScriptError::Machine("the stored libraries are damaged".to_owned());
    let mut libraries = Libraries::default();
    let mut rest = stored;
    while !rest.is_empty() {
        let library = wire::take_bytes(&mut rest).and_then(Library::decode).map_err(|_| damaged())?;
        libraries.add(library).map_err(|_| damaged())?;
    }
    Ok(libraries)
}

fn failed(StoreError(error): StoreError) -> ScriptError {
    ScriptError::Machine(error)
}

/// FUNCTION LIST; `args` begin with the subcommand.
pub fn list(libraries: &Libraries, args: &[&[u8]]) -> Result<Reply, CommandError> {
    let listing = functions::listing(&Args::new(args))?;
    Ok(libraries.list(listing.pattern, listing.with_code))
}

/// What the code of a library registers: name, functions, library. `args`: the code, and whatever else
/// if it may replace one.
pub fn read_one(libraries: &Libraries, args: &[&[u8]], watch: Rc<dyn Watch>) -> Result<Reply, LibraryError> {
    let code = args[0];
    // Meta decides; but as in Redis nobody is told that the code is wrong of what exists.
    let mut own = if args.len() > 1 { Libraries::default() } else { libraries.clone() };
    let mut name = Bytes::new();
    with_engine(|engine| {
        name = own.load(engine, code, args.len() > 1, watch)?;
        Ok::<_, LibraryError>(())
    })?;
    Ok(own.get(&name).map_or(Reply::Null, described))
}

/// The same of all libraries of a payload.
pub fn read_payload(payload: &[u8], watch: Rc<dyn Watch>) -> Result<Reply, LibraryError> {
    let read = with_engine(|engine| Libraries::read(engine, payload, &watch))?;
    Ok(Reply::Array(read.iter().map(described).collect()))
}

fn described(library: &Library) -> Reply {
    let functions = library.functions.iter().map(|info| Reply::Bulk(info.name.clone()));
    Reply::Array(vec![
        Reply::Bulk(library.name.clone()),
        Reply::Array(functions.collect()),
        Reply::Bulk(library.encode()),
    ])
}
