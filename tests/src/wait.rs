//! Waiting on a condition. Nothing in the tests sleeps in the hope that something is done by then.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Asks until the answer is `Ok`; panics with the last complaint at the deadline.
pub async fn until<T, E, F>(what: &str, patience: Duration, mut ask: impl FnMut() -> F) -> T
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + patience;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(complaint) if Instant::now() >= deadline => {
                panic!("{what}: not within {patience:?}: {complaint}")
            }
            Err(_) => sleep(POLL_INTERVAL).await,
        }
    }
}

/// Waits until `holds` says true; panics at the deadline.
pub async fn until_true<F>(what: &str, patience: Duration, mut holds: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    until(what, patience, || {
        let asked = holds();
        async move { if asked.await { Ok(()) } else { Err("it does not hold") } }
    })
    .await
}
