//! What meta's leader says about the health of storage nodes and proxies.

use std::ops::RangeInclusive;

use proto::v1::{GetHealthRequest, GetHealthResponse, StoreHealth};
use tonic::Code;

use crate::{
    as_usual,
    support::{DISK_FREE_BYTES, DISK_TOTAL_BYTES, FakeStore, Metas, eventually, name},
};

const SKEW_MS: i64 = 90_000;
/// How late a heartbeat may be on a busy machine.
const LATE_MS: i64 = 5_000;

async fn health(metas: &Metas) -> GetHealthResponse {
    metas.ask(async |mut admin| admin.get_health(GetHealthRequest {}).await).await.unwrap()
}

async fn store_health(metas: &Metas, id: u64) -> Option<StoreHealth> {
    health(metas).await.stores.into_iter().find(|store| store.store_id == id)
}

fn late(skew_ms: i64) -> RangeInclusive<i64> {
    skew_ms - LATE_MS..=skew_ms
}

// covers: T12
#[tokio::test]
async fn figures_are_those_of_the_heartbeats() {
    let metas = Metas::start(3, as_usual);
    let (mut stores, proxies) = metas.populate(3, 1).await;
    stores.push(FakeStore::start(metas.skewed_client(SKEW_MS), 4, "s4"));
    let skewed = eventually("the fourth is heard", async || {
        store_health(&metas, 4).await.filter(|store| store.heard_ms_ago.is_some())
    });
    let skewed = skewed.await;
    assert!(late(SKEW_MS).contains(&skewed.clock_skew_ms), "{skewed:?}");
    let first = store_health(&metas, 1).await.unwrap();
    assert!(first.connected && late(0).contains(&first.clock_skew_ms), "{first:?}");
    assert_eq!((first.disk_free_bytes, first.disk_total_bytes), (DISK_FREE_BYTES, DISK_TOTAL_BYTES));
    eventually("its replicas are reported", async || {
        let groups = metas.state().await.groups.len();
        (store_health(&metas, 1).await?.replicas.len() == groups).then_some(())
    })
    .await;
    eventually("the proxy is up to date", async || {
        let proxy = health(&metas).await.proxies.into_iter().next()?;
        let version = metas.state().await.version.0;
        (proxy.proxy_id == proxies[0].id.to_string() && proxy.connected && proxy.acked_version == version)
            .then_some(())
    })
    .await;

    drop(stores.remove(0));
    eventually("the first is silent", async || {
        let store = store_health(&metas, 1).await?;
        (!store.connected && store.heard_ms_ago? >= 1_000).then_some(())
    })
    .await;
    assert!(health(&metas).await.clock_ms > 1_700_000_000_000);
}

#[tokio::test]
async fn only_the_leader_knows() {
    let metas = Metas::start(3, as_usual);
    let leader = metas.leader().await;
    let other = (1..=3).find(|id| *id != leader).unwrap();
    let status = metas.admin(other).get_health(GetHealthRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.metadata().get("miraft-leader").unwrap(), &name(leader));
}
