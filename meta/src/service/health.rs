//! `MetaAdmin`: what heartbeats say about every storage node and proxy.

use proto::v1::GetHealthResponse;
use tokio::time::Instant;

use super::Service;

impl Service {
    pub(super) fn health(&self) -> GetHealthResponse {
        let published = self.core.states.borrow().clone();
        let (now, clock_ms) = (Instant::now(), self.core.env.clock.now_ms());
        let tracker = self.core.tracker.lock();
        GetHealthResponse {
            stores: tracker.store_health(&published.state, now),
            proxies: tracker.proxy_health(&published.state, now),
            clock_ms,
        }
    }
}
