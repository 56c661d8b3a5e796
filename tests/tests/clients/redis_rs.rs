//! redis-rs, its cluster client: the workload in this process.

use std::time::Duration;

use redis::{AsyncCommands as _, RedisResult, cluster::ClusterClient, cluster_async::ClusterConnection};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{Client, STOP, Verdict};

const NAME: &str = "redis_rs";
const READY: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn start(seed: &str) -> Client {
    let (announce, ready) = oneshot::channel();
    Client { name: NAME, ready, ended: tokio::spawn(run(format!("redis://{seed}"), announce)) }
}

async fn run(seed: String, announce: oneshot::Sender<()>) -> Result<Verdict, String> {
    let client = ClusterClient::new(vec![seed]).map_err(text)?;
    let mut connection = client.get_async_connection().await.map_err(text)?;
    let mut announce = Some(announce);
    let mut verdict = Verdict::default();
    let mut last_success = Instant::now();
    loop {
        match step(&mut connection, &mut verdict.acknowledged).await {
            Ok(Step { seen, stop }) => {
                check(seen)?;
                verdict.gap = verdict.gap.max(last_success.elapsed());
                last_success = Instant::now();
                if stop {
                    break;
                }
            }
            Err(error) if last_success.elapsed() > PATIENCE => {
                return Err(format!("nothing succeeds any more: {error}"));
            }
            Err(_) => {
                verdict.errors += 1;
                sleep(PAUSE).await;
            }
        }
        if verdict.acknowledged >= READY
            && let Some(announce) = announce.take()
        {
            let _ = announce.send(());
        }
    }
    for number in 0..READY {
        check(read(&mut connection, number).await.map_err(text)?)?;
    }
    Ok(verdict)
}

/// A number and what its key holds.
type Seen = (u64, Option<String>);

struct Step {
    seen: Seen,
    stop: bool,
}

async fn step(connection: &mut ClusterConnection, acknowledged: &mut u64) -> RedisResult<Step> {
    let number = *acknowledged;
    let () = connection.set(format!("{NAME}:{number}"), number).await?;
    *acknowledged += 1;
    // Any of the earlier ones; which does not matter, if only they vary.
    let earlier = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % *acknowledged;
    let seen = read(connection, earlier).await?;
    Ok(Step { seen, stop: connection.exists(STOP).await? })
}

async fn read(connection: &mut ClusterConnection, number: u64) -> RedisResult<Seen> {
    Ok((number, connection.get(format!("{NAME}:{number}")).await?))
}

fn check((number, seen): Seen) -> Result<(), String> {
    match seen {
        Some(value) if value == number.to_string() => Ok(()),
        other => Err(format!("{NAME}:{number} holds {other:?}")),
    }
}

fn text(error: redis::RedisError) -> String {
    error.to_string()
}
