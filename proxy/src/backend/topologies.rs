//! The topology as the process knows it, shared by its workers: written by the meta link, read by
//! everyone.

use std::sync::Arc;

use proto::v1::LeaderHint;
use tokio::{sync::watch, time::Instant};

use super::routes::Routes;
use crate::backend_api::RouteError;

/// A topology in force.
#[derive(Debug, Clone)]
pub struct Topology {
    pub routes: Arc<Routes>,
    /// Who leads, as far as meta knows.
    pub leaders: Arc<[LeaderHint]>,
    /// Until then no newer topology can have been acknowledged to anyone without this process
    /// knowing it. None: never had a lease.
    pub lease_until: Option<Instant>,
}

impl Topology {
    /// Before meta was heard.
    pub fn unknown() -> Self {
        Self { routes: Arc::new(Routes::empty()), leaders: Arc::from([]), lease_until: None }
    }

    pub fn is_fresh(&self) -> bool {
        self.lease_until.is_some_and(|until| Instant::now() < until)
    }
}

/// Reads the topology; cheap to clone.
#[derive(Debug, Clone)]
pub struct Topologies(watch::Receiver<Topology>);

impl Topologies {
    pub fn new(receiver: watch::Receiver<Topology>) -> Self {
        Self(receiver)
    }

    /// The newest one, fresh or not: good enough to route by, since a wrong route is refused.
    pub fn newest(&self) -> Topology {
        self.0.borrow().clone()
    }

    /// Waits for news. False: the writer is gone.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }

    /// The topology if its lease is in force.
    pub fn fresh(&self) -> Option<Arc<Routes>> {
        let newest = self.0.borrow();
        newest.is_fresh().then(|| newest.routes.clone())
    }

    /// The topology under a lease; waits for one until `deadline`.
    pub async fn fresh_until(&self, deadline: Instant) -> Result<Arc<Routes>, RouteError> {
        let mut news = self.clone();
        loop {
            // Marks what is there as seen before looking, so that nothing newer is slept through.
            news.0.borrow_and_update();
            if let Some(routes) = news.fresh() {
                return Ok(routes);
            }
            let gone = RouteError::ClusterDown("The topology cannot be confirmed: meta does not answer");
            match tokio::time::timeout_at(deadline, news.changed()).await {
                Ok(true) => {}
                Ok(false) | Err(_) => return Err(gone),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A lease that ends so long from now.
    fn leased(rest: Duration) -> Topology {
        Topology { lease_until: Some(Instant::now() + rest), ..Topology::unknown() }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_topology_is_fresh_under_its_lease_only() {
        let (writer, receiver) = watch::channel(Topology::unknown());
        let topologies = Topologies::new(receiver);
        assert!(topologies.fresh().is_none());
        writer.send_replace(leased(HOUR));
        assert!(topologies.fresh().is_some());
        writer.send_replace(leased(Duration::ZERO));
        assert!(topologies.fresh().is_none());
    }

    #[tokio::test]
    async fn readers_wait_for_a_lease() {
        let (writer, receiver) = watch::channel(leased(Duration::ZERO));
        let topologies = Topologies::new(receiver);
        let waiting = topologies.fresh_until(Instant::now() + HOUR);
        let (answer, ()) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            writer.send_replace(leased(HOUR));
        });
        assert!(answer.is_ok());
    }

    #[tokio::test]
    async fn readers_give_up_at_their_deadline() {
        let (_writer, receiver) = watch::channel(leased(Duration::ZERO));
        let late = Topologies::new(receiver).fresh_until(Instant::now()).await;
        assert!(matches!(late, Err(RouteError::ClusterDown(_))));
    }
}
