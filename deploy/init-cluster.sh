#!/usr/bin/env bash
# Makes a Redis Cluster of the six proxies that start.sh --6node started: three masters, three replicas.
# Run again, it says that the cluster stands. Uses redis-cli where it is installed, else miraft in a container.
#
#   init-cluster.sh [--with redis-cli|miraft]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
read_settings

with=miraft
! command -v redis-cli >/dev/null || with=redis-cli
while [ $# -gt 0 ]; do
    case "$1" in
        --with) with=${2:?redis-cli or miraft} && shift 2 ;;
        --help | -h) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" && exit ;;
        *) die "unknown option $1 (--help)" ;;
    esac
done

create() {
    case "$with" in
        redis-cli)
            local addresses
            mapfile -t addresses < <(announced)
            # Not as an argument, which other users of this machine could read.
            [ -z "${MIRAFT_PASSWORD:-}" ] || export REDISCLI_AUTH=$MIRAFT_PASSWORD
            timeout "$(start_timeout_s)" redis-cli --cluster create "${addresses[@]}" \
                --cluster-replicas 1 --cluster-yes </dev/null
            ;;
        miraft)
            docker exec "$(container_of meta-1)" miraft cluster setup \
                --meta meta-1:7300,meta-2:7300,meta-3:7300 --masters 3 --replicas 1 --wait-s "$(start_timeout_s)"
            ;;
        *) die "--with redis-cli or --with miraft" ;;
    esac
}

need_engine
use_layout 6node
wait_until "$(start_timeout_s)" "every process is ready (start.sh --6node)" all_ready
if every_proxy_serves; then
    say "the cluster stands already"
    exit
fi
create
wait_until "$(start_timeout_s)" "every slot is served" every_proxy_serves
say "the cluster stands"
