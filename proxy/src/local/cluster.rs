//! CLUSTER: answered by [`crate::cluster`], which may have to wait for the topology or to ask the
//! group that serves a slot.

use std::rc::Rc;

use commands::Id;
use resp::Reply;

use crate::{
    ask::{Asker, ask},
    backend_api::{Submit, Target},
    clients::Side,
    cluster::{Answer, Question},
    connection::Call,
    execute::Front,
};

pub fn run(front: &mut Front, args: &[&[u8]], call: Call) {
    if front.session.side == Side::Plain {
        return front.reply(&Reply::error("ERR This instance has cluster support disabled"));
    }
    match front.conn.worker.cluster.answer(args) {
        Answer::Ready(reply) => front.reply(&reply),
        later => {
            let token = front.open(call);
            let backend = front.conn.worker.backend.clone();
            front.conn.run_later(token, front.session.protocol, resolve(later, backend, front.asker()));
        }
    }
}

async fn resolve(mut answer: Answer, backend: Rc<dyn Submit>, asker: Asker) -> Reply {
    loop {
        answer = match answer {
            Answer::Ready(reply) => return reply,
            Answer::Wait(later) => later.await,
            Answer::Ask(question) => return put(question, &*backend, asker).await,
        };
    }
}

async fn put(question: Question, backend: &dyn Submit, asker: Asker) -> Reply {
    let answer = match question {
        Question::CountKeysInSlot { slot } => {
            let number = slot.number().to_string();
            ask(backend, asker, Target::Slot(slot), Id::CountKeysInSlot, &[number.as_bytes()]).await
        }
        Question::GetKeysInSlot { slot, count } => {
            let (number, count) = (slot.number().to_string(), count.to_string());
            let args = [number.as_bytes(), count.as_bytes()];
            ask(backend, asker, Target::Slot(slot), Id::GetKeysInSlot, &args).await
        }
    };
    answer.map_or_else(|error| Reply::error(error.to_string()), Reply::Raw)
}
