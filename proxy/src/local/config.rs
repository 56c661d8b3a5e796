//! CONFIG GET, SET, REWRITE and RESETSTAT.

use bytes::Bytes;
use resp::Reply;

use super::Outcome;
use crate::{
    connection::Call,
    execute::Front,
    settings::{SetError, Settings},
};

pub fn get(front: &Front, args: &[&[u8]]) -> Reply {
    let patterns: Vec<Vec<u8>> = args[1..].iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
    let matches = |name: &str| patterns.iter().any(|pattern| matches(pattern, name.as_bytes()));
    let found = front.conn.worker.shared.settings.get(matches);
    Reply::Map(found.into_iter().map(|(name, value)| (Reply::bulk(name), Reply::Bulk(value))).collect())
}

/// All parameters are set, or none.
pub fn set(front: &Front, args: &[&[u8]]) -> Outcome {
    let shared = &front.conn.worker.shared;
    let (pairs, rest) = args[1..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Reply::error("ERR wrong number of arguments for 'config|set' command"));
    }
    let mut done: Vec<(String, Bytes)> = Vec::new();
    for [name, value] in pairs {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let result = match done.iter().any(|(known, _)| *known == name) {
            true => Err(SetError::Refused("duplicate parameter".to_owned())),
            false => shared.settings.set(&name, value),
        };
        match result {
            Ok(old) => done.push((name, old)),
            Err(error) => {
                undo(&shared.settings, &done);
                return Err(refusal(&name, error));
            }
        }
    }
    // A pause, a limit or a timeout may concern those who wait.
    shared.wake_all();
    Ok(Reply::OK)
}

fn undo(settings: &Settings, done: &[(String, Bytes)]) {
    for (name, old) in done.iter().rev() {
        // It was in force before, so it is accepted.
        let _ = settings.set(name, old);
    }
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

/// Off this thread: it waits for the disk.
pub fn rewrite(front: &mut Front, call: Call) {
    let shared = front.conn.worker.shared.clone();
    if shared.settings_file.is_none() {
        return front.reply(&Reply::error("ERR The server is running without a config file"));
    }
    let write = move || shared.settings_file.as_ref().map_or(Ok(()), |file| file.rewrite(&shared.settings));
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move {
        match tokio::task::spawn_blocking(write).await.map_err(std::io::Error::from).flatten() {
            Ok(()) => Reply::OK,
            Err(error) => {
                tracing::warn!(%error, "the settings file cannot be written");
                Reply::error(format!("ERR Rewriting config file: {error}"))
            }
        }
    });
}

pub fn reset_stat(front: &Front) -> Reply {
    front.conn.worker.shared.reset_counters();
    Reply::OK
}

/// `*` and `?` patterns. Goes back only to the last star, so it cannot blow up.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_globs() {
        for (pattern, name, expected) in [
            ("*", "save", true),
            ("max*", "maxmemory", true),
            ("*policy", "maxmemory-policy", true),
            ("s?ve", "save", true),
            ("save", "saved", false),
            ("", "save", false),
            ("*a*e*x", "save", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
