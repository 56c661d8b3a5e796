#!/usr/bin/env bash
# Starts a cluster in containers and returns once it is ready. Run again, it starts what is missing.
#
#   start.sh                  3 meta nodes, 3 storage nodes, 3 proxies; forms by itself
#   start.sh --6node          3 meta nodes, 3 storage nodes, 6 proxies; then run init-cluster.sh
#
#   --build                   build the image even if there is one
#   --prebuilt DIR            build the image from binaries in DIR
#
# Settings: .env beside this file (.env.example names them) or the environment.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
read_settings

use_layout default
build=false from=()
while [ $# -gt 0 ]; do
    case "$1" in
        --6node) use_layout 6node && shift ;;
        --build) build=true && shift ;;
        --prebuilt) build=true from=(--prebuilt "${2:?a directory}") && shift 2 ;;
        --help | -h) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" && exit ;;
        *) die "unknown option $1 (--help)" ;;
    esac
done

refuse_open_door() {
    case "${MIRAFT_PUBLISH_ADDRESS:-127.0.0.1}" in
        127.* | ::1 | '[::1]') ;;
        *) [ -n "${MIRAFT_PASSWORD:-}" ] ||
            die "MIRAFT_PUBLISH_ADDRESS=$MIRAFT_PUBLISH_ADDRESS lets other machines in: set MIRAFT_PASSWORD as well" ;;
    esac
}

explain_failure() {
    local service
    for service in $(services); do
        ! is_ready "$service" || continue
        say "$service is not ready; the last it said:"
        docker logs --tail 20 "$(container_of "$service")" >&2
    done
    exit 1
}

refuse_open_door
need_engine
image=${MIRAFT_IMAGE:-miraft:latest}
if $build || ! docker image inspect "$image" >/dev/null 2>&1; then
    "$deploy_dir/build-image.sh" --tag "$image" "${from[@]}"
fi
compose up -d --remove-orphans
wait_until "$(start_timeout_s)" "every process is ready" all_ready || explain_failure

if [ "$layout" = 6node ] && is_unmade; then
    say "all processes are ready; next: $deploy_dir/init-cluster.sh"
    exit
fi
wait_until "$(start_timeout_s)" "every slot is served" every_proxy_serves || explain_failure
mapfile -t addresses < <(announced)
say "ready: redis-cli -c -h ${addresses[0]%:*} -p ${addresses[0]##*:}"
