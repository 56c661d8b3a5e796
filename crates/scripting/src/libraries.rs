//! The functions that are loaded, as a value: what is replicated, dumped and listed.
//!
//! Invariants: names of libraries are unique, and so are those of functions over all libraries, in any case;
//! each library has a function. A change that is refused changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use datatypes::glob;
use datatypes::rdb::{self, NotLibrary};
use resp::Reply;

use crate::engine::Engine;
use crate::library::{FunctionInfo, Library};
use crate::library_error::LibraryError;
use crate::pulse::Watch;

/// What becomes of the libraries that are there when others are restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restore {
    /// They stay; a library of the same name is an error.
    #[default]
    Append,
    /// They stay, but for those of the same name.
    Replace,
    /// They go.
    Flush,
}

/// All libraries, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Libraries {
    libraries: BTreeMap<Bytes, Library>,
    /// Function, in lower case, to its library and its name there.
    owners: BTreeMap<Vec<u8>, (Bytes, Bytes)>,
}

impl Libraries {
    pub fn get(&self, name: &[u8]) -> Option<&Library> {
        self.libraries.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Library> {
        self.libraries.values()
    }

    pub fn is_empty(&self) -> bool {
        self.libraries.is_empty()
    }

    /// The function called `name`, in any case, and its library.
    pub fn function(&self, name: &[u8]) -> Option<(&Library, &FunctionInfo)> {
        let (library, name) = self.owners.get(&name.to_ascii_lowercase())?;
        let library = self.libraries.get(library)?;
        Some((library, library.function(name)?))
    }

    /// FUNCTION LOAD: runs the code to learn its functions. Answers the library's name.
    pub fn load(
        &mut self,
        engine: &mut Engine,
        code: &[u8],
        replace: bool,
        watch: Rc<dyn Watch>,
    ) -> Result<Bytes, LibraryError> {
        let (name, _) = crate::shebang::of_library(code)?;
        if !replace && self.libraries.contains_key(&name[..]) {
            return Err(LibraryError::Exists(name));
        }
        let library = engine.read_library(code, watch)?;
        let name = library.name.clone();
        self.add(library)?;
        Ok(name)
    }

    /// Takes a library in, in place of one of the same name.
    pub fn add(&mut self, library: Library) -> Result<(), LibraryError> {
        let other = |info: &&FunctionInfo| {
            let owner = self.owners.get(&info.name.to_ascii_lowercase());
            owner.is_some_and(|(owner, _)| *owner != library.name)
        };
        if let Some(info) = library.functions.iter().find(other) {
            return Err(LibraryError::FunctionExists(info.name.to_vec()));
        }
        self.remove(&library.name);
        for info in &library.functions {
            let owner = (library.name.clone(), info.name.clone());
            self.owners.insert(info.name.to_ascii_lowercase(), owner);
        }
        self.libraries.insert(library.name.clone(), library);
        Ok(())
    }

    /// FUNCTION DELETE
    pub fn delete(&mut self, name: &[u8]) -> Result<(), LibraryError> {
        if self.remove(name) { Ok(()) } else { Err(LibraryError::NotFound) }
    }

    fn remove(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.libraries.remove(name) else { return false };
        for info in &library.functions {
            self.owners.remove(&info.name.to_ascii_lowercase());
        }
        true
    }

    /// FUNCTION FLUSH
    pub fn flush(&mut self) {
        *self = Self::default();
    }

    /// FUNCTION DUMP: all libraries in Redis's form.
    pub fn dump(&self) -> Bytes {
        rdb::dump_libraries(self.libraries.values().map(|library| &library.code[..]))
    }

    /// The libraries of a payload.
    pub fn read(engine: &mut Engine, payload: &[u8], watch: &Rc<dyn Watch>) -> Result<Self, LibraryError> {
        let codes = rdb::restore_libraries(payload).map_err(|error| match error {
            NotLibrary::Rdb(error) => LibraryError::Payload(error),
            NotLibrary::PreGa => LibraryError::PreGa,
            NotLibrary::Other => LibraryError::NotFunction,
        })?;
        let mut read = Self::default();
        for code in codes {
            read.load(engine, &code, false, Rc::clone(watch))?;
        }
        Ok(read)
    }

    /// FUNCTION RESTORE: all libraries of a payload, or none.
    pub fn restore(
        &mut self,
        engine: &mut Engine,
        payload: &[u8],
        policy: Restore,
        watch: &Rc<dyn Watch>,
    ) -> Result<(), LibraryError> {
        let restored = Self::read(engine, payload, watch)?;
        if policy == Restore::Flush {
            *self = restored;
            return Ok(());
        }
        let mut joined = self.clone();
        for name in restored.libraries.keys() {
            if joined.remove(name) && policy == Restore::Append {
                return Err(LibraryError::RestoredExists(name.to_vec()));
            }
        }
        for library in restored.libraries.into_values() {
            joined.add(library)?;
        }
        *self = joined;
        Ok(())
    }

    /// FUNCTION LIST: those whose names match the pattern.
    pub fn list(&self, pattern: Option<&[u8]>, with_code: bool) -> Reply {
        let matches = |library: &&Library| {
            pattern.is_none_or(|pattern| glob::matches_ignore_case(pattern, &library.name))
        };
        Reply::Array(self.iter().filter(matches).map(|library| library.describe(with_code)).collect())
    }

    /// What FUNCTION STATS says of the engines.
    pub fn engines(&self) -> Reply {
        let count = |number: usize| Reply::Int(number as i64);
        Reply::Map(vec![(
            Reply::bulk("LUA"),
            Reply::Map(vec![
                (Reply::bulk("libraries_count"), count(self.libraries.len())),
                (Reply::bulk("functions_count"), count(self.owners.len())),
            ]),
        )])
    }

    /// Whether the invariants hold.
    pub fn is_consistent(&self) -> bool {
        let owned: BTreeSet<_> = self
            .iter()
            .flat_map(|library| library.functions.iter().map(|info| (&library.name, &info.name)))
            .collect();
        let is_owned = |(key, (library, name)): (&Vec<u8>, &(Bytes, Bytes))| {
            owned.contains(&(library, name)) && *key == name.to_ascii_lowercase()
        };
        owned.len() == self.owners.len() && self.owners.iter().all(is_owned)
    }
}
