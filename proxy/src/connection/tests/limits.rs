//! Bounds, pauses, and clients that act on others.

use std::sync::atomic::Ordering::Relaxed;

use commands::{Id, wire};

use super::*;

#[test]
fn no_more_commands_are_taken_than_the_pipeline_is_deep() {
    let options = Options { pipeline_depth: 8, ..Options::default() };
    on_stage(options, async |stage| {
        let mut client = stage.connect(Side::Plain);
        stage.backend.holding.set(true);
        client.send("get a\r\n".repeat(50)).await;
        for _ in 0..6 {
            until(|| stage.backend.held() == 8).await;
            stage.backend.release(true);
        }
        until(|| stage.backend.held() == 2).await;
        stage.backend.release(false);
        client.expect(&"$-1\r\n".repeat(50)).await;
    });
}

#[test]
fn a_client_that_does_not_read_is_closed_alone() {
    let options = Options { output_buffer_bytes: 1 << 20, ..Options::default() };
    on_stage(options, async |stage| {
        let mut good = stage.connect(Side::Plain);
        let mut deaf = stage.connect(Side::Plain);
        let value = "x".repeat(100_000);
        good.ask(&format!("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$100000\r\n{value}"), "+OK\r\n").await;
        deaf.send("get k\r\n".repeat(50)).await;
        until(|| stage.worker.shared.clients.len() == 1).await;
        good.ask("ping", "+PONG\r\n").await;
    });
}

#[test]
fn replies_that_come_while_the_socket_is_full_count() {
    let options = Options { output_buffer_bytes: 1 << 20, ..Options::default() };
    on_stage(options, async |stage| {
        let mut deaf = stage.connect(Side::Plain);
        let value = "x".repeat(100_000);
        deaf.ask(&format!("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$100000\r\n{value}"), "+OK\r\n").await;
        deaf.send("get k\r\n".repeat(5)).await;
        until(|| stage.backend.received.get() == 6).await;
        stage.backend.holding.set(true);
        deaf.send("get k\r\n".repeat(15)).await;
        until(|| stage.backend.held() == 15).await;
        stage.backend.release(false);
        until(|| stage.worker.shared.clients.is_empty()).await;
    });
}

#[test]
fn replies_of_the_proxy_itself_count_before_more_are_made() {
    let options = Options { output_buffer_bytes: 2 << 20, ..Options::default() };
    on_stage(options, async |stage| {
        let mut deaf = stage.connect(Side::Plain);
        deaf.send("command docs\r\n".repeat(4000)).await;
        until(|| stage.worker.shared.clients.is_empty()).await;
        let executed = stage.worker.counters().commands.load(Relaxed);
        assert!(executed < 50, "{executed} executed");
    });
}

#[test]
fn others_get_their_turns() {
    on_stage(Options::default(), async |stage| {
        let executed = || stage.worker.counters().commands.load(Relaxed);
        let mut greedy = stage.connect(Side::Plain);
        greedy.send("ping\r\n".repeat(20_000)).await;
        until(|| executed() > 0).await;
        assert!(executed() < 2000, "{} executed", executed());
        greedy.expect(&"+PONG\r\n".repeat(20_000)).await;
    });
}

#[test]
fn little_is_kept_of_what_a_client_sends_while_it_waits() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        let info = stage.worker.shared.clients.get(client.id).unwrap();
        client.send("client pause 3600000\r\nping\r\n").await;
        client.expect("+OK\r\n").await;
        info.set_blocked(true);
        info.wake();
        let flood = "ping\r\n".repeat(500_000);
        let sending = spawn_local(async move { client.io.write_all(flood.as_bytes()).await });
        let kept = || info.query_bytes.load(Relaxed);
        until(|| kept() >= 1 << 20).await;
        settle().await;
        assert!(kept() < 3 << 19 && !sending.is_finished(), "{} kept", kept());
        sending.abort();
    });
}

#[test]
fn requests_beyond_the_query_buffer_close_the_client() {
    let options = Options { query_buffer_bytes: 1 << 20, ..Options::default() };
    on_stage(options, async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.send("*2\r\n$4\r\necho\r\n$2000000\r\n").await;
        let sent = client.io.write_all(&vec![b'x'; 2_000_000]).await;
        assert!(sent.is_err() || client.rest().await.is_empty());
        until(|| stage.worker.shared.clients.is_empty()).await;
    });
}

#[test]
fn large_requests_arrive_in_pieces() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        let value = "y".repeat(3_000_000);
        client.send(format!("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$3000000\r\n{value}\r\nget k\r\n")).await;
        client.expect(&format!("+OK\r\n$3000000\r\n{value}\r\n")).await;
    });
}

#[test]
fn pauses_hold_commands_back_until_they_end() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        let mut boss = stage.connect(Side::Plain);
        boss.ask("client pause 3600000 write", "+OK\r\n").await;
        client.ask("get k", "$-1\r\n").await;
        client.send("set k v\r\nget k\r\n").await;
        boss.ask("ping", "+PONG\r\n").await;
        assert_eq!(stage.backend.received.get(), 1);
        boss.ask("client unpause", "+OK\r\n").await;
        client.expect("+OK\r\n$1\r\nv\r\n").await;
        boss.ask("client pause 20", "+OK\r\n").await;
        client.ask("get k", "$1\r\nv\r\n").await;
    });
}

#[test]
fn clients_can_be_killed() {
    on_stage(Options::default(), async |stage| {
        let mut victim = stage.connect(Side::Plain);
        let mut killer = stage.connect(Side::Plain);
        victim.ask("client setname prey", "+OK\r\n").await;
        killer.ask(&format!("client kill id {}", victim.id), ":1\r\n").await;
        assert_eq!(victim.rest().await, "");
        killer.ask("client kill 1.2.3.4:5", "-ERR No such client\r\n").await;
        let id = killer.id;
        killer.send(format!("client kill id {id} skipme no\r\n")).await;
        assert_eq!(killer.rest().await, ":1\r\n");
    });
}

#[test]
fn monitors_see_commands_but_no_secrets() {
    on_stage(Options::default(), async |stage| {
        let mut monitor = stage.connect(Side::Plain);
        let mut client = stage.connect(Side::Plain);
        monitor.ask("monitor", "+OK\r\n").await;
        client.ask("set k v", "+OK\r\n").await;
        monitor.until("\"set\" \"k\" \"v\"\r\n").await;
        monitor.ask("reset", "+RESET\r\n").await;
        assert!(!stage.worker.shared.monitors.any());
    });
}

#[test]
fn monitors_get_their_replies_before_they_see_commands() {
    on_stage(Options::default(), async |stage| {
        let mut monitor = stage.connect(Side::Plain);
        let mut client = stage.connect(Side::Plain);
        stage.backend.holding.set(true);
        monitor.send("get k\r\nmonitor\r\n").await;
        until(|| stage.worker.shared.monitors.any()).await;
        client.ask("ping", "+PONG\r\n").await;
        stage.backend.release(false);
        monitor.expect("$-1\r\n+OK\r\n+").await;
        assert!(monitor.until("\r\n").await.ends_with("\"ping\"\r\n"));
    });
}

#[test]
fn who_has_its_replies_is_idle() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        let info = stage.worker.shared.clients.get(client.id).unwrap();
        let now_ms = || stage.worker.shared.now_ms();
        stage.backend.holding.set(true);
        client.send("get k\r\n").await;
        until(|| info.pending.load(Relaxed) == 1).await;
        assert_eq!(info.idle_ms(now_ms() + 1000), 0);
        let sent_ms = now_ms();
        until(|| now_ms() > sent_ms + 1).await;
        stage.backend.release(false);
        client.expect("$-1\r\n").await;
        assert!(info.idle_ms(now_ms() + 1000) >= 1000);
        // Since the reply, however long that took.
        assert!(info.active_ms.load(Relaxed) > sent_ms);
    });
}

#[test]
fn replies_that_wait_are_shown() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        let info = stage.worker.shared.clients.get(client.id).unwrap();
        let value = "x".repeat(1 << 20);
        client.send(&format!("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1048576\r\n{value}\r\n")).await;
        client.expect("+OK\r\n").await;
        client.send("get k\r\n").await;
        until(|| info.output_bytes.load(Relaxed) > 0).await;
        client.expect(&format!("$1048576\r\n{value}\r\n")).await;
        until(|| info.output_bytes.load(Relaxed) == 0).await;
        let sent = stage.worker.counters().output_bytes.load(Relaxed);
        assert_eq!(sent, 5 + 10 + (1 << 20) + 2);
    });
}

#[test]
fn slow_commands_are_remembered() {
    let options = Options { slowlog_slower_us: 0, ..Options::default() };
    on_stage(options, async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("get k", "$-1\r\n").await;
        client.ask("slowlog len", ":1\r\n").await;
        client.ask("config set slowlog-log-slower-than -1", "+OK\r\n").await;
        client.ask("slowlog reset", "+OK\r\n").await;
        client.ask("get k", "$-1\r\n").await;
        client.ask("slowlog get", "*0\r\n").await;
    });
}

#[test]
fn the_user_of_a_late_script_is_not_remembered() {
    let options = Options { slowlog_slower_us: 0, ..Options::default() };
    on_stage(options, async |stage| {
        let mut client = stage.connect(Side::Plain);
        stage.backend.holding.set(true);
        client.send("get k\r\n").await;
        until(|| stage.backend.held() == 1).await;
        let mut command = Vec::new();
        let args: [&[u8]; 3] = [b"return 1", b"0", b"user on #5e884898da28 ~* +@all"];
        wire::put_command(&mut command, Id::Eval as u16, wire::FLAG_USER, 0, &args);
        stage.backend.tell_late(&command);
        stage.backend.release(false);
        client.expect("$-1\r\n").await;
        let log = stage.worker.shared.slowlog.lock();
        assert_eq!(log.entries().next().unwrap().words, ["get", "return 1", "0"]);
    });
}

#[test]
fn a_transaction_that_will_not_be_executed_only_answers() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.ask("multi", "+OK\r\n").await;
        client.ask("set a 1", "+QUEUED\r\n").await;
        client.ask("get", "-ERR wrong number of arguments for 'get' command\r\n").await;
        client.ask("set a 2", "+QUEUED\r\n").await;
        client.ask("select 1000", "+QUEUED\r\n").await;
        client.ask("ping", "+QUEUED\r\n").await;
        let mut other = stage.connect(Side::Plain);
        other.send("client list\r\n").await;
        let list = other.text().await;
        assert!(list.contains(" multi=1 "), "what Redis shows: {list}");
        client.ask("exec", "-EXECABORT Transaction discarded because of previous errors.\r\n").await;
        client.ask("get a", "$-1\r\n").await;
        client.ask("multi", "+OK\r\n").await;
        client.ask("get", "-ERR wrong number of arguments for 'get' command\r\n").await;
        client.ask("discard", "+OK\r\n").await;
        client.ask("exec", "-ERR EXEC without MULTI\r\n").await;
    });
}

#[test]
fn resting_connections_own_no_large_buffers() {
    on_stage(Options::default(), async |stage| {
        let mut client = stage.connect(Side::Plain);
        client.send("get a\r\n".repeat(5000)).await;
        client.expect(&"$-1\r\n".repeat(5000)).await;
        let mut other = stage.connect(Side::Plain);
        other.send("client list\r\n").await;
        let list = other.text().await;
        assert!(list.contains(" qbuf=0 ") && list.contains(" obl=0 "), "{list}");
    });
}
