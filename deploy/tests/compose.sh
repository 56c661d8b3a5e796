#!/usr/bin/env bash
# Brings both compose layouts up for real and breaks them: health, clients outside and inside, kill -9 of a process of
# each kind, stop, start, find the data, upgrade under load, remove everything.
#
#   compose.sh [--prebuilt DIR] [default] [6node]     both layouts unless named
#
# Exit status 77: skipped, because something it needs is not on this machine; it says what. Needs no registry: the base
# image is made with debootstrap from where this machine's own Debian packages come from, and kept for the next run
# ($MIRAFT_TEST_BASE names another).
set -euo pipefail

readonly STATUS_SKIPPED=77 SECONDS_MAX=1800
if [ -z "${MIRAFT_TEST_BOUNDED:-}" ]; then
    MIRAFT_TEST_BOUNDED=1 exec timeout --kill-after=120 "$SECONDS_MAX" "$0" "$@"
fi

# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
binaries=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/miraft/target}/release
layouts=()
while [ $# -gt 0 ]; do
    case "$1" in
        --prebuilt) binaries=${2:?a directory} && shift 2 ;;
        default | 6node) layouts+=("$1") && shift ;;
        *) die "unknown argument $1" ;;
    esac
done
[ ${#layouts[@]} -gt 0 ] || layouts=(default 6node)

skip() {
    echo "SKIPPED: $*" >&2
    exit "$STATUS_SKIPPED"
}

step() { echo "== $*" >&2; }

# Remembered, so that it stands below the logs.
failure=
die() {
    failure=$*
    say "$*"
    exit 1
}

# expect WANTED GOT WHAT
expect() { [ "$1" = "$2" ] || die "$3: expected '$1', got '$2'"; }

need() {
    command -v docker >/dev/null || skip "docker is not installed"
    docker info >/dev/null 2>&1 || skip "no Docker engine answers"
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null ||
        skip "docker-compose is not installed"
    command -v redis-cli >/dev/null || skip "redis-cli is not installed (Debian: redis-tools)"
    local binary
    for binary in miraft miraft-meta miraft-storage miraft-proxy; do
        [ -x "$binaries/$binary" ] || skip "$binaries/$binary is not built"
    done
}

# ---- images --------------------------------------------------------------------------------------

# Where this machine gets its release of Debian from.
debian_mirror() {
    apt-get indextargets --format "\$(REPO_URI) \$(CODENAME) \$(COMPONENT)" 'Identifier: Packages' |
        awk -v release="$1" '$2 == release && $3 == "main" { print $1; exit }'
}

# The binaries were built here, so the release of this machine has their glibc.
make_base_image() {
    local release mirror
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    base=${MIRAFT_TEST_BASE:-miraft-test-base:$release}
    ! docker image inspect "$base" >/dev/null 2>&1 || return 0
    command -v debootstrap >/dev/null || skip "there is no image $base, and debootstrap is not installed to make it"
    [ "$(id -u)" = 0 ] || skip "there is no image $base, and only root can make it"
    mirror=$(debian_mirror "$release")
    [ -n "$mirror" ] || skip "there is no image $base, and no source of Debian packages is configured"
    step "base image $base"
    debootstrap --variant=minbase "$release" "$scratch/rootfs" "$mirror" >"$scratch/debootstrap.log" 2>&1 ||
        { tail -n 5 "$scratch/debootstrap.log" >&2 && skip "debootstrap failed"; }
    (cd "$scratch/rootfs/var" && rm -rf cache/apt/archives lib/apt/lists)
    tar --directory "$scratch/rootfs" --create . | docker import - "$base" >/dev/null
    rm -rf "$scratch/rootfs"
}

make_image() {
    make_base_image
    step "image $MIRAFT_IMAGE from $binaries"
    "$deploy_dir/build-image.sh" --prebuilt "$binaries" --build-arg "RUNTIME_IMAGE=$base" >"$scratch/build.log" 2>&1 ||
        { tail -n 30 "$scratch/build.log" >&2 && die "the image cannot be built"; }
}

# ---- the environment of the scripts under test ---------------------------------------------------

free_ports=()
# Sets `port` to one that nobody listens on, in this run a new one each time.
take_free_port() {
    while true; do
        port=$((20000 + RANDOM % 10000))
        [[ " ${free_ports[*]} " != *" $port "* ]] || continue
        ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue
        free_ports+=("$port")
        return
    done
}

# Everything a .env of this checkout could set is set here, so that none changes the test.
set_environment() {
    local number name
    for number in 1 2 3 4 5 6; do
        for name in PORT PLAIN_PORT ADMIN_PORT; do
            take_free_port
            export "MIRAFT_${name}_$number=$port"
        done
    done
    export MIRAFT_PUBLISH_ADDRESS=127.0.0.1 MIRAFT_ANNOUNCE_HOST=127.0.0.1 MIRAFT_PASSWORD=''
    export MIRAFT_DURABILITY=fsync MIRAFT_BLOCK_CACHE_BYTES=33554432 MIRAFT_LOG_LEVEL=info,openraft=warn
    export MIRAFT_START_TIMEOUT_S=300
}

clean_up() {
    local status=$?
    trap - EXIT
    if [ -n "${layout_running:-}" ]; then
        if [ "$status" != 0 ]; then
            compose ps >&2 || true
            compose logs --no-color --tail 40 >&2 || true
        fi
        compose down --volumes --remove-orphans --timeout 5 >/dev/null 2>&1 || true
    fi
    docker image rm --force "miraft-test:$$-next" "miraft-test:$$" >/dev/null 2>&1 || true
    rm -rf "${scratch:?}"
    [ -z "$failure" ] || echo "FAILED: $failure" >&2
    exit "$status"
}

# ---- clients -------------------------------------------------------------------------------------

# redis PROXY ARGUMENT…: a cluster client on this machine, at that proxy's announced address.
redis() {
    local port_of="MIRAFT_PORT_$1"
    shift
    timeout 15 redis-cli -c -h "$MIRAFT_ANNOUNCE_HOST" -p "${!port_of}" "$@"
}

# inside HOST PORT COMMAND: what a client in a container of the network is told; the command goes as one line.
inside() {
    # shellcheck disable=SC2016  # of the container
    docker exec "$(container_of meta-2)" bash -c '
        exec 3<>"/dev/tcp/$1/$2" || exit
        [ -z "$4" ] || { printf "AUTH %s\r\n" "$4" >&3; read -r <&3; }
        printf "%s\r\nQUIT\r\n" "$3" >&3
        timeout 5 cat <&3' inside "$1" "$2" "$3" "$MIRAFT_PASSWORD" | tr -d '\r'
}

written=0
# write COUNT PROXY: each write must be answered OK.
write() {
    local last=$((written + $1))
    while [ "$written" -lt "$last" ]; do
        expect OK "$(redis "$2" SET "key:$((written + 1))" "value:$((written + 1))")" "write $((written + 1)) by proxy $2"
        written=$((written + 1))
    done
}

# expect_keys NAME COUNT PROXY: NAME:1 … NAME:COUNT have their values.
expect_keys() {
    local number=0 value port_of="MIRAFT_PORT_$3"
    while IFS= read -r value; do
        number=$((number + 1))
        expect "value:$number" "$value" "$1:$number"
    done < <(seq -f "GET $1:%g" "$2" |
        timeout 60 redis-cli -h "$MIRAFT_ANNOUNCE_HOST" -p "${!port_of}")
    expect "$2" "$number" "keys found"
}

# Every acknowledged write is there, through one proxy.
read_all() { expect_keys key "$written" "$1"; }

# Writes live:1, live:2, … until $scratch/enough is there, as a client does that knows every proxy: the next one when
# one does not answer. Ends with status 0 if each write was answered OK.
write_live() {
    local number=0 proxy
    while [ ! -e "$scratch/enough" ]; do
        for proxy in 1 2 3 none; do
            [ "$proxy" != none ] || return 1
            [ "$(redis "$proxy" SET "live:$((number + 1))" "value:$((number + 1))" 2>&1)" != OK ] || break
        done
        number=$((number + 1))
        echo "$number" >"$scratch/live"
        # Load, not all there is: the machine has other work.
        sleep 0.1
    done
}

# ---- what is checked -----------------------------------------------------------------------------

check_clients() {
    local proxy outside seen
    step "clients outside and inside"
    [[ $(redis 1 CLUSTER INFO) == *cluster_state:ok* ]] || die "CLUSTER INFO is not ok"
    write 60 1
    read_all 2
    outside=$(redis 1 CLUSTER NODES | cut -d' ' -f1,2 | sort)
    expect "$(services proxy- | wc -l)" "$(wc -l <<<"$outside")" "proxies in CLUSTER NODES"
    for proxy in $(services proxy-); do
        local number=${proxy#proxy-} port_of="MIRAFT_PORT_${proxy#proxy-}"
        grep -q " $MIRAFT_ANNOUNCE_HOST:${!port_of}@.*,$proxy\$" <<<"$outside" || die "$proxy is not announced: $outside"
        expect "$outside" "$(redis "$number" CLUSTER NODES | cut -d' ' -f1,2 | sort)" "CLUSTER NODES of $proxy, outside"
        # The reply has a length before it, and the answer to QUIT after it.
        seen=$(inside "$proxy" "${!port_of}" 'CLUSTER NODES' | grep '@' | cut -d' ' -f1,2 | sort)
        expect "$outside" "$seen" "CLUSTER NODES of $proxy, inside"
        # The plain listener: one Redis with every key, for clients of the network.
        seen=$(inside "$proxy" 6379 'GET key:7' | sed -n 2p)
        expect value:7 "$seen" "the plain listener of $proxy, inside"
    done
}

# As a crash: from outside, so that the restart policy has its say (after docker kill it has none).
crash() {
    local container
    container=$(container_of "$1")
    if kill -9 "$(docker inspect --format '{{.State.Pid}}' "$container")" 2>/dev/null; then
        revive() { :; }
    else
        say "cannot kill processes of containers: docker kill and docker start stand in for crash and restart policy"
        docker kill "$container" >/dev/null
        revive() { docker start "$1" >/dev/null; }
    fi
    crashed=$container
}

started_at() { docker inspect --format '{{.State.StartedAt}}' "$1"; }
is_back() { [ "$(started_at "$crashed")" != "$before" ] && is_ready "$1"; }

check_crashes() {
    local service
    for service in storage-1 meta-1 proxy-1; do
        step "kill -9 $service"
        before=$(started_at "$(container_of "$service")")
        crash "$service"
        write 20 2
        revive "$crashed"
        wait_until 120 "$service is back" is_back "$service"
        write 10 3
    done
    wait_until 120 "every slot is served" every_proxy_serves
    read_all 1
}

check_stop_and_start() {
    local since codes
    step "stop"
    since=$(date +%s)
    run stop.sh "${flags[@]}"
    expect '' "$(docker ps -aq --filter "$ours")" "containers left"
    codes=$(docker events --since "$since" --until "$(($(date +%s) + 1))" --filter event=die \
        --filter "$ours" --format '{{.Actor.Attributes.exitCode}}')
    expect 12 "$(grep -cx 0 <<<"$codes")" "processes that ended with status 0"

    step "start again"
    start
    read_all 1
    write 10 2
}

check_upgrade() {
    local writer old
    step "upgrade under load"
    old=$MIRAFT_IMAGE
    echo "FROM $old
LABEL generation=next" | docker build --tag "$old-next" - >/dev/null 2>&1
    rm -f "$scratch/enough"
    write_live &
    writer=$!
    export MIRAFT_IMAGE=$old-next
    run upgrade.sh "${flags[@]}"
    touch "$scratch/enough"
    wait "$writer" || die "write $(cat "$scratch/live") + 1 was not answered OK by any proxy"
    expect 12 "$(docker ps -q --filter label=generation=next --filter "$ours" | wc -l)" "containers of the new image"
    expect_keys live "$(cat "$scratch/live")" 1
    read_all 2
}

check_purge() {
    step "purge"
    run stop.sh "${flags[@]}" --purge
    expect '' "$(docker volume ls -q --filter "$ours")" "volumes left"
    expect '' "$(docker network ls -q --filter "$ours")" "networks left"
}

# run SCRIPT ARGUMENT…: one of the scripts under test, which must succeed; what it says is in $scratch/SCRIPT.log.
run() {
    "$deploy_dir/$1" "${@:2}" >"$scratch/$1.log" 2>&1 ||
        { tail -n 60 "$scratch/$1.log" >&2 && die "$1 failed"; }
}

start() { run start.sh "${flags[@]}"; }

begin() {
    step "layout $1"
    use_layout "$1"
    written=0 layout_running=$1
    flags=()
    [ "$1" = default ] || flags=("--$1")
}

test_default() {
    begin default
    set_environment
    start
    step "start what runs already"
    start
    check_clients
    check_crashes
    check_stop_and_start
    check_upgrade
    check_purge
    layout_running=
}

# check_init redis-cli|miraft: with either, three masters and three replicas, and the second time nothing to do.
check_init() {
    step "init-cluster.sh --with $1"
    run init-cluster.sh --with "$1"
    run init-cluster.sh --with "$1"
    grep -q 'the cluster stands already' "$scratch/init-cluster.sh.log" || die "init-cluster.sh did it again"
    expect 3 "$(redis 1 CLUSTER NODES | grep -c ' \(myself,\)\?master ')" masters
    expect 3 "$(redis 1 CLUSTER NODES | grep -c ' \(myself,\)\?slave ')" replicas
}

# An address of this machine that containers reach: the way out of the default network, from inside.
address_for_containers() {
    local hex
    hex=$(docker run --rm "$MIRAFT_IMAGE" bash -c 'while read -r _ to via _; do
        [ "$to" != 00000000 ] || echo "$via"; done </proc/net/route')
    [ ${#hex} = 8 ] || die "a container has no way out: '$hex'"
    printf '%d.%d.%d.%d\n' "0x${hex:6:2}" "0x${hex:4:2}" "0x${hex:2:2}" "0x${hex:0:2}"
}

# Announced is an address of this machine that containers reach as well, so cluster clients work on both sides.
test_6node() {
    local number port_of seen
    begin 6node
    set_environment
    MIRAFT_ANNOUNCE_HOST=$(address_for_containers)
    MIRAFT_PUBLISH_ADDRESS=$MIRAFT_ANNOUNCE_HOST
    step "an open door is refused ($MIRAFT_ANNOUNCE_HOST)"
    ! "$deploy_dir/start.sh" --6node >/dev/null 2>&1 || die "start.sh published without a password"
    export MIRAFT_PASSWORD=pass-of-this-test REDISCLI_AUTH=pass-of-this-test
    start
    check_init redis-cli
    for number in 1 2 3 4 5 6; do
        port_of="MIRAFT_PORT_$number"
        expect +PONG "$(inside "$MIRAFT_ANNOUNCE_HOST" "${!port_of}" PING | sed -n 1p)" "announced address, inside"
    done
    seen=$(env -u REDISCLI_AUTH redis-cli -h "$MIRAFT_ANNOUNCE_HOST" -p "$MIRAFT_PORT_1" GET key:1)
    expect 'NOAUTH Authentication required.' "$seen" "without the password"
    check_clients
    check_crashes
    check_stop_and_start
    check_purge
    start
    check_init miraft
    check_purge
    unset REDISCLI_AUTH
    layout_running=
}

need
scratch=$(mktemp -d)
export COMPOSE_PROJECT_NAME=miraft-test-$$ MIRAFT_IMAGE=miraft-test:$$
ours=label=com.docker.compose.project=$COMPOSE_PROJECT_NAME
trap clean_up EXIT
trap 'exit 143' TERM INT
make_image
for wanted in "${layouts[@]}"; do "test_$wanted"; done
step "passed"
