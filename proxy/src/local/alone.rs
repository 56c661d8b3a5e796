//! What concerns a Redis that stands alone: saving, replicas, modules, the process.

use commands::{Id, Spec};
use resp::Reply;

use super::{Outcome, connection::REDIS_VERSION, integer, is, syntax_error};

const SAVED: &str = "every write is on disk at a majority of its replicas before it is answered";

pub fn run(args: &[&[u8]], spec: &Spec) -> Outcome {
    let name = spec.name().to_ascii_uppercase();
    match spec.id {
        Id::Lolwut => lolwut(args),
        Id::Pfselftest => match commands::hyperloglog_self_test() {
            Ok(()) => Ok(Reply::OK),
            Err(fault) => Err(Reply::error(format!("TESTFAILED {fault}"))),
        },
        Id::ModuleList => Ok(Reply::Array(Vec::new())),
        Id::Failover | Id::Replicaof | Id::Slaveof => {
            Err(Reply::error(format!("ERR {name} not allowed in cluster mode.")))
        }
        Id::Shutdown => Err(shutdown(args)),
        Id::ModuleLoad | Id::ModuleLoadex | Id::ModuleUnload => {
            Err(Reply::error("ERR modules cannot be loaded here"))
        }
        _ => Err(Reply::error(format!("ERR {name} is not available: {SAVED}"))),
    }
}

/// Nothing is drawn; the numbers that versions 5 and 6 draw by are read all the same.
fn lolwut(args: &[&[u8]]) -> Outcome {
    if let [word, version, numbers @ ..] = args
        && is(word, "VERSION")
    {
        let most = match integer(version)? {
            5 => 3,
            6 => 2,
            _ => 0,
        };
        numbers.iter().take(most).try_for_each(|number| integer(number).map(drop))?;
    }
    Ok(Reply::bulk(format!("Redis ver. {REDIS_VERSION}\n")))
}

fn shutdown(args: &[&[u8]]) -> Reply {
    let has = |word| args.iter().any(|arg| is(arg, word));
    let is_known = |arg: &&[u8]| ["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"].iter().any(|word| is(arg, word));
    if !args.iter().all(is_known) || (has("SAVE") && has("NOSAVE")) || (has("ABORT") && args.len() > 1) {
        return syntax_error();
    }
    match has("ABORT") {
        true => Reply::error("ERR No shutdown in progress."),
        false => Reply::error("ERR SHUTDOWN is not available: whoever started this process stops it"),
    }
}

#[cfg(test)]
mod tests {
    use commands::{CommandError, lookup};

    use super::*;

    fn told(command: &str) -> Reply {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        run(&words[1..], lookup(words[0]).unwrap()).unwrap_or_else(|error| error)
    }

    #[test]
    fn hyperloglogs_pass_their_test() {
        assert_eq!(told("PFSELFTEST"), Reply::OK);
    }

    #[test]
    fn lolwut_reads_the_numbers_of_old_drawings() {
        let drawn = Reply::bulk(format!("Redis ver. {REDIS_VERSION}\n"));
        for right in
            ["LOLWUT", "LOLWUT foo", "LOLWUT VERSION", "LOLWUT VERSION 7 foo", "LOLWUT VERSION 6 1 2 foo"]
        {
            assert_eq!(told(right), drawn, "{right}");
        }
        for wrong in ["LOLWUT VERSION x", "LOLWUT VERSION 5 foo", "LOLWUT version 5 1 2 foo"] {
            assert_eq!(told(wrong), CommandError::NotInteger.into(), "{wrong}");
        }
    }

    #[test]
    fn shutdown_is_refused_after_its_words_were_read() {
        for wrong in ["SHUTDOWN LATER", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT NOW"] {
            assert_eq!(told(wrong), syntax_error(), "{wrong}");
        }
        assert_eq!(told("SHUTDOWN ABORT"), Reply::error("ERR No shutdown in progress."));
        assert_eq!(
            told("SHUTDOWN NOSAVE NOW FORCE"),
            Reply::error("ERR SHUTDOWN is not available: whoever started this process stops it")
        );
    }
}
