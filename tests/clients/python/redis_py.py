"""redis-py, its cluster client."""

from redis.cluster import RedisCluster

import workload

host, port = workload.seed()
client = RedisCluster(host=host, port=port, socket_timeout=5)
workload.run("redis_py", client.set, client.get)
