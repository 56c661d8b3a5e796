//! What happened, as one number: two runs of a seed must agree on it. Every byte that any process
//! or client writes to the network goes in, with the time and the writer, and every fault and every
//! outcome a client sees: a divergence anywhere reaches the wire soon.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
    sync::Arc,
};

use parking_lot::Mutex;

use super::rng;

/// Cheap to clone; clones share the trace.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hash: u64,
    events: u64,
    /// Lines for a human who looks for the first difference between two runs.
    log: Option<BufWriter<File>>,
}

impl State {
    fn add(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.hash = rng::mix(self.hash.rotate_left(5) ^ u64::from_le_bytes(word));
        }
        self.hash = rng::mix(self.hash ^ bytes.len() as u64);
    }

    fn note(&mut self, at_ms: u64, who: &str, what: &[u8]) {
        self.events += 1;
        self.add(&at_ms.to_le_bytes());
        self.add(who.as_bytes());
        self.add(what);
        let hash = self.hash;
        if let Some(log) = &mut self.log {
            let mut text = String::new();
            for byte in what {
                match byte {
                    b' '..=b'~' => text.push(*byte as char),
                    other => {
                        // Writing to a String cannot fail.
                        let _ = write!(text, "\\{other:02x}");
                    }
                }
            }
            // The log is a debugging aid; a full disk must not change the run.
            let _ = writeln!(log, "{at_ms} {who} {hash:016x} {text}");
        }
    }
}

impl Trace {
    /// A trace that also writes a line per event to `path`.
    pub fn logged(path: &Path) -> io::Result<Self> {
        let log = Some(BufWriter::new(File::create(path)?));
        Ok(Self(Arc::new(Mutex::new(State { log, ..State::default() }))))
    }

    pub fn note(&self, at_ms: u64, who: &str, what: &[u8]) {
        self.0.lock().note(at_ms, who, what);
    }

    /// The hash over everything so far, and how much it was.
    pub fn summary(&self) -> (u64, u64) {
        let state = self.0.lock();
        (state.hash, state.events)
    }
}
