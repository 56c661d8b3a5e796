//! Configuration of a process: one flat struct, declared by [`options!`](crate::options) with a
//! type, a default and a doc comment for each field. From that one declaration come the TOML keys,
//! the environment variables, the flags, `--help`, `--dump-config` and the reference in the docs.
//!
//! A later layer overrides an earlier one: defaults, TOML file, environment, flags.
//!
//! Invariants: an unknown key or variable is an error; every problem of every layer is reported at
//! once; nothing is read from outside but what the caller passes in ([`Sources`]).

mod field;
mod flags;
mod layers;
mod load;
mod problem;
mod render;

pub use field::{Field, Kind, Options};
pub use load::{Action, LoadError, Loaded, Sources, load};
pub use problem::{ConfigError, Origin, Problem};
pub use render::{dump, reference};

/// Declares the options of a process.
///
/// ```
/// daemon::options! {
///     /// Options of the kettle.
///     pub struct Options("miraft-kettle", "kettle") {
///         /// Where to boil.
///         pub listen: String = "127.0.0.1:0".to_owned(),
///         /// Give up after so many milliseconds.
///         pub deadline_ms: u64 = 5_000,
///         /// Ask these peers.
///         pub peers: Vec<String> = Vec::new(),
///         /// Health and metrics; off when absent.
///         pub http_listen: Option<String> = None,
///     }
/// }
/// assert_eq!(Options::default().deadline_ms, 5_000);
/// ```
///
/// The two strings are the program's name and its section: the section names the environment
/// variables (`MIRAFT_KETTLE_DEADLINE_MS`). A trailing `check = path` names a
/// `fn(&Options) -> Vec<(&'static str, String)>` that reports keys whose values do not fit together.
///
/// Field types: integers, floats, `bool`, `String`, `PathBuf`, enums that serialise as a string,
/// and `Vec` or `Option` of these.
#[macro_export]
macro_rules! options {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident($program:literal, $section:literal $(, check = $check:path)?) {
            $( $(#[doc = $doc:literal])+ $fvis:vis $field:ident : $ty:ty = $default:expr ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, $crate::config::serde::Serialize, $crate::config::serde::Deserialize)]
        #[serde(crate = "daemon::config::serde", default, deny_unknown_fields)]
        $vis struct $name {
            $( $(#[doc = $doc])+ $fvis $field: $ty, )+
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $crate::config::Options for $name {
            const PROGRAM: &'static str = $program;
            const SECTION: &'static str = $section;
            const FIELDS: &'static [$crate::config::Field] = &[
                $( $crate::config::Field {
                    name: stringify!($field),
                    rust_type: stringify!($ty),
                    doc: concat!($($doc, "\n"),+),
                }, )+
            ];
            $( fn check(&self) -> Vec<(&'static str, String)> { $check(self) } )?
        }
    };
}

#[doc(hidden)]
pub use serde;
