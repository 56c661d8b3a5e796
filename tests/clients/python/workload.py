"""What every client program does: see ../README.md."""

import asyncio
import random
import sys
import time

READY = 200
PATIENCE_S = 30
PAUSE_S = 0.02


def seed():
    """The address that the program was given."""
    host, port = sys.argv[1].rsplit(":", 1)
    return host, int(port)


def run(name, set_key, get_key):
    """Runs the workload with functions that raise when they fail."""

    async def set_later(key, value):
        set_key(key, value)

    async def get_later(key):
        return get_key(key)

    asyncio.run(run_async(name, set_later, get_later))


async def run_async(name, set_key, get_key):
    """Runs the workload with coroutine functions that raise when they fail."""
    acknowledged, errors, gap = 0, 0, 0.0
    last_success = time.monotonic()
    stop = None
    while not stop:
        try:
            await set_key(f"{name}:{acknowledged}", str(acknowledged))
            acknowledged += 1
            if acknowledged == READY:
                print("ready", flush=True)
            number = random.randrange(acknowledged)
            check(name, number, await get_key(f"{name}:{number}"))
            stop = await get_key("clients:stop")
            now = time.monotonic()
            gap, last_success = max(gap, now - last_success), now
        except Exception as error:
            errors += 1
            if time.monotonic() - last_success > PATIENCE_S:
                sys.exit(f"nothing succeeds any more: {error!r}")
            await asyncio.sleep(PAUSE_S)
    for number in random.sample(range(acknowledged), READY):
        check(name, number, await get_key(f"{name}:{number}"))
    print(f"acknowledged={acknowledged} errors={errors} gap_ms={int(gap * 1000)}")


def check(name, number, seen):
    if seen not in (str(number), str(number).encode()):
        sys.exit(f"{name}:{number} holds {seen!r}")
