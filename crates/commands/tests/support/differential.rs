//! Scripts of random commands, here and on a real redis-server: the replies must be equal.

use std::cell::RefCell;

use proptest::prelude::*;
use resp::Reply;

use super::server::Server;
use super::shard::Shard;
use super::text::show;

/// So many cases, or more if proptest is told to.
pub fn at_least(cases: u32) -> ProptestConfig {
    let cases = ProptestConfig::default().cases.max(cases);
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

pub fn argv(words: &[impl AsRef<str>]) -> Vec<&[u8]> {
    words.iter().map(|word| word.as_ref().as_bytes()).collect()
}

/// Runs at least `cases` scripts of up to `steps` commands. After each script the `watched` keys must
/// hold the same strings.
pub fn compare(
    command: impl Strategy<Value = Vec<Vec<u8>>>,
    cases: u32,
    steps: usize,
    watched: &'static [&'static str],
) {
    let Some(server) = Server::start() else { return };
    let server = RefCell::new(server);
    proptest!(at_least(cases), |(commands in prop::collection::vec(command, 1..steps))| {
        let mut server = server.borrow_mut();
        server.run(&[b"FLUSHALL"]);
        let mut shard = Shard::default();
        for argv in &commands {
            let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
            shard.cx.now_ms = server.now_ms();
            let ours = show(&shard.run(&argv));
            // A single server has no slots to cross.
            if ours.starts_with("-CROSSSLOT") {
                continue;
            }
            let theirs = show(&server.run(&argv));
            if !(ours.starts_with("-INVALIDOBJ") && ends_inside_an_opcode(&mut shard, argv[1])) {
                prop_assert_eq!(&ours, &theirs, "{}", script(&commands));
            }
            // What Redis had done before it met the damage, it leaves.
            if ours.starts_with("-INVALIDOBJ") {
                shard.run(&[b"DEL", argv[1]]);
                server.run(&[b"DEL", argv[1]]);
            }
        }
        for key in watched {
            let get: [&[u8]; 2] = [b"GET", key.as_bytes()];
            let (ours, theirs) = (shard.run(&get), server.run(&get));
            if let (Reply::Bulk(ours), Reply::Bulk(theirs)) = (&ours, &theirs) {
                let differs = ours.iter().zip(theirs).position(|(our, their)| our != their);
                prop_assert_eq!(differs, None, "{} differs: {}", key, script(&commands));
            }
            prop_assert_eq!(show(&ours), show(&theirs), "{}", script(&commands));
        }
        shard.check_invariants();
    });
}

/// Whether `key` holds a sparse HyperLogLog whose last XZERO is cut off. Redis takes its other half from
/// behind the end of the value, where anything can be after a change.
fn ends_inside_an_opcode(shard: &mut Shard, key: &[u8]) -> bool {
    const HEADER_BYTES: usize = 16;
    let Reply::Bulk(value) = shard.run(&[b"GET", key]) else { return false };
    let is_xzero = |opcode: &u8| opcode & 0xC0 == 0x40;
    let mut opcodes = value.iter().skip(HEADER_BYTES);
    while let Some(opcode) = opcodes.next() {
        if is_xzero(opcode) && opcodes.next().is_none() {
            return true;
        }
    }
    false
}

fn script(commands: &[Vec<Vec<u8>>]) -> String {
    let line = |argv: &Vec<Vec<u8>>| {
        argv.iter().map(|word| format!("\"{}\"", word.escape_ascii())).collect::<Vec<_>>().join(" ")
    };
    commands.iter().map(line).collect::<Vec<_>>().join("\n")
}
