//! The back half with its I/O, against a storage node and a meta node that are made up.

use std::{
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use commands::wire;
use daemon::{grpc, meta_client::MetaClient};
use proto::v1::{
    BatchReply, DataRequest, Heartbeat, LeaderHint, Refusal, RegisterProxyRequest, RegisterProxyResponse,
    RegisterStorageRequest, RegisterStorageResponse, WatchEvent,
    data_server::{Data, DataServer},
    meta_server::{Meta, MetaServer},
};
use tokio::{sync::oneshot, task::LocalSet};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use topology::{ClusterState, Group, Replica, ReplicaId, SlotSet, StorageNode, Version};

use super::*;
use crate::backend_api::Target;

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers each command with its first argument, unless it does not lead.
#[derive(Clone, Default)]
struct Store {
    /// Named in refusals; 0: this one leads.
    leader: Arc<AtomicU64>,
    batches: Arc<AtomicU64>,
}

impl Store {
    fn answer(&self, request: DataRequest) -> DataReply {
        let leader_hint = self.leader.load(SeqCst);
        let replies = request.batches.into_iter().map(|batch| {
            self.batches.fetch_add(1, SeqCst);
            if leader_hint != 0 {
                let refusal = Refusal::NotLeader.into();
                return BatchReply { id: batch.id, refusal, leader_hint, ..BatchReply::default() };
            }
            let mut replies = Vec::new();
            for command in wire::commands(&batch.commands) {
                wire::put_bytes(&mut replies, command.expect("well formed").args[0]);
            }
            BatchReply { id: batch.id, replies: replies.into(), ..BatchReply::default() }
        });
        DataReply { replies: replies.collect(), ..DataReply::default() }
    }
}

#[tonic::async_trait]
impl Data for Store {
    type StreamStream = Replies<DataReply>;

    async fn stream(
        &self,
        requests: Request<Streaming<DataRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let store = self.clone();
        let answer = move |request: Result<DataRequest, Status>| request.map(|r| store.answer(r));
        Ok(Response::new(Box::pin(requests.into_inner().map(answer))))
    }
}

/// Grants a lease for every heartbeat, and notes which versions were acknowledged.
#[derive(Clone)]
struct MetaNode {
    state: ClusterState,
    leader: Option<String>,
    acked: Arc<Mutex<Vec<u64>>>,
}

impl MetaNode {
    fn check_leader(&self) -> Result<(), Status> {
        let Some(leader) = &self.leader else { return Ok(()) };
        let mut status = Status::failed_precondition("not the leader");
        status.metadata_mut().insert("miraft-leader", leader.parse().expect("ascii"));
        Err(status)
    }
}

#[tonic::async_trait]
impl Meta for MetaNode {
    type WatchStream = Replies<WatchEvent>;

    async fn register_storage(
        &self,
        _: Request<RegisterStorageRequest>,
    ) -> Result<Response<RegisterStorageResponse>, Status> {
        Err(Status::unimplemented("no storage here"))
    }

    async fn register_proxy(
        &self,
        _: Request<RegisterProxyRequest>,
    ) -> Result<Response<RegisterProxyResponse>, Status> {
        self.check_leader()?;
        Ok(Response::new(RegisterProxyResponse::default()))
    }

    async fn watch(
        &self,
        heartbeats: Request<Streaming<Heartbeat>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.check_leader()?;
        let node = self.clone();
        let answer = move |heartbeat: Result<Heartbeat, Status>| {
            let heartbeat = heartbeat?;
            node.acked.lock().expect("not poisoned").push(heartbeat.acked_version);
            let is_new = heartbeat.acked_version < node.state.version.0;
            let state = if is_new { serde_json::to_vec(&node.state).expect("JSON") } else { Vec::new() };
            Ok(WatchEvent {
                state: state.into(),
                version: node.state.version.0,
                lease_ms: 60_000,
                leaders: vec![LeaderHint { group: 1, store_id: 1, term: 1 }],
                answers: heartbeat.number,
                ..WatchEvent::default()
            })
        };
        Ok(Response::new(Box::pin(heartbeats.into_inner().map(answer))))
    }
}

/// Serves on a free port until the sender is dropped.
async fn serve(router: tonic::transport::server::Router) -> (String, oneshot::Sender<()>) {
    let listener = Env::real().net.bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(grpc::serve(listener, router, async {
        let _ = stopped.await;
    }));
    (address, stop)
}

/// One group for all slots on stores 1 and 2.
fn state(addresses: [&str; 2]) -> ClusterState {
    let mut state = ClusterState { version: Version(3), ..ClusterState::default() };
    let replicas = vec![
        Replica { id: ReplicaId(11), store: StoreId(1) },
        Replica { id: ReplicaId(12), store: StoreId(2) },
    ];
    state
        .groups
        .insert(GroupId(1), Group { slots: SlotSet::all(), replicas, formed: true, ..Group::default() });
    for (store, address) in (1..).map(StoreId).zip(addresses) {
        let node = StorageNode { name: address.to_owned(), rpc_addr: address.to_owned(), gone: false };
        state.stores.insert(store, node);
    }
    state
}

/// Collects answers; each flush is counted.
#[derive(Default)]
struct Client {
    answers: RefCell<Vec<(u64, Result<Bytes, RouteError>)>>,
    flushes: Cell<usize>,
    flushed: Notify,
}

impl ReplyTarget for Client {
    fn reply(&self, token: u64, result: Result<Bytes, RouteError>) -> bool {
        self.answers.borrow_mut().push((token, result));
        true
    }

    fn flush(self: Rc<Self>) {
        self.flushes.set(self.flushes.get() + 1);
        self.flushed.notify_one();
    }
}

impl Client {
    /// Sends `count` writes and waits for their answers.
    async fn round(self: &Rc<Self>, backend: &Backend, count: u64) {
        for token in 0..count {
            let command = Outgoing {
                target: Target::Slot(Slot::new(token as u16 % 16384).expect("valid")),
                id: 1,
                flags: 0,
                db: 0,
                args: &[&token.to_le_bytes()],
                write: true,
                writer: 0,
            };
            backend.submit(command, Sink { to: self.clone(), token, origin: 1 });
        }
        while (self.answers.borrow().len() as u64) < count {
            self.flushed.notified().await;
        }
        for (token, answer) in self.answers.take() {
            assert_eq!(answer, Ok(Bytes::copy_from_slice(&token.to_le_bytes())));
        }
    }
}

fn backend(state: ClusterState) -> (Backend, tokio::sync::watch::Sender<Topology>) {
    let topology = Topology {
        routes: Arc::new(Routes::of(state, &topology::ProxyId::of_address("h", 1))),
        ..Topology::unknown()
    };
    let (writer, receiver) = tokio::sync::watch::channel(topology);
    let me = ProxyId::of_address("127.0.0.1", 6379);
    (
        Backend::start(
            Env::real(),
            Topologies::new(receiver),
            me,
            Limits::default(),
            Arc::default(),
            None,
            Rc::new(()),
        ),
        writer,
    )
}

#[tokio::test]
async fn replies_come_back_in_few_messages() {
    let store = Store::default();
    let router = grpc::server().add_service(DataServer::new(store.clone()));
    let (address, _stop) = serve(router).await;
    let local = LocalSet::new();
    let test = async {
        let (backend, _topology) = backend(state([&address, "127.0.0.1:1"]));
        let client = Rc::new(Client::default());
        for _ in 0..3 {
            client.round(&backend, 1000).await;
        }
        assert!(client.flushes.get() < 100, "{} flushes", client.flushes.get());
        assert!(store.batches.load(SeqCst) < 100, "{:?} batches", store.batches);
        assert_eq!(backend.waiting_bytes(), 0);
    };
    local.run_until(test).await;
}

#[tokio::test]
async fn the_leader_is_found_through_a_hint_and_past_a_dead_node() {
    let (follower, leader) = (Store::default(), Store::default());
    let serve_store = |store: &Store| serve(grpc::server().add_service(DataServer::new(store.clone())));
    let (first, stop_first) = serve_store(&follower).await;
    let (second, _stop_second) = serve_store(&leader).await;
    follower.leader.store(2, SeqCst);
    let local = LocalSet::new();
    let test = async {
        let (backend, _topology) = backend(state([&first, &second]));
        let client = Rc::new(Client::default());
        client.round(&backend, 10).await;
        assert!(follower.batches.load(SeqCst) > 0 && leader.batches.load(SeqCst) > 0);
        drop(stop_first);
        leader.leader.store(1, SeqCst);
        let wait = client.round(&backend, 10);
        let recover = async {
            // Only the dead node is named as leader: its place is tried, then the other one again.
            while leader.batches.load(SeqCst) < 5 {
                tokio::task::yield_now().await;
            }
            leader.leader.store(0, SeqCst);
        };
        tokio::join!(wait, recover);
    };
    local.run_until(test).await;
}

// covers: T4
#[tokio::test]
async fn the_link_finds_the_leader_of_meta_and_acknowledges_versions() {
    let acked = Arc::new(Mutex::new(Vec::new()));
    let leading = MetaNode { state: state(["a:1", "b:1"]), leader: None, acked: acked.clone() };
    let (leader, _stop) = serve(grpc::server().add_service(MetaServer::new(leading.clone()))).await;
    let following = MetaNode { leader: Some(leader), ..leading };
    let (follower, _stop) = serve(grpc::server().add_service(MetaServer::new(following))).await;
    let options = LinkOptions {
        announce_host: "127.0.0.1".to_owned(),
        announce_port: 6379,
        announce_hostname: String::new(),
    };
    let (run, topologies) =
        link(&Env::real(), MetaClient::new(Env::real(), vec![follower]), options, Box::new(|_| ()));
    let running = tokio::spawn(run);
    let deadline = Instant::now() + Duration::from_secs(10);
    let routes = topologies.fresh_until(deadline).await.expect("a lease");
    assert_eq!(routes.version, Version(3));
    assert_eq!(topologies.newest().leaders.len(), 1);
    let acknowledged = async {
        while !acked.lock().expect("not poisoned").contains(&3) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout_at(deadline, acknowledged).await.expect("at once, not with the next heartbeat");
    running.abort();
}
