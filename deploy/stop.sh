#!/usr/bin/env bash
# Stops a cluster in containers and removes the containers. The data stays, in named volumes.
#
#   stop.sh               what start.sh started
#   stop.sh --6node       what start.sh --6node started
#   --purge               remove the data as well
#
# Proxies first: they finish what their clients asked for while there is somebody to do it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
read_settings
# Whatever was started.
export MIRAFT_NODES=6

use_layout default
purge=()
while [ $# -gt 0 ]; do
    case "$1" in
        --6node) use_layout 6node && shift ;;
        --purge) purge=(--volumes) && shift ;;
        --help | -h) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" && exit ;;
        *) die "unknown option $1 (--help)" ;;
    esac
done
need_engine

for kind in proxy storage meta; do
    # shellcheck disable=SC2046  # one argument a service
    compose stop $(services "$kind-")
done
compose down --remove-orphans "${purge[@]}"
