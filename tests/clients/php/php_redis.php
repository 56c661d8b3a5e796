<?php
// phpredis, the extension, its cluster client. See ../README.md.

const NAME = "php_redis";
const READY = 200;
const PATIENCE_S = 30;
const PAUSE_US = 20_000;

function fail(string $message): never
{
    fwrite(STDERR, "$message\n");
    exit(1);
}

function check(RedisCluster $client, int $number): void
{
    $seen = $client->get(NAME . ":$number");
    if ($seen !== (string) $number) {
        fail(NAME . ":$number holds " . var_export($seen, true));
    }
}

$client = new RedisCluster(null, [$argv[1]], 5, 5);
$acknowledged = $errors = 0;
$gap = 0.0;
$stop = false;
$last_success = microtime(true);
while (!$stop) {
    try {
        // It may answer false instead of throwing.
        if (@$client->set(NAME . ":$acknowledged", (string) $acknowledged) !== true) {
            throw new RedisClusterException("not written");
        }
        $acknowledged += 1;
        if ($acknowledged === READY) {
            echo "ready\n";
        }
        check($client, random_int(0, $acknowledged - 1));
        $stop = $client->get("clients:stop");
        $now = microtime(true);
        $gap = max($gap, $now - $last_success);
        $last_success = $now;
    } catch (RedisClusterException | RedisException $error) {
        $errors += 1;
        if (microtime(true) - $last_success > PATIENCE_S) {
            fail("nothing succeeds any more: $error");
        }
        usleep(PAUSE_US);
    }
}
for ($count = 0; $count < READY; $count += 1) {
    check($client, random_int(0, $acknowledged - 1));
}
printf("acknowledged=%d errors=%d gap_ms=%d\n", $acknowledged, $errors, $gap * 1000);
