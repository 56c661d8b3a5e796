//! The link to meta: registers this proxy, keeps the watch stream, and publishes each topology.
//! One per process.

use std::{future::Future, sync::Arc, time::Duration};

use daemon::{
    env::Env,
    meta_client::{MetaClient, Update},
};
use proto::v1::{Heartbeat, RegisterProxyRequest, heartbeat};
use tokio::{sync::watch, time::sleep};
use tokio_stream::StreamExt as _;
use topology::{ClusterState, ProxyId, Version};

use super::{
    routes::Routes,
    topologies::{Topologies, Topology},
};

/// After meta refused this proxy, or sent what cannot be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Who this proxy is.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    pub announce_host: String,
    pub announce_port: u16,
    /// May be empty.
    pub announce_hostname: String,
}

impl LinkOptions {
    /// The id of the proxy that announces this address.
    pub fn proxy_id(&self) -> ProxyId {
        ProxyId::of_address(&self.announce_host, self.announce_port)
    }
}

/// What has to know of a state before anyone is told that it is in force here.
pub type OnState = Box<dyn Fn(&ClusterState) + Send + Sync>;

/// The link's task (to be spawned once, dropped to stop), and what it publishes.
pub fn link(
    env: &Env,
    meta: MetaClient,
    options: LinkOptions,
    on_state: OnState,
) -> (impl Future<Output = ()> + Send + use<>, Topologies) {
    let (publish, receiver) = watch::channel(Topology::unknown());
    let link = Link {
        incarnation: env.entropy.next_u64(),
        me: options.proxy_id(),
        meta,
        options,
        on_state,
        publish,
    };
    (link.run(), Topologies::new(receiver))
}

struct Link {
    meta: MetaClient,
    options: LinkOptions,
    on_state: OnState,
    me: ProxyId,
    publish: watch::Sender<Topology>,
    incarnation: u64,
}

impl Link {
    async fn run(self) {
        loop {
            match self.meta.register_proxy(self.registration()).await {
                Ok(_) => self.follow().await,
                Err(refused) => tracing::error!(%refused, "this proxy cannot join the cluster"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Puts in force what meta sends, until it does not know this proxy any more.
    async fn follow(&self) {
        let (heartbeat, mut updates) = self.meta.watch(self.heartbeat());
        while let Some(update) = updates.next().await {
            match self.take(update) {
                Ok(None) => {}
                Ok(Some(version)) => heartbeat.update(|h| h.acked_version = version.0),
                Err(error) => {
                    tracing::error!(%error, "the topology received is malformed");
                    return;
                }
            }
        }
    }

    /// The version that is in force from here on, if that is a new one.
    fn take(&self, update: Update) -> Result<Option<Version>, serde_json::Error> {
        let mut routes = None;
        if !update.state.is_empty() {
            let state: ClusterState = serde_json::from_slice(&update.state)?;
            let newer = Some(state).filter(|state| state.version > self.version());
            newer.iter().for_each(|state| (self.on_state)(state));
            routes = newer.map(|state| Arc::new(Routes::of(state, &self.me)));
        }
        let version = routes.as_ref().map(|routes| routes.version);
        self.publish.send_modify(|topology| {
            if let Some(routes) = routes {
                tracing::info!(version = %routes.version, "topology in force");
                topology.routes = routes;
                topology.lease_until = None;
            }
            if !update.leaders.is_empty() {
                topology.leaders = Arc::from(update.leaders);
            }
            // A lease is for one version: that of another says nothing about ours.
            if Version(update.version) == topology.routes.version {
                topology.lease_until = topology.lease_until.max(update.lease_until);
            }
        });
        Ok(version)
    }

    fn version(&self) -> Version {
        self.publish.borrow().routes.version
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            node: Some(heartbeat::Node::ProxyId(self.me.to_string())),
            acked_version: self.version().0,
            incarnation: self.incarnation,
            ..Heartbeat::default()
        }
    }

    fn registration(&self) -> RegisterProxyRequest {
        RegisterProxyRequest {
            proxy_id: self.me.to_string(),
            announce_host: self.options.announce_host.clone(),
            announce_port: u32::from(self.options.announce_port),
            announce_hostname: self.options.announce_hostname.clone(),
            rpc_addr: String::new(),
            cluster_id: self.publish.borrow().routes.state.cluster_id.clone(),
            build_version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: self.incarnation,
        }
    }
}
