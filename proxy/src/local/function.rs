//! FUNCTION: the libraries are meta's to keep, and every group has them in its log. So any group reads them,
//! and any group can tell what the code of a library registers, which meta has to know.

use std::rc::Rc;

use bytes::Bytes;
use commands::{Args, Id, ProxyCommand, functions};
use resp::{Protocol, Reply};
use topology::{LibraryChange, LibraryRecord, RestorePolicy};

use super::script;
use crate::{
    ask::{Asker, Question, ask_this, malformed},
    backend_api::{RouteError, Submit, Target},
    clients::Side,
    cluster::Cluster,
    connection::Call,
    execute::Front,
};

/// Whether [`run`] executes the command.
pub fn executes(command: ProxyCommand) -> bool {
    use ProxyCommand::*;
    matches!(
        command,
        FunctionDelete
            | FunctionDump
            | FunctionFlush
            | FunctionList
            | FunctionLoad
            | FunctionRestore
            | FunctionStats
    )
}

/// What is to be done, the arguments checked.
enum Wish {
    /// A group answers the client.
    Read(Id, Vec<Bytes>),
    Stats,
    /// A group reads this, for meta.
    Load {
        code: Bytes,
        replace: bool,
        joins: bool,
    },
    Restore {
        payload: Bytes,
        policy: RestorePolicy,
    },
    Change(LibraryChange),
}

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]], call: Call) {
    let librarian = Librarian::of(front);
    let wish = match librarian.wish(command, args) {
        Ok(wish) => wish,
        Err(reply) => return front.reply(&reply),
    };
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move { librarian.fulfil(wish).await });
}

/// A node of the announced cluster that has met no other with slots: as far as its clients can see, it is
/// empty.
fn is_apart(front: &Front) -> bool {
    let mut apart = false;
    if front.session.side == Side::Cluster {
        front.conn.worker.backend.with_announced(&mut |announced| apart = announced.is_empty());
    }
    apart
}

/// What such a node has.
fn without_libraries(command: ProxyCommand) -> Option<Reply> {
    match command {
        ProxyCommand::FunctionDump => Some(Reply::Bulk(functions::empty_payload())),
        ProxyCommand::FunctionList => Some(Reply::Array(Vec::new())),
        _ => None,
    }
}

/// `joins`: what is so already is no error.
fn wish(command: ProxyCommand, args: &[&[u8]], joins: bool) -> Result<Wish, Reply> {
    let table = Args::new(args);
    let copy = |arg: &[u8]| Bytes::copy_from_slice(arg);
    Ok(match command {
        ProxyCommand::FunctionList => {
            functions::listing(&table)?;
            Wish::Read(Id::ListLibraries, args.iter().map(|arg| copy(arg)).collect())
        }
        ProxyCommand::FunctionDump => Wish::Read(Id::DumpLibraries, Vec::new()),
        ProxyCommand::FunctionStats => Wish::Stats,
        ProxyCommand::FunctionLoad => {
            let (code, replace) = functions::loading(&table)?;
            Wish::Load { code: copy(code), replace, joins }
        }
        ProxyCommand::FunctionRestore => {
            let (payload, policy) = functions::restoring(&table)?;
            let policy = match policy {
                functions::Policy::Append if joins => RestorePolicy::Join,
                functions::Policy::Append => RestorePolicy::Append,
                functions::Policy::Replace => RestorePolicy::Replace,
                functions::Policy::Flush => RestorePolicy::Flush,
            };
            Wish::Restore { payload: copy(payload), policy }
        }
        ProxyCommand::FunctionDelete => {
            // No library has a name that is no text.
            let name = String::from_utf8_lossy(args[1]).into_owned();
            Wish::Change(LibraryChange::Delete { name, joins })
        }
        _ => {
            functions::flushing(&table)?;
            Wish::Change(LibraryChange::Flush)
        }
    })
}

/// Looks after the libraries for one client.
pub struct Librarian {
    cluster: Cluster,
    backend: Rc<dyn Submit>,
    asker: Asker,
    /// Its node shows no libraries.
    is_apart: bool,
    /// Clients of the cluster's side tell every master, and each of these is the whole cluster.
    joins: bool,
}

impl Librarian {
    pub fn of(front: &Front) -> Self {
        let worker = &front.conn.worker;
        let (cluster, backend) = (worker.cluster.clone(), worker.backend.clone());
        let joins = front.session.side == Side::Cluster;
        Self { cluster, backend, asker: front.asker(), is_apart: is_apart(front), joins }
    }

    /// Executes FUNCTION.
    pub async fn execute(&self, command: ProxyCommand, args: &[&[u8]]) -> Reply {
        match self.wish(command, args) {
            Ok(wish) => self.fulfil(wish).await,
            Err(reply) => reply,
        }
    }

    /// What is to be done; the reply if it is nothing.
    fn wish(&self, command: ProxyCommand, args: &[&[u8]]) -> Result<Wish, Reply> {
        match without_libraries(command).filter(|_| self.is_apart) {
            Some(reply) => Err(reply),
            None => wish(command, args, self.joins),
        }
    }

    async fn fulfil(&self, wish: Wish) -> Reply {
        self.fulfilled(wish).await.unwrap_or_else(|refusal| refusal)
    }

    async fn fulfilled(&self, wish: Wish) -> Result<Reply, Reply> {
        match wish {
            Wish::Read(id, args) => self.ask(id, args, self.asker.protocol).await.map(Reply::Raw),
            Wish::Stats => self.stats().await,
            Wish::Change(change) => self.cluster.change_libraries(change).await.map(|()| Reply::OK),
            Wish::Load { code, replace, joins } => {
                // Then the group does not mind what is there: meta decides.
                let replaces = (replace || joins).then(|| Bytes::from_static(b"REPLACE"));
                let args = std::iter::once(code).chain(replaces).collect();
                let library = record(self.read(Id::ReadLibrary, args).await?)?;
                let name = library.name.clone();
                self.cluster.change_libraries(LibraryChange::Load { library, replace, joins }).await?;
                Ok(Reply::bulk(name))
            }
            Wish::Restore { payload, policy } => {
                let Reply::Array(read) = self.read(Id::ReadLibraries, vec![payload]).await? else {
                    return Err(malformed());
                };
                let libraries = read.into_iter().map(record).collect::<Result<_, _>>()?;
                self.cluster.change_libraries(LibraryChange::Restore { libraries, policy }).await?;
                Ok(Reply::OK)
            }
        }
    }

    /// All groups have the same libraries, and perhaps one a function that runs.
    async fn stats(&self) -> Result<Reply, Reply> {
        let protocol = self.asker.protocol;
        let answers = script::ask_urgently(&*self.backend, Id::LibraryStats, &[], protocol).await;
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        let running = answers.iter().position(|answer| runs_something(answer, protocol)).unwrap_or(0);
        match answers.is_empty() {
            true => Err(Reply::error(RouteError::ClusterDown("The cluster is down").to_string())),
            false => Ok(Reply::Raw(answers.swap_remove(running))),
        }
    }

    /// What a group has read, or why it could not.
    async fn read(&self, id: Id, args: Vec<Bytes>) -> Result<Reply, Reply> {
        let bytes = self.ask(id, args, Protocol::Resp2).await?;
        match resp::parse(&bytes, Protocol::Resp2) {
            Ok(Some((error @ Reply::Error(_), _))) => Err(error),
            Ok(Some((reply, _))) => Ok(reply),
            _ => Err(malformed()),
        }
    }

    async fn ask(&self, id: Id, args: Vec<Bytes>, protocol: Protocol) -> Result<Bytes, Reply> {
        let nobody = || Reply::error(RouteError::ClusterDown("The cluster is down").to_string());
        let group = self.backend.groups().first().copied().ok_or_else(nobody)?;
        let spec = id.spec();
        let asker = Asker { protocol, ..self.asker };
        let question = Question { asker, target: Target::Group(group), spec, args, writes: false };
        ask_this(&*self.backend, &question, 0).await.map_err(|error| Reply::error(error.to_string()))
    }
}

/// Whether an answer of FUNCTION STATS names a function that runs.
fn runs_something(answer: &Bytes, protocol: Protocol) -> bool {
    match resp::parse(answer, protocol) {
        Ok(Some((Reply::Map(fields), _))) => fields.first().is_some_and(|(_, running)| is_something(running)),
        Ok(Some((Reply::Array(items), _))) => items.get(1).is_some_and(is_something),
        _ => false,
    }
}

fn is_something(reply: &Reply) -> bool {
    !matches!(reply, Reply::Null | Reply::NullArray)
}

/// A library as a group describes it: name, functions, and the whole.
fn record(described: Reply) -> Result<LibraryRecord, Reply> {
    let Reply::Array(fields) = described else { return Err(malformed()) };
    let Ok([Reply::Bulk(name), Reply::Array(functions), Reply::Bulk(stored)]) =
        <[Reply; 3]>::try_from(fields)
    else {
        return Err(malformed());
    };
    let functions = functions.into_iter().map(|function| match function {
        Reply::Bulk(name) => text(&name),
        _ => Err(malformed()),
    });
    Ok(LibraryRecord {
        name: text(&name)?,
        functions: functions.collect::<Result<_, _>>()?,
        stored: stored.to_vec(),
    })
}

/// Names are letters, digits and underscores.
fn text(name: &[u8]) -> Result<String, Reply> {
    String::from_utf8(name.to_vec()).map_err(|_| malformed())
}
