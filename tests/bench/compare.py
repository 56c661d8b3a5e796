#!/usr/bin/env python3
"""Miraft against a single redis-server, in one run on one machine.

    tests/bench/compare.py --bin DIR [--quick] [--only SET,GET] [--dev-args "--groups 1"]

Starts `miraft dev` and `redis-server` (no persistence) on free ports of the loopback, writes all keys
of each some times, drives the one and the other with redis-benchmark in turns, and prints one table: operations per second, p50
and p99 in ms, and CPU microseconds per operation summed over all server processes (the load
generator is not counted). The ratio of the CPU figures is what to look at: rates on a small machine
mostly tell who shares the cores with the load generator. The last column compares Miraft's CPU per
operation with that of its own SET, where SET was measured as well.

    --only types     writes to collections, and reads of a hundred elements
"""

import argparse
import csv
import io
import itertools
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

COLUMNS = [(1, 1), (50, 1), (50, 16), (200, 1), (50, 64)]
TESTS = ["SET", "GET", "INCR", "MSET"]
KEYSPACE = 100_000
# What redis-benchmark has no test for, or has on one key alone: then every write would go to one group.
RANDOM = "__rand_int__"
COMMANDS = {
    "HSET": ["HSET", f"hash:{RANDOM}", "field", "value"],
    "LPUSH": ["LPUSH", f"list:{RANDOM}", "element"],
    # Sets of the run's own, so that they stay small.
    "SADD": ["SADD", f"set@RUN:{RANDOM}", f"member:{RANDOM}"],
    "ZADD": ["ZADD", f"zset@RUN:{RANDOM}", "1", f"member:{RANDOM}"],
    "HGETALL of 100": ["HGETALL", f"hash100:{RANDOM}"],
    "LRANGE of 100": ["LRANGE", f"list100:{RANDOM}", "0", "99"],
    "ZRANGE of 100": ["ZRANGE", f"zset100:{RANDOM}", "0", "99"],
}
# On one key, as redis-benchmark has them.
ONE_KEY = {f"{name} of one key": name for name in ["HSET", "LPUSH", "SADD", "ZADD"]}
TYPES = ["SET", *list(COMMANDS)[:4], *ONE_KEY, *list(COMMANDS)[4:]]
RUNS = itertools.count()
# Keys with a hundred elements each.
LARGE_KEYS = 100
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def descendants(pid):
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as f:
            for child in f.read().split():
                found += descendants(int(child))
    return found


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


class Server:
    def __init__(self, name, port, process):
        self.name, self.port, self.process = name, port, process

    def pids(self):
        return descendants(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def start_redis(directory):
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
         "--dir", directory], stdout=subprocess.DEVNULL)
    await_ping(port, process)
    return Server("redis", port, process)


def start_miraft(binaries, directory, extra):
    data = os.path.join(directory, "cluster")
    process = subprocess.Popen(
        [os.path.join(binaries, "miraft"), "dev", "--dir", data, "--port", "0", "--plain-port", "0", *extra],
        stdout=subprocess.DEVNULL)
    described = os.path.join(data, "cluster.json")
    deadline = time.monotonic() + 60
    while not os.path.exists(described):
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit("miraft dev did not become ready")
        time.sleep(0.1)
    with open(described) as f:
        cluster = json.load(f)
    proxies = [node for node in cluster["nodes"] if node["role"] == "proxy"]
    port = int(plain_address(proxies[0]).rsplit(":", 1)[1])
    await_ping(port, process)
    return Server("miraft", port, process)


def plain_address(proxy):
    addresses = proxy.get("addresses", proxy)
    return addresses["plain"]


def await_ping(port, process):
    deadline = time.monotonic() + 30
    while True:
        answer = subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True, text=True)
        if "PONG" in answer.stdout:
            return
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"no PONG from port {port}")
        time.sleep(0.1)


def prepare(server):
    """Makes the keys of a hundred elements."""
    lines = []
    for key in range(LARGE_KEYS):
        elements = [f"element:{n:03}" for n in range(100)]
        name = f"{key:012}"
        lines.append(" ".join(["HSET", f"hash100:{name}", *(f"{e} {n}" for n, e in enumerate(elements))]))
        lines.append(" ".join(["DEL", f"list100:{name}"]))
        lines.append(" ".join(["RPUSH", f"list100:{name}", *elements]))
        lines.append(" ".join(["ZADD", f"zset100:{name}", *(f"{n} {e}" for n, e in enumerate(elements))]))
    subprocess.run(["redis-cli", "-p", str(server.port)], input="\n".join(lines), text=True, check=True,
                   stdout=subprocess.DEVNULL)


def load_of(test):
    """What redis-benchmark is told to send."""
    if test not in COMMANDS:
        return ["-r", str(KEYSPACE), "-t", ONE_KEY.get(test, test).lower()]
    keys = LARGE_KEYS if "100" in test else KEYSPACE
    return ["-r", str(keys), *(word.replace("@RUN", str(next(RUNS))) for word in COMMANDS[test])]


def benchmark(server, clients, pipeline, requests, load):
    """One redis-benchmark run: its last row."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-c", str(clients),
               "-P", str(pipeline), "-n", str(requests), "-d", "100", "--csv", *load]
    out = subprocess.run(command, capture_output=True, text=True, timeout=180)
    rows = [row for row in csv.DictReader(io.StringIO(out.stdout))]
    if out.returncode != 0 or not rows:
        sys.exit(f"redis-benchmark failed: {out.stdout}{out.stderr}")
    return rows[-1]


def warm_up(server):
    """Writes each key some times: memory that is used for the first time costs more than the commands do."""
    benchmark(server, 50, 16, 5 * KEYSPACE, load_of("SET"))


def compared(servers, test, clients, pipeline, seconds, rounds):
    """Medians for each server, of rounds in turns."""
    runs = [[measure(server, test, clients, pipeline, seconds) for server in servers] for _ in range(rounds)]
    return [{name: statistics.median(run[name] for run in of_one) for name in of_one[0]} for of_one in zip(*runs)]


def measure(server, test, clients, pipeline, seconds):
    """One redis-benchmark run, sized from a short trial so that it lasts about `seconds`."""
    def run(requests):
        load, pids = load_of(test), server.pids()
        before, at = cpu_seconds(pids), time.monotonic()
        row = benchmark(server, clients, pipeline, requests, load)
        return row, cpu_seconds(pids) - before, time.monotonic() - at
    trial = 2000 * pipeline if clients > 1 else 2000
    _, _, took = run(trial)
    requests = max(trial, int(trial / max(took, 0.05) * seconds))
    row, spent, _ = run(requests)
    return {"rps": float(row["rps"]), "p50": float(row["p50_latency_ms"]),
            "p99": float(row["p99_latency_ms"]), "cpu": spent / requests * 1e6}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="directory of the built binaries")
    parser.add_argument("--quick", action="store_true", help="one round of one second a cell")
    parser.add_argument("--rounds", type=int, default=3, help="of two seconds each for a cell; medians are shown")
    parser.add_argument("--only", default=",".join(TESTS))
    parser.add_argument("--columns", default="", help='such as "50:1,50:16"')
    parser.add_argument("--dev-args", default="", help="more arguments for miraft dev")
    parser.add_argument("--json", help="also write the figures here")
    args = parser.parse_args()
    seconds, rounds = (1, 1) if args.quick else (2, args.rounds)
    columns = [tuple(map(int, c.split(":"))) for c in args.columns.split(",") if c] or COLUMNS

    directory = tempfile.mkdtemp(prefix="miraft-bench-")
    servers, figures = [], []
    try:
        servers = [start_miraft(args.bin, directory, args.dev_args.split()), start_redis(directory)]
        print(f"| test | clients, pipeline | miraft op/s | p50 ms | p99 ms | CPU µs/op "
              f"| redis op/s | p50 ms | p99 ms | CPU µs/op | CPU ratio | to SET |")
        print("|---|---|---|---|---|---|---|---|---|---|---|---|")
        tests = TYPES if args.only == "types" else args.only.split(",")
        for server in servers:
            warm_up(server)
            if any("100" in test for test in tests):
                prepare(server)
        of_set = {}
        for test in tests:
            for clients, pipeline in columns:
                ours, theirs = compared(servers, test, clients, pipeline, seconds, rounds)
                ratio = ours["cpu"] / theirs["cpu"] if theirs["cpu"] else float("nan")
                if test == "SET":
                    of_set[clients, pipeline] = ours["cpu"]
                to_set = ours["cpu"] / of_set[clients, pipeline] if (clients, pipeline) in of_set else None
                figures.append({"test": test, "clients": clients, "pipeline": pipeline,
                                "miraft": ours, "redis": theirs, "ratio": ratio})
                cells = [f"{m['rps']:,.0f} | {m['p50']:.3f} | {m['p99']:.3f} | {m['cpu']:.1f}" for m in (ours, theirs)]
                print(f"| {test} | ({clients},{pipeline}) | {cells[0]} | {cells[1]} | {ratio:.1f} "
                      f"| {'' if to_set is None else format(to_set, '.2f')} |", flush=True)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(figures, f, indent=1)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
