#!/usr/bin/env bash
# One private engine for a test that breaks it.
#
#   scripts/engines/one.sh docker|podman start DIR NUMBER [option of dockerd …]   … again, too, over what lives on
#   scripts/engines/one.sh docker|podman down DIR NUMBER                          … and delete DIR
#
# NUMBER (0 to 255) chooses network names and subnets, as the directory does for ../engines.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
engine=$1
verb=$2
dir=$3
number=$4
shift 4

. "$here/daemon.sh"
. "$here/docker.sh"
podman_network=hive-podman$number
. "$here/podman.sh"

case "$engine $verb" in
  'docker start') docker_start "$@" ;;
  'podman start')
    [ -d "$dir/podman/home" ] || podman_config "$dir/podman/home" "$dir/podman/run" overlay
    podman_start
    ;;
  'docker down' | 'podman down')
    "${engine}_down"
    # Overlay mounts of a killed engine would make rm cross into an image; take them off first.
    awk -v below="$dir/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n1 umount -l
    rm -rf --one-file-system "$dir"
    ;;
  *)
    echo 'usage: scripts/engines/one.sh docker|podman start|down DIR NUMBER' >&2
    exit 64
    ;;
esac
