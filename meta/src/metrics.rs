//! Metrics of a meta node, read when scraped.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
    registry::Registry,
};

use crate::core::Core;

pub(crate) fn register(registry: &mut Registry, core: Arc<Core>) {
    registry.register_collector(Box::new(MetaCollector(core)));
}

struct MetaCollector(Arc<Core>);

impl fmt::Debug for MetaCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetaCollector")
    }
}

impl Collector for MetaCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let published = self.0.states.borrow().clone();
        let state = &published.state;
        let (stores, proxies) = self.0.tracker.lock().counts();
        let group = self.0.consensus.members();
        let voters = || group.members.iter().filter(|member| member.voter);
        let gauges = [
            ("miraft_meta_state_version", "Version of the cluster state here", state.version.0 as i64),
            ("miraft_meta_groups", "Groups", state.groups.len() as i64),
            (
                "miraft_meta_live_proxies",
                "Proxies whose lease is in force",
                state.live_proxies().count() as i64,
            ),
            ("miraft_meta_leads", "1 on the node that leads", i64::from(self.0.reign().is_some())),
            ("miraft_meta_leader_known", "1 if a leader is known", i64::from(group.leader != 0)),
            ("miraft_meta_members", "Members of the meta group", group.members.len() as i64),
            ("miraft_meta_voters", "Members that have a vote", voters().count() as i64),
            (
                "miraft_meta_is_voter",
                "1 on a node that has a vote",
                i64::from(voters().any(|member| member.id == self.0.consensus.id)),
            ),
            ("miraft_meta_term", "Raft term", group.term as i64),
            ("miraft_meta_last_index", "Last entry of the log here", group.last_index as i64),
            ("miraft_meta_applied_index", "Last entry applied here", group.applied_index as i64),
            ("miraft_meta_connected_stores", "Watch streams of storage nodes here", stores as i64),
            ("miraft_meta_connected_proxies", "Watch streams of proxies here", proxies as i64),
        ];
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
