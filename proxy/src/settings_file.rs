//! The settings file: what CONFIG SET changed, kept by CONFIG REWRITE for the next start.
//!
//! One `name "value"` a line, quoted as in redis.conf. Only what differs from the configuration that
//! the process was started with is written; everything else goes on following that.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use crate::settings::{SetError, Settings};

/// It may hold secrets.
const MODE: u32 = 0o600;

/// Why a settings file is not used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error("line {line} is not a name and a value")]
    Syntax { line: usize },
    #[error("line {line}: {name}: {reason}")]
    Setting { line: usize, name: String, reason: String },
}

/// Where the file is. One rewrites it at a time.
#[derive(Debug)]
pub struct SettingsFile {
    path: Mutex<PathBuf>,
}

impl SettingsFile {
    pub fn new(path: &str) -> Self {
        Self { path: Mutex::new(path.into()) }
    }

    /// Puts what the file says into force; there need not be one.
    pub fn load(&self, settings: &Settings) -> Result<(), LoadError> {
        match fs::read(&*self.path.lock()) {
            Ok(text) => apply(&text, settings),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what is in force.
    pub fn rewrite(&self, settings: &Settings) -> io::Result<()> {
        let path = self.path.lock();
        replace(&path, &render(settings))
    }
}

fn apply(text: &[u8], settings: &Settings) -> Result<(), LoadError> {
    for (at, content) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = at + 1;
        if content.is_empty() || content.starts_with(b"#") {
            continue;
        }
        let (name, value) = name_and_value(content).ok_or(LoadError::Syntax { line })?;
        settings.set(&name, &value).map_err(|error| {
            let reason = match error {
                SetError::Unknown => "no such setting".to_owned(),
                SetError::Refused(reason) => reason,
            };
            LoadError::Setting { line, name, reason }
        })?;
    }
    Ok(())
}

fn name_and_value(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let (mut words, mut ends) = (Vec::new(), Vec::new());
    resp::inline::split(line, &mut words, &mut ends).ok()?;
    let &[name_end, value_end] = ends.as_slice() else { return None };
    let value = words.get(name_end as usize..value_end as usize)?.to_vec();
    words.truncate(name_end as usize);
    Some((String::from_utf8(words).ok()?, value))
}

fn render(settings: &Settings) -> Vec<u8> {
    let mut text = b"# Written by CONFIG REWRITE; read at the start, over the configuration.\n".to_vec();
    for (name, value) in settings.changed() {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b" \"");
        value.iter().for_each(|&byte| quote(byte, &mut text));
        text.extend_from_slice(b"\"\n");
    }
    text
}

fn quote(byte: u8, text: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
        b' '..=b'~' => text.push(byte),
        _ => text.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
    }
}

/// A reader sees the old content or the new one, never a part.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let mut file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{options::Options, settings::Number};

    fn settings() -> Settings {
        Settings::new(&Options::default())
    }

    #[test]
    fn what_was_changed_is_read_again() {
        let changed = settings();
        for (name, value) in [
            ("cluster-node-timeout", &b"4000"[..]),
            ("maxclients", b"17"),
            ("lazyfree-lazy-expire", b"yes"),
            ("appendonly", b"no"),
        ] {
            changed.set(name, value).unwrap();
        }
        let text = render(&changed);
        assert_eq!(text.iter().filter(|&&byte| byte == b'\n').count(), 4, "a heading and three settings");
        let read = settings();
        apply(&text, &read).unwrap();
        assert_eq!(read.changed(), changed.changed());
        assert_eq!(read.number(Number::MaxClients), 17);
        assert_eq!(render(&read), text);
    }

    #[test]
    fn a_value_is_quoted_so_that_it_is_read_again() {
        let value = b" \"quoted\\\n\xC3\xA9";
        let mut line = b"name \"".to_vec();
        value.iter().for_each(|&byte| quote(byte, &mut line));
        line.push(b'"');
        assert_eq!(name_and_value(&line), Some(("name".to_owned(), value.to_vec())));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, complaint) in [
            ("# fine\n\nmaxclients many", "line 3: maxclients: argument couldn't be parsed into an integer"),
            ("nonsense \"1\"", "line 1: nonsense: no such setting"),
            ("maxclients", "line 1 is not a name and a value"),
            ("maxclients \"1", "line 1 is not a name and a value"),
        ] {
            assert_eq!(apply(text.as_bytes(), &settings()).unwrap_err().to_string(), complaint);
        }
    }
}
