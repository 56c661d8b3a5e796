# shellcheck shell=bash
# What the scripts beside this file share; sourced, never run.

deploy_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
layout=default

say() { echo "${0##*/}: $*" >&2; }
die() {
    say "$*"
    exit 1
}

# Settings of .env that the shell does not set itself.
read_settings() {
    local line name
    [ -f "$deploy_dir/.env" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        [[ $line =~ ^([A-Z][A-Z0-9_]*)=(.*)$ ]] || continue
        name=${BASH_REMATCH[1]}
        [ -n "${!name+set}" ] || export "$name=${BASH_REMATCH[2]}"
    done <"$deploy_dir/.env"
}

# The two layouts are two projects, so that neither takes the other's containers for its own.
use_layout() {
    layout=$1
    case "$layout" in
        default) compose_file=docker-compose.yml project=miraft ;;
        6node) compose_file=docker-compose.6node.yml project=miraft-6node ;;
    esac
    project=${COMPOSE_PROJECT_NAME:-$project}
    # Six storage nodes are a profile of the default layout.
    case "${MIRAFT_NODES:-3}" in
        3) left_out='^storage-[456]$' ;;
        6) left_out='^$' && export COMPOSE_PROFILES=storage6 ;;
        *) die "MIRAFT_NODES is 3 or 6" ;;
    esac
    # Once: compose is slow to ask, and version 1 names services of every profile.
    all_services=$(compose config --services | grep -vE "$left_out")
}

# Version 2 is a plugin of docker, version 1 a program.
compose() {
    if docker compose version >/dev/null 2>&1; then
        docker compose --project-name "$project" --file "$deploy_dir/$compose_file" "$@"
    elif command -v docker-compose >/dev/null; then
        docker-compose --project-name "$project" --file "$deploy_dir/$compose_file" "$@"
    else
        die "neither 'docker compose' nor 'docker-compose' is installed"
    fi
}

need_engine() {
    command -v docker >/dev/null || die "docker is not installed"
    docker info >/dev/null 2>&1 || die "no Docker engine answers (docker info)"
}

# services [KIND-]: services of this layout, one a line.
services() { grep "^${1:-}" <<<"$all_services" | sort; }

# container_of SERVICE: its id; nothing when there is none.
container_of() {
    docker ps --all --quiet --filter "label=com.docker.compose.project=$project" \
        --filter "label=com.docker.compose.service=$1"
}

# wait_until SECONDS WHAT COMMAND…: looks again until the command succeeds.
wait_until() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            say "gave up waiting: $what"
            return 1
        fi
        sleep 0.5
    done
}

# is_ready SERVICE: its process answers 200 on /readyz, now. The engine asks the same, but only now and then.
is_ready() {
    local container
    container=$(container_of "$1")
    [ -n "$container" ] && docker exec "$container" miraft-health >/dev/null 2>&1
}

all_ready() {
    local service
    for service in $(services); do is_ready "$service" || return 1; done
}

# cluster_serves SERVICE: all slots have an owner that serves them, as that proxy sees it.
cluster_serves() {
    local container
    container=$(container_of "$1")
    [ -n "$container" ] && docker exec "$container" miraft-health cluster >/dev/null 2>&1
}

# No slot has an owner: nobody has made the cluster yet.
is_unmade() {
    local info
    info=$(docker exec "$(container_of proxy-1)" miraft-health cluster || true)
    [[ $info == *cluster_slots_assigned:0* ]]
}

every_proxy_serves() {
    local proxy
    for proxy in $(services proxy-); do cluster_serves "$proxy" || return 1; done
}

# The host:port that cluster clients are told to connect to, of every proxy, one a line.
announced() {
    local proxy
    for proxy in $(services proxy-); do
        # shellcheck disable=SC2016  # of the container
        docker exec "$(container_of "$proxy")" \
            bash -c 'echo "$MIRAFT_PROXY_ANNOUNCE_HOST:$MIRAFT_PROXY_ANNOUNCE_PORT"'
    done
}

start_timeout_s() { echo "${MIRAFT_START_TIMEOUT_S:-180}"; }
