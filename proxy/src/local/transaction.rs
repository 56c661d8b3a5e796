//! MULTI, EXEC, DISCARD. Only changes of the topology can be queued so far: they go to meta as one
//! step. Anything else is refused when it is queued, and EXEC then runs nothing.

use commands::{Kind, ProxyCommand, Spec};
use resp::Reply;

use super::{Outcome, cluster::Changer};
use crate::{clients::Side, cluster::Cluster, cluster::Wish, connection::Call, execute::Front};

/// Commands between MULTI and EXEC.
const QUEUED_MAX: usize = 1 << 20;

/// A transaction that is being queued.
#[derive(Debug, Default)]
pub struct Transaction {
    wishes: Vec<Wish>,
    /// A command was refused: EXEC runs nothing.
    dirty: bool,
}

impl Transaction {
    pub fn refuse(&mut self) {
        self.dirty = true;
    }
}

pub fn multi(front: &mut Front) -> Outcome {
    if front.session.transaction.is_some() {
        return Err(Reply::error("ERR MULTI calls can not be nested"));
    }
    front.session.transaction = Some(Transaction::default());
    Ok(Reply::OK)
}

pub fn discard(front: &mut Front) -> Outcome {
    match front.session.transaction.take() {
        Some(_) => Ok(Reply::OK),
        None => Err(Reply::error("ERR DISCARD without MULTI")),
    }
}

/// Whether `spec` waits for EXEC; then it has its reply.
pub fn queue(front: &mut Front, spec: &Spec, args: &[&[u8]]) -> bool {
    use ProxyCommand::{Discard, Exec, Multi, Quit, Reset};
    let runs_at_once = matches!(spec.kind, Kind::Local(Discard | Exec | Multi | Quit | Reset));
    let side = front.session.side;
    let Some(transaction) = front.session.transaction.as_mut().filter(|_| !runs_at_once) else {
        return false;
    };
    let wish = match spec.kind {
        Kind::Local(ProxyCommand::ClusterChange) if side == Side::Cluster => Cluster::parse_change(args),
        _ => Err(Reply::error(format!("ERR '{}' inside MULTI is not available yet", spec.full_name))),
    };
    let reply = match wish {
        Ok(wish) if transaction.wishes.len() < QUEUED_MAX => {
            transaction.wishes.push(wish);
            Reply::Simple("QUEUED")
        }
        Ok(_) => {
            transaction.dirty = true;
            Reply::error("ERR too many commands inside MULTI")
        }
        Err(reply) => {
            transaction.dirty = true;
            reply
        }
    };
    front.reply(&reply);
    true
}

pub fn exec(front: &mut Front, call: Call) {
    let Some(Transaction { wishes, dirty }) = front.session.transaction.take() else {
        return front.reply(&Reply::error("ERR EXEC without MULTI"));
    };
    if dirty {
        return front.reply(&Reply::error("EXECABORT Transaction discarded because of previous errors."));
    }
    let changer = Changer::new(front);
    let token = front.open(call);
    front.conn.run_later(token, front.session.protocol, async move {
        changer.run(wishes).await.map_or_else(|error| error, Reply::Array)
    });
}
