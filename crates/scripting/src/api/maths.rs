//! What must not depend on the machine: `math.random` and `math.randomseed`, and `os.clock`.

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};

use super::{Outcome, Params, fail, native, nothing, one};
use crate::random::Random48;
use crate::session::Session;

pub fn library(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let library = lua.create_table()?;
    let shared = Rc::clone(session);
    library.raw_set("random", native(lua, "random", move |_, params| random(&shared, params))?)?;
    let shared = Rc::clone(session);
    let seed = move |_: &Lua, params: &Params<'_>| {
        shared.random.set(Random48::seeded(params.integer(0)? as i32));
        nothing()
    };
    library.raw_set("randomseed", native(lua, "randomseed", seed)?)?;
    Ok(library)
}

/// `os` has nothing but the clock, which belongs to the caller.
pub fn clock(lua: &Lua, session: &Rc<Session>) -> Result<Table> {
    let library = lua.create_table()?;
    let shared = Rc::clone(session);
    let clock = move |_: &Lua, _: &Params<'_>| one(Value::Number(shared.pulse.seconds()));
    library.raw_set("clock", native(lua, "clock", clock)?)?;
    Ok(library)
}

fn random(session: &Session, params: &Params<'_>) -> Outcome {
    let mut random = session.random.get();
    let fraction = random.fraction();
    session.random.set(random);
    let bound = |index| params.integer(index).map(|number| f64::from(number as i32));
    let (low, high, checked) = match params.len() {
        0 => return one(Value::Number(fraction)),
        1 => (1.0, bound(0)?, 0),
        2 => (bound(0)?, bound(1)?, 1),
        _ => return fail("wrong number of arguments"),
    };
    if low > high {
        return params.bad(checked, "interval is empty");
    }
    one(Value::Number((fraction * (high - low + 1.0)).floor() + low))
}
