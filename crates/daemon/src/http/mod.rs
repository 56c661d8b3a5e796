//! The HTTP listener of a process, for operators and their tools:
//!
//! | | |
//! |---|---|
//! | `GET /healthz` | 200 while the process runs |
//! | `GET /readyz` | 200 once it can do its work, 503 before and while it stops |
//! | `GET /metrics` | Prometheus (OpenMetrics text) |
//! | `GET /log-level`, `PUT /log-level` | the log filter: read, change (body: the new filter) |

mod process_metrics;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::{
    env::{BoxIo, Env, Listener},
    logging,
};

/// Whether the process can do its work. Clones share one flag; false at first.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the listener shows.
#[derive(Debug, Clone)]
struct Shown {
    readiness: Readiness,
    registry: Arc<Registry>,
}

/// Serves until `stop`, in a task of the current runtime. Adds metrics of the process itself to
/// `registry`, which holds those of the server. `addr` is host:port; answers the bound address.
pub async fn start(
    env: &Env,
    addr: &str,
    mut registry: Registry,
    readiness: Readiness,
    stop: CancellationToken,
) -> io::Result<SocketAddr> {
    process_metrics::register(&mut registry);
    let listener = env.net.bind(addr).await?;
    let bound = listener.local_addr()?;
    let app = router(Shown { readiness, registry: Arc::new(registry) });
    tokio::spawn(async move {
        let serve = axum::serve(AxumListener(listener), app);
        if let Err(error) = serve.with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "the HTTP listener failed");
        }
    });
    Ok(bound)
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/log-level", get(log_level).put(put_log_level))
        .with_state(shown)
}

async fn readyz(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    match shown.readiness.get() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

async fn metrics(State(shown): State<Shown>) -> Response {
    const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &shown.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn log_level() -> Response {
    match logging::filter() {
        Some(filter) => format!("{filter}\n").into_response(),
        None => (StatusCode::NOT_FOUND, logging::LogError::NotSetUp.to_string()).into_response(),
    }
}

async fn put_log_level(body: String) -> Response {
    match logging::set_filter(body.trim()) {
        Ok(()) => {
            tracing::info!(filter = body.trim(), "log level changed");
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// Our listener as axum wants it.
struct AxumListener(Box<dyn Listener>);

impl axum::serve::Listener for AxumListener {
    type Io = BoxIo;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoxIo, SocketAddr) {
        const PAUSE: Duration = Duration::from_millis(50);
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
