"""coredis, an asynchronous client written independently of redis-py."""

import asyncio

import coredis

import workload


async def main():
    host, port = workload.seed()
    async with coredis.RedisCluster(host, port, connect_timeout=5, stream_timeout=5) as client:
        await workload.run_async("coredis_client", client.set, client.get)


asyncio.run(main())
