"""valkey-py, the client of Valkey."""

from valkey.cluster import ValkeyCluster

import workload

host, port = workload.seed()
client = ValkeyCluster(host=host, port=port, socket_timeout=5)
workload.run("valkey_py", client.set, client.get)
