//! The libraries of functions: one value for the whole cluster, kept by meta beside the
//! [`ClusterState`](crate::ClusterState), since they may be large and change at other times.
//!
//! Invariants: names of libraries are unique, and so are names of functions over all libraries (in any
//! case, as in Redis); a change that is refused changes nothing; the version grows by one exactly when
//! the libraries changed; all together are at most [`LIBRARIES_BYTES_MAX`] long.
//!
//! What a library's code does is not known here: names come from whoever has read it.

use std::collections::{BTreeMap, VecDeque};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Length of all libraries as they are stored, together.
pub const LIBRARIES_BYTES_MAX: usize = 4 << 20;

/// Names of deleted ones that are remembered.
const DELETED_MAX: usize = 64;

/// A library, as whoever has read its code describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryRecord {
    pub name: String,
    /// Names of its functions.
    pub functions: Vec<String>,
    /// The whole library, in the form of those who execute it.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub stored: Vec<u8>,
}

/// What becomes of the libraries that are there when others are restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestorePolicy {
    /// They stay; one of the same name is an error.
    Append,
    /// They stay, but for those of the same name.
    Replace,
    /// They go.
    Flush,
    /// As `Append`, but what is there already, just the same, is no error: clients of a cluster restore
    /// on every master.
    Join,
}

/// A change of the libraries, serialised as JSON (`{"change": "delete", "name": "…"}`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum LibraryChange {
    Load {
        library: LibraryRecord,
        replace: bool,
        /// One that is there already, just the same, is no error.
        #[serde(default)]
        joins: bool,
    },
    Restore {
        libraries: Vec<LibraryRecord>,
        policy: RestorePolicy,
    },
    Delete {
        name: String,
        /// One that was deleted already is no error.
        #[serde(default)]
        joins: bool,
    },
    Flush,
}

/// Why a change was refused, in Redis's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryRefused {
    #[error("ERR Library '{0}' already exists")]
    Exists(String),
    #[error("ERR Library {0} already exists")]
    RestoredExists(String),
    #[error("ERR Function {0} already exists")]
    FunctionExists(String),
    #[error("ERR Library not found")]
    NotFound,
    #[error("ERR all libraries together are longer than {LIBRARIES_BYTES_MAX} bytes")]
    TooLarge,
}

/// All libraries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Libraries {
    /// Adds one with each change.
    pub version: u64,
    by_name: BTreeMap<String, LibraryRecord>,
    /// Names of those that were deleted last, the newest at the end.
    #[serde(default)]
    deleted: VecDeque<String>,
}

impl Libraries {
    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &LibraryRecord> {
        self.by_name.values()
    }

    /// Makes the change, or refuses it and changes nothing. Answers whether anything changed.
    pub fn apply(&mut self, change: &LibraryChange) -> Result<bool, LibraryRefused> {
        let mut next = self.clone();
        next.make(change)?;
        let changed = next.by_name != self.by_name;
        next.version += u64::from(changed);
        *self = next;
        Ok(changed)
    }

    fn make(&mut self, change: &LibraryChange) -> Result<(), LibraryRefused> {
        match change {
            LibraryChange::Load { library, replace, joins } => {
                let known = self.by_name.remove(&library.name);
                let may_be_there = |known: LibraryRecord| *replace || *joins && known == *library;
                if !known.is_none_or(may_be_there) {
                    return Err(LibraryRefused::Exists(library.name.clone()));
                }
                self.add([library])
            }
            LibraryChange::Restore { libraries, policy } => {
                if *policy == RestorePolicy::Flush {
                    self.by_name.clear();
                }
                for library in libraries {
                    let same = |known| known == *library && *policy == RestorePolicy::Join;
                    let known = self.by_name.remove(&library.name);
                    if known.is_some_and(|known| *policy != RestorePolicy::Replace && !same(known)) {
                        return Err(LibraryRefused::RestoredExists(library.name.clone()));
                    }
                }
                self.add(libraries)
            }
            LibraryChange::Delete { name, joins } => match self.by_name.remove(name) {
                Some(_) => {
                    self.deleted.push_back(name.clone());
                    self.deleted.drain(..self.deleted.len().saturating_sub(DELETED_MAX));
                    Ok(())
                }
                None if *joins && self.deleted.contains(name) => Ok(()),
                None => Err(LibraryRefused::NotFound),
            },
            LibraryChange::Flush => {
                self.by_name.clear();
                self.deleted.clear();
                Ok(())
            }
        }
    }

    fn add<'a>(
        &mut self,
        libraries: impl IntoIterator<Item = &'a LibraryRecord>,
    ) -> Result<(), LibraryRefused> {
        for library in libraries {
            let taken = |name: &&String| {
                let others = self.by_name.values().flat_map(|other| &other.functions);
                others.into_iter().any(|other| other.eq_ignore_ascii_case(name))
            };
            if let Some(name) = library.functions.iter().find(taken) {
                return Err(LibraryRefused::FunctionExists(name.clone()));
            }
            self.deleted.retain(|name| *name != library.name);
            self.by_name.insert(library.name.clone(), library.clone());
        }
        let bytes: usize = self.by_name.values().map(|library| library.stored.len()).sum();
        if bytes > LIBRARIES_BYTES_MAX { Err(LibraryRefused::TooLarge) } else { Ok(()) }
    }
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str], stored: &[u8]) -> LibraryRecord {
        let functions = functions.iter().map(|&name| name.to_owned()).collect();
        LibraryRecord { name: name.to_owned(), functions, stored: stored.to_vec() }
    }

    fn load(name: &str, functions: &[&str], replace: bool) -> LibraryChange {
        LibraryChange::Load { library: library(name, functions, b"\xff code"), replace, joins: false }
    }

    fn refused(libraries: &mut Libraries, change: &LibraryChange) -> String {
        let before = libraries.clone();
        let text = libraries.apply(change).unwrap_err().to_string();
        assert_eq!(*libraries, before);
        text
    }

    #[test]
    fn names_are_unique_and_versions_count_changes() {
        let mut libraries = Libraries::default();
        assert_eq!(libraries.apply(&load("a", &["f", "g"], false)), Ok(true));
        assert_eq!(refused(&mut libraries, &load("a", &["h"], false)), "ERR Library 'a' already exists");
        assert_eq!(refused(&mut libraries, &load("b", &["G"], false)), "ERR Function G already exists");
        assert_eq!(libraries.apply(&load("a", &["h"], true)), Ok(true));
        assert_eq!(libraries.apply(&load("b", &["g"], false)), Ok(true));
        assert_eq!(libraries.version, 3);
        assert_eq!(libraries.apply(&load("b", &["g"], true)), Ok(false), "nothing changed");
        assert_eq!(refused(&mut libraries, &load("b", &["H"], true)), "ERR Function H already exists");
        let delete = delete("a", false);
        assert_eq!(libraries.apply(&delete), Ok(true));
        assert_eq!(refused(&mut libraries, &delete), "ERR Library not found");
        assert_eq!(libraries.apply(&LibraryChange::Flush), Ok(true));
        assert_eq!(libraries.apply(&LibraryChange::Flush), Ok(false));
        assert_eq!(libraries.version, 5);
    }

    fn delete(name: &str, joins: bool) -> LibraryChange {
        LibraryChange::Delete { name: name.to_owned(), joins }
    }

    #[test]
    fn what_is_done_already_may_be_done_by_others_as_well() {
        let mut libraries = Libraries::default();
        let load = |function: &str| LibraryChange::Load {
            library: library("a", &[function], b"code"),
            replace: false,
            joins: true,
        };
        assert_eq!(libraries.apply(&load("f")), Ok(true));
        assert_eq!(libraries.apply(&load("f")), Ok(false));
        assert_eq!(refused(&mut libraries, &load("g")), "ERR Library 'a' already exists");
        assert_eq!(refused(&mut libraries, &delete("b", true)), "ERR Library not found");
        assert_eq!(libraries.apply(&delete("a", true)), Ok(true));
        assert_eq!(libraries.apply(&delete("a", true)), Ok(false));
        assert_eq!(refused(&mut libraries, &delete("a", false)), "ERR Library not found");
        assert_eq!(libraries.apply(&load("g")), Ok(true), "it is another one");
        for number in 0..DELETED_MAX {
            let name = format!("n{number}");
            let load =
                LibraryChange::Load { library: library(&name, &[], b""), replace: false, joins: false };
            libraries.apply(&load).unwrap();
            libraries.apply(&delete(&name, false)).unwrap();
        }
        assert_eq!(libraries.deleted.len(), DELETED_MAX);
        libraries.apply(&delete("a", false)).unwrap();
        assert_eq!(libraries.deleted.len(), DELETED_MAX);
        assert_eq!(refused(&mut libraries, &delete("n0", true)), "ERR Library not found", "long ago");
        libraries.apply(&LibraryChange::Flush).unwrap();
        assert_eq!(refused(&mut libraries, &delete("a", true)), "ERR Library not found");
    }

    #[test]
    fn restoring_joins_replaces_or_begins_anew() {
        let restore = |libraries: &[LibraryRecord], policy| LibraryChange::Restore {
            libraries: libraries.to_vec(),
            policy,
        };
        let (a, b) = (library("a", &["f"], b"1"), library("b", &["g"], b"2"));
        let mut libraries = Libraries::default();
        libraries.apply(&restore(&[a.clone(), b.clone()], RestorePolicy::Append)).unwrap();
        let again = restore(std::slice::from_ref(&b), RestorePolicy::Append);
        assert_eq!(refused(&mut libraries, &again), "ERR Library b already exists");
        let other = library("b", &["F"], b"3");
        let replace = restore(std::slice::from_ref(&other), RestorePolicy::Replace);
        assert_eq!(refused(&mut libraries, &replace), "ERR Function F already exists");
        assert_eq!(libraries.apply(&restore(&[b.clone(), a], RestorePolicy::Join)), Ok(false));
        let join = restore(std::slice::from_ref(&other), RestorePolicy::Join);
        assert_eq!(refused(&mut libraries, &join), "ERR Library b already exists");
        assert_eq!(libraries.apply(&restore(&[other], RestorePolicy::Flush)), Ok(true));
        assert_eq!(libraries.iter().count(), 1);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut libraries = Libraries::default();
        let half = vec![0; LIBRARIES_BYTES_MAX / 2];
        let load = |name: &str, stored: &[u8]| LibraryChange::Load {
            library: library(name, &[name], stored),
            replace: true,
            joins: false,
        };
        libraries.apply(&load("a", &half)).unwrap();
        libraries.apply(&load("b", &half)).unwrap();
        assert_eq!(libraries.apply(&load("c", b"1")), Err(LibraryRefused::TooLarge));
        libraries.apply(&load("a", b"")).unwrap();
        libraries.apply(&load("c", b"1")).unwrap();
    }

    #[test]
    fn any_bytes_survive_json() {
        let change = load("a", &["f"], false);
        let json = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<LibraryChange>(&json).unwrap(), change);
    }
}
