//! The Lua machines of this thread, which they cannot leave. One serves all groups, as long as no script
//! needs a second slice; a script that does keeps its machine until it ends.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use scripting::{Engine, Limits, Run, ScriptError};

use super::deadline::Deadline;

/// Machines kept without a script.
const IDLE_MAX: usize = 2;

thread_local! {
    static IDLE: RefCell<Vec<Engine>> = const { RefCell::new(Vec::new()) };
    static UNDER_WAY: RefCell<HashMap<u64, Lua>> = RefCell::default();
    static LAST_TICKET: Cell<u64> = const { Cell::new(0) };
}

/// A script in its machine.
pub struct Lua {
    pub engine: Engine,
    pub run: Run,
    pub deadline: Rc<Deadline>,
}

impl Lua {
    /// Leaves it to the thread, between two slices.
    pub fn leave(self) -> Ticket {
        let ticket = LAST_TICKET.get() + 1;
        LAST_TICKET.set(ticket);
        UNDER_WAY.with_borrow_mut(|under_way| under_way.insert(ticket, self));
        Ticket(ticket)
    }
}

/// Stands for a script between two slices. Dropped, it ends the script, and its machine with it.
pub struct Ticket(u64);

impl Ticket {
    /// `None` if this is another thread.
    pub fn redeem(self) -> Option<Lua> {
        UNDER_WAY.with_borrow_mut(|under_way| under_way.remove(&self.0))
    }

    pub fn look<T>(&self, look: impl FnOnce(&Lua) -> T) -> Option<T> {
        UNDER_WAY.with_borrow(|under_way| under_way.get(&self.0).map(look))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The thread may be ending.
        let _ = UNDER_WAY.try_with(|under_way| under_way.borrow_mut().remove(&self.0));
    }
}

/// A machine that runs nothing.
pub fn take() -> Result<Engine, ScriptError> {
    match IDLE.with_borrow_mut(Vec::pop) {
        Some(engine) => Ok(engine),
        None => Engine::new(Limits::default()),
    }
}

/// Its script has ended.
pub fn put_back(engine: Engine) {
    IDLE.with_borrow_mut(|idle| {
        if idle.len() < IDLE_MAX {
            idle.push(engine);
        }
    });
}

/// Runs `work` with a machine, to its end.
pub fn with_engine<T, E: From<ScriptError>>(work: impl FnOnce(&mut Engine) -> Result<T, E>) -> Result<T, E> {
    let mut engine = take()?;
    let result = work(&mut engine);
    put_back(engine);
    result
}
