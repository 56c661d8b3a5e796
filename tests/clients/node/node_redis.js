// node-redis, its cluster client. See ../README.md.
//
// Version 4 asks for the topology again only when a node answers MOVED, and waits forever for a node
// that is gone. So this does what its users have to: connections are not repeated, and after an error
// a new client starts from one of the nodes that the first one discovered.
"use strict";

const { createCluster } = require("redis");

const NAME = "node_redis";
const READY = 200;
const PATIENCE_MS = 30_000;
const PAUSE_MS = 20;

function fail(message) {
    console.error(message);
    process.exit(1);
}

async function check(client, number) {
    const seen = await client.get(`${NAME}:${number}`);
    if (seen !== String(number)) {
        fail(`${NAME}:${number} holds ${seen}`);
    }
}

async function open(address) {
    const client = createCluster({
        rootNodes: [{ url: `redis://${address}` }],
        defaults: { socket: { connectTimeout: 5000, reconnectStrategy: () => new Error("gone") } },
    });
    client.on("error", () => {}); // Of a connection in the background; calls report their own.
    try {
        await client.connect();
        return client;
    } catch (error) {
        client.disconnect().catch(() => {});
        throw error;
    }
}

async function openAny(addresses) {
    for (const address of addresses) {
        const client = await open(address).catch(() => null);
        if (client) {
            return client;
        }
    }
    throw new Error("no node answers");
}

function discovered(client) {
    const sockets = client.getMasters().map((node) => node.client.options.socket);
    return sockets.map(({ host, port }) => `${host}:${port}`);
}

async function main() {
    let client = await open(process.argv[2]);
    const nodes = discovered(client);
    let [acknowledged, errors, gap, lastSuccess, stop] = [0, 0, 0, Date.now(), null];
    while (!stop) {
        try {
            await client.set(`${NAME}:${acknowledged}`, String(acknowledged));
            acknowledged += 1;
            if (acknowledged === READY) {
                console.log("ready");
            }
            await check(client, Math.floor(Math.random() * acknowledged));
            stop = await client.get("clients:stop");
            const now = Date.now();
            gap = Math.max(gap, now - lastSuccess);
            lastSuccess = now;
        } catch (error) {
            errors += 1;
            if (Date.now() - lastSuccess > PATIENCE_MS) {
                fail(`nothing succeeds any more: ${error}`);
            }
            await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
            client.disconnect().catch(() => {});
            client = await openAny(nodes).catch(() => client);
        }
    }
    for (let count = 0; count < READY; count += 1) {
        await check(client, Math.floor(Math.random() * acknowledged));
    }
    console.log(`acknowledged=${acknowledged} errors=${errors} gap_ms=${gap}`);
    process.exit(0);
}

main().catch((error) => fail(error.stack));
