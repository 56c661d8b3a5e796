//! CLUSTER commands that change the topology: what they ask for, in Redis's words where it makes no
//! sense.

use commands::CommandError;
use resp::{Reply, number::parse_i64};
use topology::{Change, Slot, SlotMark, SlotSet};

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Change(Change),
    /// Only while the node holds no keys; else this error.
    IfEmpty(Change, &'static str),
    /// The change needs the node's id.
    Meet {
        host: String,
        port: u16,
    },
    /// The topology is durable: there is nothing to change.
    Nothing,
}

/// `args` start with the subcommand.
pub fn parse(args: &[&[u8]]) -> Result<Wish, Reply> {
    let Some((name, rest)) = args.split_first() else { return Err(syntax_error()) };
    let change = match (name.to_ascii_lowercase().as_slice(), rest) {
        (b"addslots", slots) => Change::AddSlots { slots: each(slots)? },
        (b"delslots", slots) => Change::DelSlots { slots: each(slots)? },
        (b"addslotsrange", bounds) => Change::AddSlots { slots: ranges(bounds, "addslotsrange")? },
        (b"delslotsrange", bounds) => Change::DelSlots { slots: ranges(bounds, "delslotsrange")? },
        (b"flushslots", []) => {
            return Ok(Wish::IfEmpty(
                Change::FlushSlots,
                "ERR DB must be empty to perform CLUSTER FLUSHSLOTS.",
            ));
        }
        (b"meet", [_, _, _, _, ..]) | (b"reset" | b"failover", [_, _, ..]) => return Err(surplus(name)),
        (b"meet", [host, port]) => return meet(host, port, None),
        (b"meet", [host, port, bus_port]) => return meet(host, port, Some(bus_port)),
        (b"forget", [node]) => Change::Forget { node: text(node) },
        (b"replicate", [node]) => Change::Replicate { master: text(node) },
        (b"setslot", [slot, rest @ ..]) => {
            Change::SetSlot { slot: self::slot(slot)?.number(), to: mark(rest)? }
        }
        (b"reset", []) => return Ok(reset(false)),
        (b"reset", [how]) if is(how, "SOFT") => return Ok(reset(false)),
        (b"reset", [how]) if is(how, "HARD") => return Ok(reset(true)),
        (b"failover", []) => Change::Failover { force: false },
        (b"failover", [how]) if is(how, "FORCE") || is(how, "TAKEOVER") => Change::Failover { force: true },
        (b"set-config-epoch", [epoch]) => Change::SetConfigEpoch { epoch: config_epoch(epoch)? },
        (b"bumpepoch", []) => Change::BumpEpoch,
        (b"saveconfig", []) => return Ok(Wish::Nothing),
        _ => return Err(syntax_error()),
    };
    Ok(Wish::Change(change))
}

fn each(args: &[&[u8]]) -> Result<SlotSet, Reply> {
    let mut named = Vec::with_capacity(args.len());
    for arg in args {
        named.push(slot(arg)?);
    }
    once_each(named)
}

fn once_each(mut named: Vec<Slot>) -> Result<SlotSet, Reply> {
    named.sort_unstable();
    match named.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(error(format!("Slot {} specified multiple times", pair[0].number()))),
        None => Ok(SlotSet::from_slots(named)),
    }
}

fn ranges(bounds: &[&[u8]], name: &str) -> Result<SlotSet, Reply> {
    let (pairs, rest) = bounds.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(error(format!("wrong number of arguments for 'cluster|{name}' command")));
    }
    let mut named = Vec::new();
    for [first, last] in pairs {
        let (first, last) = (slot(first)?.number(), slot(last)?.number());
        if first > last {
            let text = format!("start slot number {first} is greater than end slot number {last}");
            return Err(error(text));
        }
        named.extend((first..=last).filter_map(Slot::new));
        if named.len() > usize::from(topology::SLOT_COUNT) {
            break; // Some slot is named twice.
        }
    }
    once_each(named)
}

fn slot(arg: &[u8]) -> Result<Slot, Reply> {
    let number = parse_i64(arg).and_then(|n| u16::try_from(n).ok());
    number.and_then(Slot::new).ok_or_else(|| error("Invalid or out of range slot".to_owned()))
}

fn mark(args: &[&[u8]]) -> Result<SlotMark, Reply> {
    match args {
        [word, node] if is(word, "MIGRATING") => Ok(SlotMark::Migrating(text(node))),
        [word, node] if is(word, "IMPORTING") => Ok(SlotMark::Importing(text(node))),
        [word, node] if is(word, "NODE") => Ok(SlotMark::Owner(text(node))),
        [word] if is(word, "STABLE") => Ok(SlotMark::Stable),
        _ => {
            let text = "Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP";
            Err(error(text.to_owned()))
        }
    }
}

fn meet(host: &[u8], port: &[u8], bus_port: Option<&[u8]>) -> Result<Wish, Reply> {
    let number = |arg: &[u8], what: &str| {
        let number = parse_i64(arg);
        number.ok_or_else(|| error(format!("Invalid {what} port specified: {}", text(arg))))
    };
    let as_port = |number: i64| u16::try_from(number).ok().filter(|&port| port > 0);
    let number_of_port = as_port(number(port, "base")?);
    let has_bus = match bus_port {
        Some(bus_port) => as_port(number(bus_port, "bus")?).is_some(),
        None => true,
    };
    let plausible = |b: &u8| b.is_ascii_alphanumeric() || b".-_:%".contains(b);
    let is_host = !host.is_empty() && host.len() <= 255 && host.iter().all(plausible);
    match number_of_port.filter(|_| has_bus && is_host) {
        Some(port) => Ok(Wish::Meet { host: text(host), port }),
        None => Err(error(format!("Invalid node address specified: {}:{}", text(host), text(port)))),
    }
}

fn config_epoch(arg: &[u8]) -> Result<u64, Reply> {
    let epoch = parse_i64(arg)
        .ok_or_else(|| Reply::error("ERR value is not an integer or out of range".to_owned()))?;
    u64::try_from(epoch).map_err(|_| error(format!("Invalid config epoch specified: {epoch}")))
}

fn reset(hard: bool) -> Wish {
    let text = "ERR CLUSTER RESET can't be called with master nodes containing keys";
    Wish::IfEmpty(Change::Reset { hard }, text)
}

/// As shown in an error or compared with ids, which are plain ASCII.
fn text(arg: &[u8]) -> String {
    String::from_utf8_lossy(&arg[..arg.len().min(128)]).replace(['\r', '\n'], " ")
}

fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

fn error(text: String) -> Reply {
    Reply::error(format!("ERR {text}"))
}

/// A subcommand with more arguments than it takes.
fn surplus(name: &[u8]) -> Reply {
    CommandError::Subcommand { container: "cluster", name: name.to_vec() }.into()
}

fn syntax_error() -> Reply {
    error("syntax error".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wish, String> {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        parse(&args).map_err(|reply| match reply {
            Reply::Error(text) => String::from_utf8(text.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn slots_are_named_one_by_one_or_in_ranges() {
        let slots = |ranges: &[(u16, u16)]| {
            SlotSet::from_slots(ranges.iter().flat_map(|&(a, b)| a..=b).filter_map(Slot::new))
        };
        let add = |ranges| Ok(Wish::Change(Change::AddSlots { slots: slots(ranges) }));
        assert_eq!(parsed("ADDSLOTS 3 1 2 9"), add(&[(1, 3), (9, 9)]));
        assert_eq!(parsed("addslotsrange 0 5 7 7"), add(&[(0, 5), (7, 7)]));
    }

    #[test]
    fn nonsense_is_refused_in_the_words_of_redis() {
        for (line, text) in [
            ("ADDSLOTS 16384", "ERR Invalid or out of range slot"),
            ("DELSLOTS -1", "ERR Invalid or out of range slot"),
            ("ADDSLOTS 5 6 5", "ERR Slot 5 specified multiple times"),
            ("ADDSLOTSRANGE 0 16383 4 5", "ERR Slot 4 specified multiple times"),
            ("ADDSLOTSRANGE 5 4", "ERR start slot number 5 is greater than end slot number 4"),
            ("ADDSLOTSRANGE 5 6 7", "ERR wrong number of arguments for 'cluster|addslotsrange' command"),
            ("MEET 1.2.3.4 x", "ERR Invalid base port specified: x"),
            ("MEET 1.2.3.4 7000 x", "ERR Invalid bus port specified: x"),
            ("MEET 1.2.3.4 70000", "ERR Invalid node address specified: 1.2.3.4:70000"),
            ("MEET 1.2.3.4 7000 0", "ERR Invalid node address specified: 1.2.3.4:7000"),
            (
                "MEET 1 2 3 4",
                "ERR unknown subcommand or wrong number of arguments for 'MEET'. Try CLUSTER HELP.",
            ),
            (
                "reset HARD x",
                "ERR unknown subcommand or wrong number of arguments for 'reset'. Try CLUSTER HELP.",
            ),
            (
                "FAILOVER FORCE x",
                "ERR unknown subcommand or wrong number of arguments for 'FAILOVER'. Try CLUSTER HELP.",
            ),
            ("MEET ?! 7000", "ERR Invalid node address specified: ?!:7000"),
            (
                "SETSLOT 5 NOWHERE",
                "ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP",
            ),
            ("SETSLOT x STABLE", "ERR Invalid or out of range slot"),
            ("SET-CONFIG-EPOCH -3", "ERR Invalid config epoch specified: -3"),
            ("RESET GENTLY", "ERR syntax error"),
            ("FAILOVER NOW", "ERR syntax error"),
        ] {
            assert_eq!(parsed(line), Err(text.to_owned()), "{line}");
        }
    }
}
