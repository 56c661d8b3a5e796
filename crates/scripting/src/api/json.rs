//! `cjson`: values as JSON, as Mark Pulford's library writes and reads it.

mod decode;
mod encode;
mod settings;

pub use settings::Settings;

use std::rc::Rc;

use mlua::{Lua, Result, Table, Value};

use super::native;
use crate::session::Session;

pub fn library(lua: &Lua, session: &Rc<Session>, settings: Rc<Settings>) -> Result<Table> {
    let library = lua.create_table()?;
    let (shared, session) = (Rc::clone(&settings), Rc::clone(session));
    let encode =
        native(lua, "encode", move |lua, params| encode::encode(lua, params, &shared, &session.pulse))?;
    library.raw_set("encode", encode)?;
    let shared = Rc::clone(&settings);
    let decode = native(lua, "decode", move |lua, params| decode::decode(lua, params, &shared))?;
    library.raw_set("decode", decode)?;
    settings::add_functions(lua, &library, &settings)?;
    library.raw_set("null", Value::NULL)?;
    library.raw_set("_NAME", "cjson")?;
    library.raw_set("_VERSION", "2.1.0")?;
    Ok(library)
}
