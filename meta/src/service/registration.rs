//! `Meta`: nodes introduce themselves, and watch.

use proto::v1::{
    Heartbeat, RegisterProxyRequest, RegisterProxyResponse, RegisterStorageRequest, RegisterStorageResponse,
    WatchEvent, meta_server::Meta,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use topology::{Command, ProxyId, StoreId};

use super::{Service, session::Session};
use crate::{
    proposal::{Answer, Proposal},
    tracker::Peer,
};

/// Longest accepted name, host or address.
const TEXT_BYTES_MAX: usize = 255;
const EVENTS_QUEUED: usize = 8;

#[tonic::async_trait]
impl Meta for Service {
    async fn register_storage(
        &self,
        request: Request<RegisterStorageRequest>,
    ) -> Result<Response<RegisterStorageResponse>, Status> {
        let request = request.into_inner();
        self.reign()?;
        let store = StoreId(request.store_id);
        check_text("name", &request.name)?;
        check_addr("rpc_addr", &request.rpc_addr)?;
        if store.0 == 0 {
            return Err(Status::invalid_argument("store_id: must not be 0"));
        }
        let cluster_id = self.check_cluster(&request.cluster_id)?;
        self.check_name_is_free(store, &request.name)?;
        let (name, rpc_addr) = (request.name, request.rpc_addr);
        let answer = self.register(Command::RegisterStore { store, name, rpc_addr }).await?;
        Ok(Response::new(RegisterStorageResponse { cluster_id, version: answer.version.0 }))
    }

    async fn register_proxy(
        &self,
        request: Request<RegisterProxyRequest>,
    ) -> Result<Response<RegisterProxyResponse>, Status> {
        let request = request.into_inner();
        self.reign()?;
        let invalid = |text: &str| Status::invalid_argument(text.to_owned());
        let proxy =
            ProxyId::parse(&request.proxy_id).ok_or_else(|| invalid("proxy_id: 40 lower-case hex digits"))?;
        check_text("announce_host", &request.announce_host)?;
        let announce_port =
            u16::try_from(request.announce_port).map_err(|_| invalid("announce_port: too large"))?;
        if !request.announce_hostname.is_empty() {
            check_text("announce_hostname", &request.announce_hostname)?;
        }
        let cluster_id = self.check_cluster(&request.cluster_id)?;
        let answer = self
            .register(Command::RegisterProxy {
                proxy,
                announce_host: request.announce_host,
                announce_port,
                announce_hostname: request.announce_hostname,
                incarnation: request.incarnation,
                apart: self.core.manual,
            })
            .await?;
        Ok(Response::new(RegisterProxyResponse { cluster_id, version: answer.version.0 }))
    }

    type WatchStream = ReceiverStream<Result<WatchEvent, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<Heartbeat>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut heartbeats = request.into_inner();
        let reign = self.reign()?;
        let first = heartbeats.message().await?.ok_or_else(|| Status::invalid_argument("no heartbeat"))?;
        let peer = Peer::of(&first).ok_or_else(|| Status::invalid_argument("the heartbeat names no node"))?;
        let (events, outbound) = mpsc::channel(EVENTS_QUEUED);
        let session = Session::open(self.core.clone(), peer, reign, events)?;
        tokio::spawn(session.run(first, heartbeats));
        Ok(Response::new(ReceiverStream::new(outbound)))
    }
}

impl Service {
    async fn register(&self, command: Command) -> Result<Answer, Status> {
        let proposal = Proposal { operation: String::new(), command };
        let proposed = self.core.consensus.propose(&proposal, self.core.apply_timeout).await;
        let answer = proposed.map_err(|error| self.propose_status(error))?;
        match answer.error.is_empty() {
            true => Ok(answer),
            false => Err(Status::permission_denied(answer.error)),
        }
    }

    /// The id of the cluster. A node of another one is refused.
    fn check_cluster(&self, claimed: &str) -> Result<String, Status> {
        let own = self.core.states.borrow().state.cluster_id.clone();
        if own.is_empty() {
            return Err(Status::unavailable("the cluster has no id yet"));
        }
        if !claimed.is_empty() && claimed != own {
            let text = format!("this is cluster {own}; the node belongs to {claimed}");
            return Err(Status::permission_denied(text));
        }
        Ok(own)
    }

    /// A second data directory under the name of one whose process is on the line is a mistake, or
    /// meta has not noticed yet that the process is gone: it is to be tried again.
    fn check_name_is_free(&self, store: StoreId, name: &str) -> Result<(), Status> {
        let published = self.core.states.borrow().clone();
        let tracker = self.core.tracker.lock();
        let others = published.state.stores.iter().filter(|(id, node)| **id != store && node.name == name);
        for (&id, _) in others {
            if tracker.is_connected(id, Instant::now()) {
                return Err(Status::unavailable(format!("store {id} is connected under the name {name}")));
            }
        }
        Ok(())
    }
}

fn check_text(field: &str, text: &str) -> Result<(), Status> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len());
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    match fits && plain {
        true => Ok(()),
        false => Err(Status::invalid_argument(format!(
            "{field}: 1 to {TEXT_BYTES_MAX} printable ASCII characters"
        ))),
    }
}

pub(super) fn check_addr(field: &str, addr: &str) -> Result<(), Status> {
    check_text(field, addr)?;
    let port = addr.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    port.map(|_| ()).ok_or_else(|| Status::invalid_argument(format!("{field}: must be host:port")))
}
