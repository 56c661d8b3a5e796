//! What storage node and proxy are to scripts: the store in memory, an engine and libraries.

use std::rc::Rc;

use commands::{Args, Cx, Handler, resolve};
use datatypes::Limits as SmallLimits;
use datatypes::mem::MemKv;
use resp::{Protocol, Reply};
use scripting::{
    Engine, Libraries, LibraryError, Limits, LogLevel, Request, Restore, ScriptError, TableHost, Watch,
};

pub struct Here {
    pub kv: MemKv,
    pub cx: Cx,
    pub engine: Engine,
    pub libraries: Libraries,
    pub log: Vec<String>,
    pub watch: Rc<dyn Watch>,
}

/// Nobody stops scripts.
pub struct Patient;

impl Watch for Patient {
    fn keep_going(&self) -> bool {
        true
    }
}

impl Default for Here {
    fn default() -> Self {
        Self::with(Limits::default())
    }
}

impl Here {
    pub fn with(limits: Limits) -> Self {
        let cx = Cx {
            now_ms: 1_700_000_000_000,
            db: 0,
            seed: 1,
            protocol: Protocol::Resp2,
            limits: SmallLimits::default(),
        };
        Self {
            kv: MemKv::default(),
            cx,
            engine: Engine::new(limits).unwrap(),
            libraries: Libraries::default(),
            log: Vec::new(),
            watch: Rc::new(Patient),
        }
    }

    /// Executes a command; what fails leaves no trace, but for a script that failed by itself.
    pub fn run(&mut self, argv: &[&[u8]]) -> Reply {
        let mut encoded = Vec::new();
        resp::encode(&self.reply(argv), Protocol::Resp2, &mut encoded);
        resp::parse(&encoded.into(), Protocol::Resp2).unwrap().unwrap().0
    }

    /// The reply as a value, before it is encoded.
    pub fn reply(&mut self, argv: &[&[u8]]) -> Reply {
        let name = String::from_utf8_lossy(argv[0]).to_ascii_lowercase();
        match name.as_str() {
            "eval" | "eval_ro" | "evalsha" | "evalsha_ro" | "fcall" | "fcall_ro" => {
                self.script(&name, &argv[1..]).unwrap_or_else(Reply::from)
            }
            "script" => self.scripts(&argv[1..]).unwrap_or_else(Reply::from),
            "function" => self.functions(&argv[1..]).unwrap_or_else(Reply::from),
            _ => self.command(argv),
        }
    }

    /// The same from words.
    pub fn eval(&mut self, script: &str, words: &[&str]) -> Reply {
        let mut argv: Vec<&[u8]> = vec![b"EVAL", script.as_bytes()];
        argv.extend(words.iter().map(|word| word.as_bytes()));
        self.run(&argv)
    }

    fn command(&mut self, argv: &[&[u8]]) -> Reply {
        let spec = match resolve(argv) {
            Ok(spec) => spec,
            Err(error) => return error.into(),
        };
        let (args, cx) = (Args::new(&argv[1..]), self.cx);
        let result = match spec.handler() {
            Some(Handler::Read(read)) => read(&mut self.kv, &args, &cx),
            Some(Handler::Write(write)) => self.kv.transact(|kv| write(kv, &args, &cx)),
            None => Ok(Reply::Simple("left to the proxy")),
        };
        result.unwrap_or_else(Reply::from)
    }

    fn script(&mut self, name: &str, args: &[&[u8]]) -> Result<Reply, ScriptError> {
        let is_function = name.starts_with("fcall");
        if is_function && self.libraries.function(args[0]).is_none() {
            return Err(ScriptError::NoFunction);
        }
        let (keys, rest) = Request::split(&args[1..]).map_err(|error| match error {
            ScriptError::NotInteger if is_function => ScriptError::BadKeys,
            error => error,
        })?;
        self.cx.seed += 1;
        let request = Request {
            keys,
            args: rest,
            read_only: name.ends_with("_ro"),
            cluster: false,
            seed: self.cx.seed,
            watch: Rc::clone(&self.watch),
        };
        let Self { kv, cx, engine, libraries, log, .. } = self;
        let slot = keys.first().map(|key| datatypes::slot_of(key));
        let mut note = |_: LogLevel, text: &[u8]| log.push(String::from_utf8_lossy(text).into_owned());
        kv.transact(|kv| {
            let mut host = TableHost::new(kv, *cx, slot, &|_| true, &mut note);
            match name {
                "eval" | "eval_ro" => engine.eval(&mut host, args[0], &request),
                "evalsha" | "evalsha_ro" => engine.eval_sha(&mut host, args[0], &request),
                _ => engine.call_function(libraries, &mut host, args[0], &request),
            }
        })
    }

    fn scripts(&mut self, args: &[&[u8]]) -> Result<Reply, ScriptError> {
        Ok(match args[0].to_ascii_lowercase().as_slice() {
            b"load" => Reply::bulk(self.engine.load(args[1])?),
            b"exists" => {
                let knows = |digest: &&[u8]| self.engine.knows(&String::from_utf8_lossy(digest));
                Reply::Array(args[1..].iter().map(|digest| Reply::Int(knows(digest).into())).collect())
            }
            _ => {
                self.engine.forget_scripts();
                Reply::OK
            }
        })
    }

    fn functions(&mut self, args: &[&[u8]]) -> Result<Reply, LibraryError> {
        let watch = Rc::clone(&self.watch);
        let rest = &args[1..];
        let has = |word: &str| rest.iter().any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        Ok(match args[0].to_ascii_lowercase().as_slice() {
            b"load" => {
                let code = rest[rest.len() - 1];
                let replace = rest.len() > 1;
                Reply::Bulk(self.libraries.load(&mut self.engine, code, replace, watch)?)
            }
            b"delete" => {
                self.libraries.delete(rest[0])?;
                Reply::OK
            }
            b"flush" => {
                self.libraries.flush();
                self.engine.forget_functions();
                Reply::OK
            }
            b"dump" => Reply::Bulk(self.libraries.dump()),
            b"restore" => {
                let policy = match () {
                    () if has("FLUSH") => Restore::Flush,
                    () if has("REPLACE") => Restore::Replace,
                    () => Restore::Append,
                };
                self.libraries.restore(&mut self.engine, rest[0], policy, &watch)?;
                Reply::OK
            }
            _ => {
                let named = rest.iter().position(|arg| arg.eq_ignore_ascii_case(b"LIBRARYNAME"));
                self.libraries.list(named.map(|at| rest[at + 1]), has("WITHCODE"))
            }
        })
    }
}
