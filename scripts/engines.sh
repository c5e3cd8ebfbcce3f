#!/bin/bash
# Real container engines for the tests, private to this project: Docker, Podman as root, Podman rootless, two registries.
#
#   scripts/engines.sh up            install what is missing (apt-get), start everything, make the test images; repeatable
#   scripts/engines.sh env           print HIVE_TEST_* exports of what answers: eval "$(scripts/engines.sh env)"
#   scripts/engines.sh down          stop what `up` started, with its containers; data stay for a quick next `up`
#   scripts/engines.sh down --purge  … and delete the data
#
# Needs root on a Debian-like Linux. Everything lives below HIVE_ENGINES_DIR (/var/tmp/hive-engines); system engines,
# their sockets, bridges and data are never touched. Processes are ended by the pid files kept there, never by name.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(dirname "$here")
dir=${HIVE_ENGINES_DIR:-/var/tmp/hive-engines}
rootless_user=${HIVE_ENGINES_USER:-hive-engines}
# Network names and subnets go by the directory, so that two sets of engines can stand side by side.
number=$(($(printf %s "$dir" | cksum | cut -d' ' -f1) % 256))
registry_user=hive
registry_password=hive-test-password

. "$here/engines/daemon.sh"
. "$here/engines/install.sh"
. "$here/engines/registry.sh"
. "$here/engines/docker.sh"
. "$here/engines/podman.sh"
. "$here/engines/images.sh"

up() {
  require_root_on_debian
  install_packages
  mkdir -p "$dir"
  chmod 0755 "$dir"
  # One `up` at a time: CI and a developer may share the machine.
  exec 9>"$dir/lock"
  flock -w 300 9 || die 'another scripts/engines.sh has held the lock for 5 minutes'
  registry_up
  docker_up
  podman_up
  rootless_up || true
  images_up
  report
}

down() {
  require_root_on_debian
  [ -d "$dir" ] || return 0
  exec 9>"$dir/lock"
  flock -w 300 9 || die 'another scripts/engines.sh has held the lock for 5 minutes'
  rootless_down
  podman_down
  docker_down
  registry_down
  if [ "${1:-}" = --purge ]; then purge; fi
}

purge() {
  # Overlay mounts of a killed engine would make rm cross into an image; take them off first.
  awk -v below="$dir/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n1 umount -l
  rm -rf --one-file-system "$dir"
}

env_lines() {
  if docker_answers; then echo "export HIVE_TEST_DOCKER_HOST=unix://$docker_socket"; fi
  if podman_answers; then echo "export HIVE_TEST_PODMAN_HOST=unix://$podman_socket"; fi
  if rootless_answers; then
    echo "export HIVE_TEST_PODMAN_ROOTLESS_HOST=unix://$rootless_socket"
  else
    echo "# no rootless podman: $(cat "$dir/rootless/reason" 2>/dev/null || echo 'not started')"
  fi
  if registry_answers plain; then echo "export HIVE_TEST_REGISTRY=127.0.0.1:$(registry_port plain)"; fi
  if registry_answers auth; then
    echo "export HIVE_TEST_REGISTRY_AUTH=127.0.0.1:$(registry_port auth)"
    echo "export HIVE_TEST_REGISTRY_USER=$registry_user"
    echo "export HIVE_TEST_REGISTRY_PASSWORD=$registry_password"
  fi
}

report() {
  env_lines | sed -n -e 's/^export \(HIVE_TEST_[A-Z_]*\)=\(.*\)$/  \1 \2/p' -e '/^#/p' | grep -v PASSWORD >&2
}

case "${1:-}" in
  up) up ;;
  down) down "${2:-}" ;;
  env) env_lines ;;
  *)
    echo 'usage: scripts/engines.sh up | env | down [--purge]' >&2
    exit 64
    ;;
esac
