"""Valkey GLIDE, whose core is written in Rust and shared by many languages."""

from glide_sync import GlideClusterClient, GlideClusterClientConfiguration, NodeAddress

import workload

client = GlideClusterClient.create(
    GlideClusterClientConfiguration([NodeAddress(*workload.seed())], request_timeout=5000)
)
workload.run("valkey_glide", client.set, client.get)
client.close()
