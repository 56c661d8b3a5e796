#!/usr/bin/env bash
# Replaces the containers of a running cluster by those of $MIRAFT_IMAGE and the settings in force, one at a time: the
# next one goes when all are ready and every slot is served. What is up to date already is left alone.
#
#   upgrade.sh [--6node]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
read_settings

use_layout default
while [ $# -gt 0 ]; do
    case "$1" in
        --6node) use_layout 6node && shift ;;
        --help | -h) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" && exit ;;
        *) die "unknown option $1 (--help)" ;;
    esac
done
need_engine
docker image inspect "${MIRAFT_IMAGE:-miraft:latest}" >/dev/null 2>&1 ||
    die "there is no image ${MIRAFT_IMAGE:-miraft:latest}: build-image.sh, or docker pull"

stands() { all_ready && every_proxy_serves; }
wait_until "$(start_timeout_s)" "the cluster is whole before anything is replaced" stands

for service in $(services meta-) $(services storage-) $(services proxy-); do
    compose up -d --no-deps "$service"
    wait_until "$(start_timeout_s)" "$service is in its place" stands
    say "$service is up to date"
done
