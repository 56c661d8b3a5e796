//! Prometheus metrics of a storage node, read from the replicas when they are asked for.

use std::sync::atomic::Ordering;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use raft_rocks::LogStore;

use crate::{group::Replica, node::Replicas};

pub fn registry(replicas: Replicas, log: LogStore) -> Registry {
    let mut registry = Registry::with_prefix("miraft_storage");
    registry.register_collector(Box::new(Groups { replicas, log }));
    registry
}

struct Groups {
    replicas: Replicas,
    log: LogStore,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Groups")
    }
}

type Reading = (&'static str, &'static str, fn(&Replica, &LogStore) -> u64);

const READINGS: [Reading; 8] = [
    ("group_leader", "1 while this replica leads its group and answers", |r, _| u64::from(r.is_serving())),
    ("group_voter", "1 while this replica votes, and the membership is not changing", |r, _| {
        u64::from(votes(r))
    }),
    ("group_applied_index", "Index of the last entry applied", |r, _| {
        r.shared().state.lock().applied.index()
    }),
    ("group_keys", "Keys of the group, all databases", |r, _| {
        r.shared().state.lock().applied.key_counts.sum()
    }),
    ("group_sessions", "Proxy sessions in the exactly-once table", |r, _| {
        r.shared().state.lock().sessions.len() as u64
    }),
    ("group_log_bytes", "Bytes of log that the group still needs", |r, log| {
        log.group_bytes(r.shared().group)
    }),
    ("group_expired_keys", "Keys deleted by active expiry since this process leads", |r, _| {
        r.shared().stats.expired_keys.load(Ordering::Relaxed)
    }),
    ("group_entries_applied", "Entries applied by this process", |r, _| {
        r.shared().stats.entries_applied.load(Ordering::Relaxed)
    }),
];

/// In a membership that is settled: a majority of it counts, whatever happens to replicas outside.
fn votes(replica: &Replica) -> bool {
    let metrics = raft_rocks::metrics(replica.raft());
    let membership = metrics.membership_config.membership();
    let settled = membership.get_joint_config().len() == 1 && membership.learner_ids().next().is_none();
    settled && membership.voter_ids().any(|id| id == replica.shared().replica)
}

impl Collector for Groups {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let replicas = self.replicas.all();
        for (name, help, read) in READINGS {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for replica in &replicas {
                let gauge = ConstGauge::new(read(replica, &self.log));
                let labels = [("group", replica.shared().group.to_string())];
                gauge.encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
