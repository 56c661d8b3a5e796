//! The proxy's figures for Prometheus, read when scraped.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use crate::shared::{Counters, Shared};

/// See the module's documentation.
pub struct ProxyMetrics(Arc<Shared>);

impl ProxyMetrics {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl fmt::Debug for ProxyMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyMetrics")
    }
}

type Counter = (&'static str, &'static str, fn(&Counters) -> &AtomicU64);

const COUNTERS: [Counter; 6] = [
    ("miraft_proxy_commands", "Commands received", |c| &c.commands),
    ("miraft_proxy_connections", "Clients that connected", |c| &c.connections),
    ("miraft_proxy_rejected_connections", "Clients turned away", |c| &c.rejected_connections),
    ("miraft_proxy_protocol_errors", "Clients closed because they do not speak RESP", |c| &c.protocol_errors),
    ("miraft_proxy_input_bytes", "Bytes received from clients", |c| &c.input_bytes),
    ("miraft_proxy_output_bytes", "Bytes sent to clients", |c| &c.output_bytes),
];

impl Collector for ProxyMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, counter) in COUNTERS {
            let metric = ConstCounter::new(self.0.total(counter));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let figures = &self.0.pubsub.figures;
        for (name, help, count) in [
            (
                "miraft_proxy_pubsub_messages",
                "Messages received for clients that subscribe",
                &figures.messages,
            ),
            ("miraft_proxy_pubsub_cut_off", "Subscribers closed because they did not read", &figures.cut_off),
        ] {
            let metric = ConstCounter::new(count.load(Relaxed));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let clients = ConstGauge::new(self.0.clients.len() as i64);
        let help = "Clients connected now";
        clients.encode(encoder.encode_descriptor(
            "miraft_proxy_clients",
            help,
            None,
            clients.metric_type(),
        )?)
    }
}
