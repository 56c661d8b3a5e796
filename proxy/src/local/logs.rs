//! TIME, MONITOR and SLOWLOG.

use std::sync::atomic::Ordering::Relaxed;

use commands::{Kind, ProxyCommand, Spec, flags::flag};
use resp::Reply;

use super::{Outcome, integer, surplus, syntax_error};
use crate::{execute::Front, pause::replicates, slowlog::Entry};

/// Entries that SLOWLOG GET shows unless told otherwise.
const SLOWLOG_SHOWN: usize = 10;

pub fn time(front: &Front) -> Reply {
    let now_ms = front.conn.worker.shared.env.clock.now_ms();
    let (seconds, micros) = (now_ms / 1000, now_ms % 1000 * 1000);
    Reply::Array(vec![Reply::bulk(seconds.to_string()), Reply::bulk(micros.to_string())])
}

/// Whoever monitors already gets no reply, as in Redis.
pub fn monitor(front: &mut Front) {
    if front.session.feed.is_none() {
        let info = front.conn.info.clone();
        info.monitor.store(true, Relaxed);
        front.session.feed = Some(front.conn.worker.shared.monitors.join(info));
        front.reply(&Reply::OK);
    }
}

/// Whether a client that monitors may use the command: to Redis it is a replica, which has to leave keys
/// alone.
pub fn check_mode(spec: &Spec) -> Result<(), Reply> {
    let is_about_keys = spec.flags.has(flag::READONLY | flag::WRITE) || replicates(spec, &[]);
    match is_about_keys || matches!(spec.kind, Kind::Group { .. }) {
        true => Err(Reply::error("ERR Replica can't interact with the keyspace")),
        false => Ok(()),
    }
}

pub fn run(front: &Front, command: ProxyCommand, args: &[&[u8]]) -> Outcome {
    use ProxyCommand as P;
    let shared = &front.conn.worker.shared;
    match command {
        P::SlowlogGet => slowlog_get(front, args),
        P::SlowlogLen => Ok(Reply::Int(shared.slowlog.lock().len() as i64)),
        P::SlowlogReset => {
            shared.slowlog.lock().clear();
            Ok(Reply::OK)
        }
        _ => Err(syntax_error()),
    }
}

fn slowlog_get(front: &Front, args: &[&[u8]]) -> Outcome {
    let count = match args {
        [_] => SLOWLOG_SHOWN,
        [_, count] => match integer(count) {
            Ok(-1) => usize::MAX,
            Ok(count @ 0..) => usize::try_from(count).unwrap_or(usize::MAX),
            _ => return Err(Reply::error("ERR count should be greater than or equal to -1")),
        },
        _ => return Err(surplus("slowlog", args)),
    };
    let slowlog = front.conn.worker.shared.slowlog.lock();
    Ok(Reply::Array(slowlog.entries().take(count).map(describe).collect()))
}

fn describe(entry: &Entry) -> Reply {
    let words = entry.words.iter().cloned().map(Reply::Bulk).collect();
    Reply::Array(vec![
        Reply::Int(entry.id as i64),
        Reply::Int(entry.time_s as i64),
        Reply::Int(entry.duration_us as i64),
        Reply::Array(words),
        Reply::bulk(&entry.client),
        Reply::Bulk(entry.client_name.clone()),
    ])
}
