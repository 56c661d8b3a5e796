"""redis-py, its cluster client for asyncio."""

import asyncio

from redis.asyncio.cluster import RedisCluster

import workload


async def main():
    host, port = workload.seed()
    async with RedisCluster(host=host, port=port, socket_timeout=5) as client:
        await workload.run_async("redis_py_asyncio", client.set, client.get)


asyncio.run(main())
