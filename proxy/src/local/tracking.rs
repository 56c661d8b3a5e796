//! CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR: client-side caching.

use bytes::Bytes;
use commands::ProxyCommand;
use resp::Reply;

use super::{Outcome, integer, is, syntax_error};
use crate::{
    connection::{Call, Rest},
    execute::Front,
    pubsub::{Settled, Subscriber},
    tracking::{Member, Tracks},
};

const OTHER_BROADCAST: &str = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, \
                               and then re-enabling it with a different mode.";
const OTHER_OPTION: &str = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and \
                            then re-enabling it with a different mode.";

pub fn run(front: &mut Front, command: ProxyCommand, args: &[&[u8]]) -> Outcome {
    match command {
        ProxyCommand::ClientCaching => caching(front, args[1]),
        ProxyCommand::ClientGetRedir => Ok(Reply::Int(front.conn.info.tracking.redirect())),
        _ => Ok(info(front)),
    }
}

/// CLIENT TRACKING. With BCAST it is answered when every leader knows.
pub fn switch(front: &mut Front, args: &[&[u8]], call: Call) {
    match begin(front, args) {
        Ok(None) => front.reply(&Reply::OK),
        Ok(Some(settled)) => {
            let token = front.open(call);
            front.conn.hold_messages(token);
            front.conn.run_then(token, async move {
                // The hub lives as long as the process.
                let outcome = settled.await.unwrap_or(Ok(()));
                let rest: Rest = Box::new(move |front| match outcome {
                    Ok(()) => Reply::OK,
                    Err(error) => {
                        leave(front);
                        Reply::error(error.to_string())
                    }
                });
                rest
            });
        }
        Err(reply) => front.reply(&reply),
    }
}

fn begin(front: &mut Front, args: &[&[u8]]) -> Result<Option<Settled>, Reply> {
    let (wish, prefixes) = parse(front, &args[2..])?;
    match args[1] {
        word if is(word, "ON") => {
            check(&wish, &prefixes, front.session.tracking.as_deref())?;
            join(front, wish, prefixes)
        }
        word if is(word, "OFF") => {
            leave(front);
            Ok(None)
        }
        _ => Err(syntax_error()),
    }
}

fn parse(front: &Front, mut args: &[&[u8]]) -> Result<(Tracks, Vec<Bytes>), Reply> {
    let (mut wish, mut prefixes) = (Tracks::default(), Vec::new());
    loop {
        args = match args {
            [] => return Ok((wish, prefixes)),
            [word, id, rest @ ..] if is(word, "REDIRECT") => {
                if wish.redirect != 0 {
                    return Err(Reply::error("ERR A client can only redirect to a single other client"));
                }
                let id = u64::try_from(integer(id)?).ok();
                let target = id.and_then(|id| front.conn.worker.shared.clients.get(id));
                let missing = || Reply::error("ERR The client ID you want redirect to does not exist");
                wish.redirect = target.ok_or_else(missing)?.id;
                rest
            }
            [word, prefix, rest @ ..] if is(word, "PREFIX") => {
                prefixes.push(Bytes::copy_from_slice(prefix));
                rest
            }
            [word, rest @ ..] => {
                let option = match word {
                    w if is(w, "BCAST") => &mut wish.broadcast,
                    w if is(w, "OPTIN") => &mut wish.opt_in,
                    w if is(w, "OPTOUT") => &mut wish.opt_out,
                    w if is(w, "NOLOOP") => &mut wish.no_loop,
                    _ => return Err(syntax_error()),
                };
                *option = true;
                rest
            }
        };
    }
}

/// Whether the options go together, and with those in force.
fn check(wish: &Tracks, prefixes: &[Bytes], now: Option<&Tracks>) -> Result<(), Reply> {
    if !wish.broadcast && !prefixes.is_empty() {
        return Err(Reply::error("ERR PREFIX option requires BCAST mode to be enabled"));
    }
    if now.is_some_and(|now| now.broadcast != wish.broadcast) {
        return Err(Reply::error(OTHER_BROADCAST));
    }
    if wish.broadcast && (wish.opt_in || wish.opt_out) {
        return Err(Reply::error("ERR OPTIN and OPTOUT are not compatible with BCAST"));
    }
    if wish.opt_in && wish.opt_out {
        return Err(Reply::error("ERR You can't specify both OPTIN mode and OPTOUT mode"));
    }
    if now.is_some_and(|now| wish.opt_in && now.opt_out || wish.opt_out && now.opt_in) {
        return Err(Reply::error(OTHER_OPTION));
    }
    check_overlaps(prefixes, now)
}

/// A key has at most one of a client's prefixes.
fn check_overlaps(prefixes: &[Bytes], now: Option<&Tracks>) -> Result<(), Reply> {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    let refused = |prefix: &[u8], which: &str, other: &[u8]| {
        let quote = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let text = format!(
            "ERR Prefix '{}' overlaps with {which} prefix '{}'. Prefixes for a single client must not overlap.",
            quote(prefix),
            quote(other)
        );
        Err(Reply::error(text))
    };
    for (at, prefix) in prefixes.iter().enumerate() {
        let known = now.into_iter().flat_map(|now| &now.prefixes);
        if let Some(other) = known.into_iter().find(|known| overlap(known, prefix)) {
            return refused(prefix, "an existing", other);
        }
        if let Some(other) = prefixes[at + 1..].iter().find(|other| overlap(prefix, other)) {
            return refused(prefix, "another provided", other);
        }
    }
    Ok(())
}

fn join(front: &mut Front, mut tracks: Tracks, mut prefixes: Vec<Bytes>) -> Result<Option<Settled>, Reply> {
    let shared = front.conn.worker.shared.clone();
    let info = front.conn.info.clone();
    if tracks.broadcast {
        shared.pubsub.knows_leaders().map_err(|error| Reply::error(error.to_string()))?;
        if prefixes.is_empty() {
            prefixes.push(Bytes::new());
        }
    }
    tracks.prefixes.extend(prefixes.iter().cloned());
    if let Some(before) = &front.session.tracking {
        tracks.caching = before.caching;
        tracks.prefixes.extend(before.prefixes.iter().cloned());
    }
    let subscriber = front.session.subscriber.get_or_insert_with(|| Subscriber::new(info.clone()));
    front.session.writer =
        if tracks.no_loop { shared.pubsub.publisher().wrapping_add(info.id).max(1) } else { 0 };
    let member = Member {
        subscriber: subscriber.clone(),
        worker: front.conn.worker.number,
        redirect: tracks.redirect,
        broadcast: tracks.broadcast,
        writer: front.session.writer,
    };
    info.tracking.show(Some(&tracks));
    front.session.tracking = Some(Box::new(tracks));
    Ok(shared.tracking.join(&shared, member, &prefixes))
}

/// The client tracks no more.
pub fn leave(front: &mut Front) {
    if front.session.tracking.take().is_some() {
        front.session.writer = 0;
        front.conn.info.tracking.show(None);
        let shared = &front.conn.worker.shared;
        shared.tracking.leave(shared, front.conn.info.id);
    }
}

fn caching(front: &mut Front, word: &[u8]) -> Outcome {
    let Some(tracks) = &mut front.session.tracking else {
        return Err(Reply::error(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
             enabled",
        ));
    };
    let (fits, refusal) = match word {
        w if is(w, "YES") => {
            (tracks.opt_in, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
        }
        w if is(w, "NO") => {
            (tracks.opt_out, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
        }
        _ => return Err(syntax_error()),
    };
    if !fits {
        return Err(Reply::error(refusal));
    }
    tracks.caching = true;
    Ok(Reply::OK)
}

/// In a transaction; `has_read`: something that does not go by it. NO is said of the next commands alone.
pub fn caching_in_transaction(front: &mut Front, word: &[u8], has_read: bool) -> Outcome {
    let reply = caching(front, word)?;
    if let Some(tracks) = &mut front.session.tracking
        && tracks.opt_out
        && has_read
    {
        tracks.caching = false;
    }
    Ok(reply)
}

fn info(front: &Front) -> Reply {
    let tracking = front.session.tracking.as_deref();
    let none = Tracks::default();
    let tracks = tracking.unwrap_or(&none);
    let flags = [
        (true, if tracking.is_some() { "on" } else { "off" }),
        (tracks.broadcast, "bcast"),
        (tracks.opt_in, "optin"),
        (tracks.opt_in && tracks.caching, "caching-yes"),
        (tracks.opt_out, "optout"),
        (tracks.opt_out && tracks.caching, "caching-no"),
        (tracks.no_loop, "noloop"),
        (front.conn.info.tracking.is_broken(), "broken_redirect"),
    ];
    let flags = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| Reply::bulk(flag)).collect();
    Reply::Map(vec![
        (Reply::bulk("flags"), Reply::Set(flags)),
        (Reply::bulk("redirect"), Reply::Int(front.conn.info.tracking.redirect())),
        (Reply::bulk("prefixes"), Reply::Array(tracks.prefixes.iter().cloned().map(Reply::Bulk).collect())),
    ])
}
