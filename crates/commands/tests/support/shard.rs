//! One group's store with what a storage node adds: group time, databases, undo of failed commands.

use commands::{Args, CommandError, Cx, Handler, Kind, ProxyCommand, Spec, introspect, memory, resolve};
use datatypes::Limits;
use datatypes::mem::MemKv;
use resp::{Aggregate, Protocol, Reply};

pub struct Shard {
    pub kv: MemKv,
    pub cx: Cx,
}

impl Default for Shard {
    fn default() -> Self {
        let cx = Cx {
            now_ms: 1_700_000_000_000,
            db: 0,
            seed: 1,
            protocol: Protocol::Resp2,
            limits: Limits::default(),
        };
        Self { kv: MemKv::default(), cx }
    }
}

impl Shard {
    /// Executes a command as client, proxy and storage node together would.
    pub fn run(&mut self, argv: &[&[u8]]) -> Reply {
        let result = resolve(argv).and_then(|spec| self.execute(spec, &argv[1..]));
        result.map_or_else(Reply::from, spelt_out)
    }

    /// Executes one row; what fails leaves no trace.
    pub fn execute(&mut self, spec: &'static Spec, args: &[&[u8]]) -> Result<Reply, CommandError> {
        self.cx.seed = self.cx.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        spec.slot(args)?;
        match spec.kind {
            Kind::Local(command) => return local(command, spec, args),
            Kind::Group { .. } => return Ok(Reply::Simple("left to the group")),
            _ => {}
        }
        let mut args = args.to_vec();
        if spec.full_name == "scan" && !args.is_empty() {
            args.insert(1, b"16384");
        }
        let (args, cx) = (Args::new(&args), self.cx);
        let result = match spec.handler().expect("only containers have none") {
            Handler::Read(read) => read(&mut self.kv, &args, &cx),
            Handler::Write(write) => self.kv.transact(|kv| write(kv, &args, &cx)),
        };
        // As within a transaction, nothing is waited for.
        match result {
            Err(CommandError::WouldBlock(null)) => Ok(null.into()),
            result => result,
        }
    }

    /// What is stored about each key agrees.
    pub fn check_invariants(&self) {
        datatypes::check::check_invariants(&self.kv);
    }
}

/// The commands of the proxy that the table itself answers.
fn local(command: ProxyCommand, spec: &Spec, args: &[&[u8]]) -> Result<Reply, CommandError> {
    let args = Args::new(args);
    Ok(match command {
        ProxyCommand::Command => introspect::all_info(),
        ProxyCommand::CommandCount => introspect::count(),
        ProxyCommand::CommandDocs => introspect::docs(&args),
        ProxyCommand::CommandGetKeys => introspect::get_keys(&args)?,
        ProxyCommand::CommandGetKeysAndFlags => introspect::get_keys_and_flags(&args)?,
        ProxyCommand::CommandInfo => introspect::info(&args),
        ProxyCommand::CommandList => introspect::list(&args)?,
        ProxyCommand::Debug => return Err(CommandError::DebugDisabled),
        ProxyCommand::MemoryDoctor => memory::doctor(),
        ProxyCommand::MemoryMallocStats => memory::malloc_stats(),
        ProxyCommand::MemoryPurge => memory::purge(),
        ProxyCommand::MemoryStats => memory::stats(Some(1 << 20)),
        ProxyCommand::Help => introspect::help(spec),
        _ => Reply::Simple("left to the proxy"),
    })
}

/// As a client reads it: with a value for each item.
pub fn spelt_out(reply: Reply) -> Reply {
    let Reply::Bulks(aggregate, bulks) = reply else { return reply };
    let mut items = bulks.iter().map(Reply::bulk);
    match aggregate {
        Aggregate::Array => Reply::Array(items.collect()),
        Aggregate::Set => Reply::Set(items.collect()),
        Aggregate::Map => Reply::Map(std::iter::from_fn(|| items.next().zip(items.next())).collect()),
    }
}
