//! What the functions of one machine share, and what is reset for each run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::Function;
use resp::Protocol;

use crate::api::JsonSettings;
use crate::flags::ScriptFlags;
use crate::pulse::Pulse;
use crate::random::Random48;

/// Shared by the functions of one machine.
pub struct Session {
    pub pulse: Pulse,
    /// What `redis.setresp` has chosen.
    pub protocol: Cell<Protocol>,
    pub random: Cell<Random48>,
    /// The settings of the global `cjson`.
    pub json: Rc<JsonSettings>,
    /// What a library registers while it is loaded; `None` at any other time.
    pub registering: RefCell<Option<Vec<Registered>>>,
}

/// A function that a library has registered.
pub struct Registered {
    pub name: Vec<u8>,
    pub description: Option<Vec<u8>>,
    pub flags: ScriptFlags,
    pub function: Function,
}

impl Session {
    pub fn new() -> Self {
        Self {
            pulse: Pulse::default(),
            protocol: Cell::new(Protocol::Resp2),
            random: Cell::new(Random48::seeded(0)),
            json: Rc::default(),
            registering: RefCell::new(None),
        }
    }

    /// A new run begins: nothing is left of the one before.
    pub fn reset(&self, seed: u64) {
        self.protocol.set(Protocol::Resp2);
        self.random.set(Random48::seeded(seed as i32));
        self.json.reset();
        self.registering.replace(None);
    }
}
