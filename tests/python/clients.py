"""redis-py against a running cluster, through every proxy.

    clients.py --cluster HOST:PORT,… --plain HOST:PORT,…

Exits 0 when everything held; otherwise a traceback says what did not.
"""

import argparse
import itertools

import redis
from redis.cluster import ClusterNode, RedisCluster

COUNTER = itertools.count()


def fresh(name):
    """A key that no other check used."""
    return f"python:{name}:{next(COUNTER)}"


def expect_error(text, call):
    try:
        answer = call()
    except redis.ResponseError as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"expected an error with {text!r}, got {answer!r}")


def strings(client):
    key = fresh("string")
    assert client.set(key, b"\x00\xffbinary") is True
    assert client.get(key) == b"\x00\xffbinary"
    assert client.get(fresh("missing")) is None
    assert client.set(key, "x", nx=True) is None
    assert client.set(key, "y", get=True) == b"\x00\xffbinary"
    assert client.append(key, "z") == 2
    assert client.getrange(key, 0, -1) == b"yz"
    assert client.strlen(key) == 2
    expect_error("not an integer", lambda: client.incr(key))


def numbers(client):
    key = fresh("number")
    assert [client.incr(key) for _ in range(3)] == [1, 2, 3]
    assert client.decrby(key, 5) == -2
    assert float(client.incrbyfloat(key, 0.5)) == -1.5


def keys_of_all_slots(client):
    pairs = {fresh("many"): str(number).encode() for number in range(100)}
    assert client.mset(pairs) is True if not isinstance(client, RedisCluster) else client.mset_nonatomic(pairs)
    read = client.mget if not isinstance(client, RedisCluster) else client.mget_nonatomic
    assert read(list(pairs)) == list(pairs.values())
    assert client.exists(*pairs) == 100
    assert client.delete(*pairs) == 100
    assert client.exists(*pairs) == 0


def expiry(client):
    key = fresh("expiry")
    client.set(key, "x", px=100_000)
    assert 0 < client.pttl(key) <= 100_000
    assert client.persist(key)
    assert client.ttl(key) == -1
    assert client.expire(key, 0)
    assert client.exists(key) == 0


def pipelines(client):
    key = fresh("pipeline")
    pipe = client.pipeline(transaction=False)
    for _ in range(500):
        pipe.incr(key)
    assert pipe.execute() == list(range(1, 501))


def keyspace(client):
    key = fresh("keyspace")
    client.set(key, "x")
    assert client.type(key) == b"string"
    assert key.encode() in set(client.scan_iter(match="python:keyspace:*", count=1000))
    assert client.dbsize() >= 1
    client.delete(key)


def every_proxy_serves_what_another_wrote(clients):
    key = fresh("shared")
    for number, writer in enumerate(clients):
        assert writer.set(key, number)
        assert all(reader.get(key) == str(number).encode() for reader in clients)


def hear(listener, kind):
    """The next message of a kind; what else comes before is not it."""
    while True:
        message = listener.get_message(timeout=10)
        assert message is not None, f"no {kind}"
        if message["type"] == kind:
            return message


def messages(client):
    channel = fresh("channel")
    with client.pubsub() as listener:
        listener.subscribe(channel)
        hear(listener, "subscribe")
        listener.psubscribe(channel[:-1] + "*")
        hear(listener, "psubscribe")
        assert client.publish(channel, b"\x00hello") == 2
        assert hear(listener, "message")["data"] == b"\x00hello"
        assert hear(listener, "pmessage")["channel"] == channel.encode()
        listener.unsubscribe()
        hear(listener, "unsubscribe")
        assert client.publish(channel, "alone") == 1


CHECKS = [strings, numbers, keys_of_all_slots, expiry, pipelines, keyspace, messages]


def plain_clients(addresses):
    for (host, port), protocol in itertools.product(addresses, (2, 3)):
        yield redis.Redis(host=host, port=port, protocol=protocol)


def cluster_clients(addresses):
    for (host, port), protocol in itertools.product(addresses, (2, 3)):
        yield RedisCluster(startup_nodes=[ClusterNode(host, port)], protocol=protocol)


def address_list(text):
    parts = [address.rsplit(":", 1) for address in text.split(",")]
    return [(host, int(port)) for host, port in parts]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cluster", type=address_list, required=True)
    parser.add_argument("--plain", type=address_list, required=True)
    arguments = parser.parse_args()

    clients = [*plain_clients(arguments.plain), *cluster_clients(arguments.cluster)]
    for client, check in itertools.product(clients, CHECKS):
        check(client)
    every_proxy_serves_what_another_wrote(clients)
    for client in cluster_clients(arguments.cluster):
        nodes = {(node.host, node.port) for node in client.get_nodes()}
        assert nodes == set(arguments.cluster), f"from one seed: {nodes}"
    print(f"{len(clients)} clients, {len(CHECKS)} checks each: all held")


if __name__ == "__main__":
    main()
