//! Libraries between this and a real redis-server, both ways.

mod support;

use resp::Reply;
use support::here::Here;
use support::server::Server;
use support::text::show;

const CODE: &str = "#!lua name=lib\nredis.register_function{function_name = 'f', callback = function(keys, args) \
                    return 'some text that is long enough, long enough, long enough to be compressed' end, \
                    description = 'told', flags = {'no-writes'}}";
const OTHER: &str = "#!lua name=other\nredis.register_function('g', function() return 1 end)";

fn dump(reply: &Reply) -> Vec<u8> {
    let Reply::Bulk(payload) = reply else { panic!("FUNCTION DUMP answers a payload, not {reply:?}") };
    payload.to_vec()
}

#[test]
fn what_redis_dumps_is_restored_and_the_other_way_round() {
    let Some(mut server) = Server::start() else { return };
    let mut here = Here::default();
    server.run(&[b"FUNCTION", b"LOAD", CODE.as_bytes()]);
    let theirs = dump(&server.run(&[b"FUNCTION", b"DUMP"]));
    assert_eq!(show(&here.run(&[b"FUNCTION", b"RESTORE", &theirs])), "+OK");
    let list: [&[u8]; 3] = [b"FUNCTION", b"LIST", b"WITHCODE"];
    assert_eq!(show(&here.run(&list)), show(&server.run(&list)));
    assert_eq!(show(&here.run(&[b"FCALL_RO", b"f", b"0"])), show(&server.run(&[b"FCALL_RO", b"f", b"0"])));
    here.run(&[b"FUNCTION", b"LOAD", OTHER.as_bytes()]);
    let ours = dump(&here.run(&[b"FUNCTION", b"DUMP"]));
    let flush: [&[u8]; 4] = [b"FUNCTION", b"RESTORE", &ours, b"FLUSH"];
    assert_eq!(show(&server.run(&flush)), "+OK");
    assert_eq!(show(&server.run(&[b"FCALL", b"g", b"0"])), ":1");
    assert_eq!(show(&server.run(&[b"FCALL", b"f", b"0"])), show(&here.run(&[b"FCALL", b"f", b"0"])));
}

#[test]
fn a_restore_is_all_or_nothing() {
    let mut here = Here::default();
    here.run(&[b"FUNCTION", b"LOAD", CODE.as_bytes()]);
    here.run(&[b"FUNCTION", b"LOAD", OTHER.as_bytes()]);
    let payload = dump(&here.run(&[b"FUNCTION", b"DUMP"]));
    here.run(&[b"FUNCTION", b"DELETE", b"lib"]);
    let before = here.libraries.clone();
    let append: [&[u8]; 3] = [b"FUNCTION", b"RESTORE", &payload];
    assert_eq!(show(&here.run(&append)), "-ERR Library other already exists");
    assert_eq!(here.libraries, before);
    assert_eq!(show(&here.run(&[b"FUNCTION", b"RESTORE", &payload, b"REPLACE"])), "+OK");
    assert!(here.libraries.is_consistent() && here.libraries.get(b"lib").is_some());
    here.run(&[b"FUNCTION", b"FLUSH"]);
    here.run(&[b"FUNCTION", b"LOAD", b"#!lua name=third\nredis.register_function('g', function() end)"]);
    assert_eq!(show(&here.run(&append)), "-ERR Function g already exists");
    assert_eq!(show(&here.run(&[b"FUNCTION", b"RESTORE", &payload, b"FLUSH"])), "+OK");
    assert!(here.libraries.get(b"third").is_none());
}

/// The engine compiles anew what changed behind its back: another node loaded it.
#[test]
fn libraries_that_were_loaded_elsewhere_are_called() {
    let mut elsewhere = Here::default();
    elsewhere.run(&[b"FUNCTION", b"LOAD", OTHER.as_bytes()]);
    let mut here = Here { libraries: elsewhere.libraries.clone(), ..Here::default() };
    assert_eq!(show(&here.run(&[b"FCALL", b"g", b"0"])), ":1");
    let newer = OTHER.replace("return 1", "return 2");
    elsewhere.run(&[b"FUNCTION", b"LOAD", b"REPLACE", newer.as_bytes()]);
    here.libraries = elsewhere.libraries.clone();
    assert_eq!(show(&here.run(&[b"FCALL", b"g", b"0"])), ":2");
    here.libraries = Default::default();
    assert_eq!(show(&here.run(&[b"FCALL", b"g", b"0"])), "-ERR Function not found");
}
