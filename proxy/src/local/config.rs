//! CONFIG GET, SET, REWRITE and RESETSTAT.

use std::sync::Arc;

use bytes::Bytes;
use commands::glob;
use resp::Reply;
use topology::Classes;

use super::Outcome;
use crate::{
    accounts::{Edit, Editor, Table},
    clients::Side,
    cluster::Cluster,
    connection::Call,
    execute::Front,
    settings::{SetError, Settings},
    shared::Shared,
};

const PASSWORD: &str = "requirepass";

/// What belongs to the whole cluster, beside the default user's password.
const NOTIFICATIONS: &str = "notify-keyspace-events";

pub fn get(front: &Front, args: &[&[u8]]) -> Reply {
    let patterns = &args[1..];
    let found = front.conn.worker.shared.settings.get(|name| shown_name(patterns, name).is_some());
    let pairs = found.into_iter().filter_map(|(name, value)| {
        let value = seen_by(front, name).unwrap_or(value);
        Some((Reply::Bulk(shown_name(patterns, name)?), Reply::Bulk(value)))
    });
    Reply::Map(pairs.collect())
}

/// The name by which a client that asks by these patterns is told of a parameter; `None`: it is not. A word
/// without wildcards is the name as it was typed.
fn shown_name(patterns: &[&[u8]], name: &'static str) -> Option<Bytes> {
    patterns.iter().find_map(|pattern| {
        if pattern.iter().any(|byte| b"[*?".contains(byte)) {
            let matches = glob::matches_ignore_case(pattern, name.as_bytes());
            return matches.then(|| Bytes::from_static(name.as_bytes()));
        }
        pattern.eq_ignore_ascii_case(name.as_bytes()).then(|| Bytes::copy_from_slice(pattern))
    })
}

/// The value of what the settings do not know.
fn seen_by(front: &Front, name: &str) -> Option<Bytes> {
    match name {
        NOTIFICATIONS => Some(front.conn.worker.cluster.notifications().to_string().into()),
        "cluster-enabled" if front.session.side == Side::Cluster => Some(Bytes::from_static(b"yes")),
        "aclfile" => front.conn.worker.shared.acl_file.clone().map(Bytes::from),
        "port" => Some(front.conn.info.local.port().to_string().into()),
        _ => None,
    }
}

/// What CONFIG SET has changed here, and is to change elsewhere.
#[derive(Default)]
struct Changed {
    /// With what was there before.
    here: Vec<(String, Bytes)>,
    notifications: Option<Classes>,
    /// Of the default user.
    password: Option<Bytes>,
}

impl Changed {
    fn set(&mut self, settings: &Settings, name: &str, value: &[u8]) -> Result<(), SetError> {
        if name == NOTIFICATIONS {
            let classes = Classes::parse(value).map_err(|error| SetError::Refused(error.to_string()))?;
            self.notifications = Some(classes);
            return Ok(());
        }
        if name == PASSWORD {
            self.password = Some(Bytes::copy_from_slice(value));
            return Ok(());
        }
        self.here.push((name.to_owned(), settings.set(name, value)?));
        Ok(())
    }

    /// Something belongs to the whole cluster.
    fn is_shared(&self) -> bool {
        self.notifications.is_some() || self.password.is_some()
    }

    /// Changes what belongs to the whole cluster.
    async fn spread(&self, cluster: &Cluster, shared: &Arc<Shared>) -> Result<(), Reply> {
        if let Some(classes) = self.notifications {
            cluster.set_notifications(classes).await?;
        }
        let Some(password) = &self.password else { return Ok(()) };
        let editor = Editor::new(shared.clone(), cluster.clone());
        let require = |table: &Table| {
            let mut user = table.default().user.clone();
            user.require(password);
            let users = [(table.default().name.clone(), Some(user))].into();
            Ok((Some(Edit { users, anew: false }), ()))
        };
        editor.change(require).await
    }

    fn undo(&self, settings: &Settings) {
        for (name, old) in self.here.iter().rev() {
            // It was in force before, so it is accepted.
            let _ = settings.set(name, old);
        }
    }
}

/// All parameters are set, or none.
pub fn set(front: &mut Front, args: &[&[u8]], call: Call) {
    let changed = match change(front, args) {
        Ok(changed) => changed,
        Err(refusal) => return front.reply(&refusal),
    };
    if !changed.is_shared() {
        return front.reply(&Reply::OK);
    }
    let (cluster, shared) = (front.conn.worker.cluster.clone(), front.conn.worker.shared.clone());
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move {
        match changed.spread(&cluster, &shared).await {
            Ok(()) => Reply::OK,
            Err(error) => {
                changed.undo(&shared.settings);
                error
            }
        }
    });
}

/// Likewise, of what needs nobody else.
pub fn set_here(front: &Front, args: &[&[u8]]) -> Outcome {
    let changed = change(front, args)?;
    if changed.is_shared() {
        changed.undo(&front.conn.worker.shared.settings);
        let name = if changed.password.is_some() { PASSWORD } else { NOTIFICATIONS };
        return Err(refusal(name, SetError::Refused("not possible inside MULTI".to_owned())));
    }
    Ok(Reply::OK)
}

fn change(front: &Front, args: &[&[u8]]) -> Result<Changed, Reply> {
    let shared = &front.conn.worker.shared;
    let (pairs, rest) = args[1..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(super::syntax_error());
    }
    let names: Vec<String> =
        pairs.iter().map(|[name, _]| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
    check(&shared.settings, &names)?;
    let mut changed = Changed::default();
    for (name, [_, value]) in names.iter().zip(pairs) {
        if let Err(error) = changed.set(&shared.settings, name, value) {
            changed.undo(&shared.settings);
            return Err(refusal(name, error));
        }
    }
    shared.tracking.trim(shared);
    // A pause, a limit or a timeout may concern those who wait.
    shared.wake_all();
    Ok(changed)
}

/// Before anything is set, each parameter is one that can be, and is named once.
fn check(settings: &Settings, names: &[String]) -> Result<(), Reply> {
    for (at, name) in names.iter().enumerate() {
        if name != NOTIFICATIONS && !settings.knows(name) {
            return Err(refusal(name, SetError::Unknown));
        }
        if names[..at].contains(name) {
            return Err(refusal(name, SetError::Refused("duplicate parameter".to_owned())));
        }
    }
    Ok(())
}

fn refusal(name: &str, error: SetError) -> Reply {
    match error {
        SetError::Unknown => {
            Reply::error(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))
        }
        SetError::Refused(reason) => {
            Reply::error(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"))
        }
    }
}

pub fn rewrite(front: &mut Front, call: Call) {
    let shared = front.conn.worker.shared.clone();
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, rewritten(shared));
}

/// Off this thread: it waits for the disk.
pub async fn rewritten(shared: Arc<Shared>) -> Reply {
    if shared.settings_file.is_none() {
        return Reply::error("ERR The server is running without a config file");
    }
    let write = move || shared.settings_file.as_ref().map_or(Ok(()), |file| file.rewrite(&shared.settings));
    match tokio::task::spawn_blocking(write).await.map_err(std::io::Error::from).flatten() {
        Ok(()) => Reply::OK,
        Err(error) => {
            tracing::warn!(%error, "the settings file cannot be written");
            Reply::error(format!("ERR Rewriting config file: {error}"))
        }
    }
}

pub fn reset_stat(front: &Front) -> Reply {
    front.conn.worker.shared.reset_counters();
    Reply::OK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_globs() {
        for (pattern, name, shown) in [
            ("*", "save", Some("save")),
            ("MAX*", "maxmemory", Some("maxmemory")),
            ("*policy", "maxmemory-policy", Some("maxmemory-policy")),
            ("s?ve", "save", Some("save")),
            ("s[ab]ve", "save", Some("save")),
            ("s[^a]ve", "save", None),
            ("s\\ave*", "save", Some("save")),
            ("save", "saved", None),
            ("SaVe", "save", Some("SaVe")),
            ("", "save", None),
            ("*a*e*x", "save", None),
        ] {
            assert_eq!(
                shown_name(&[pattern.as_bytes()], name).as_deref(),
                shown.map(str::as_bytes),
                "{pattern}"
            );
        }
        assert_eq!(shown_name(&[b"x", b"s*", b"SAVE"], "save"), Some("save".into()), "the first names it");
    }
}
