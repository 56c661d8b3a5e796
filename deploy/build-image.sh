#!/usr/bin/env bash
# Builds the image that the compose files and the chart run.
#
#   build-image.sh                    compiles in a container (RocksDB takes a quarter of an hour)
#   build-image.sh --prebuilt DIR     takes miraft, miraft-meta, miraft-storage, miraft-proxy from DIR
#
# --tag NAME is another name than $MIRAFT_IMAGE (miraft:latest). What follows goes to docker build, for instance
# --build-arg RUNTIME_IMAGE=… (its glibc must not be older than that of the machine the binaries were built on).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
read_settings

tag=${MIRAFT_IMAGE:-miraft:latest} prebuilt=
while [ $# -gt 0 ]; do
    case "$1" in
        --prebuilt) prebuilt=${2:?a directory} && shift 2 ;;
        --tag) tag=${2:?a name} && shift 2 ;;
        --help | -h) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" && exit ;;
        *) break ;;
    esac
done
need_engine

if [ -z "$prebuilt" ]; then
    exec docker build --file "$deploy_dir/Dockerfile" --target runtime --tag "$tag" "$@" "$deploy_dir/.."
fi

# A context with nothing in it but what the target takes: the directory may hold gigabytes.
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/deploy" "$context/prebuilt"
cp -R "$deploy_dir/config" "$deploy_dir/container" "$deploy_dir/Dockerfile" "$context/deploy/"
for binary in miraft miraft-meta miraft-storage miraft-proxy; do
    [ -x "$prebuilt/$binary" ] || die "$prebuilt/$binary is not there: cargo build --release --workspace --bins"
    cp "$prebuilt/$binary" "$context/prebuilt/"
done
# Line tables for backtraces are most of a binary; the other target leaves them out as well.
! command -v strip >/dev/null || strip --strip-debug "$context"/prebuilt/*
docker build --file "$context/deploy/Dockerfile" --target runtime-prebuilt --tag "$tag" "$@" "$context"
