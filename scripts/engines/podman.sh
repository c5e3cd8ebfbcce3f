# Two private podman services, one of root and one of an ordinary user. Sourced by ../engines.sh.

podman_socket=$dir/podman/podman.sock
rootless_socket=$dir/rootless/run/podman.sock

# Netavark keeps the packet rules of a network in chains that are named after it, and empties them with its last container:
# engines that come and go beside others need a network with a name of its own.
podman_network=${podman_network:-podman}

podman_ping() { curl -sf -o /dev/null --max-time 2 --unix-socket "$1" http://engine/_ping; }
podman_answers() { podman_ping "$podman_socket"; }
rootless_answers() { podman_ping "$rootless_socket"; }

# podman_config HOME RUN DRIVER : the three files that keep this podman away from any other on the host.
podman_config() {
  local home=$1 run=$2 driver=$3
  mkdir -p "$home" "$run"
  # runc: crun refuses hybrid cgroups. Ulimits: the defaults need CAP_SYS_RESOURCE, which root may lack in a container.
  # No static_dir: the clean-up that a container's monitor runs at its end knows only the graph root, and looks below it.
  # File locks: the default ones live in /dev/shm and would be shared with the host's podman.
  cat >"$home/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:2048", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "$run/libpod"
volume_path = "$home/volumes"
[network]
network_backend = "netavark"
network_config_dir = "$home/networks"
default_network = "$podman_network"
END
  # The default network with a bridge of its own; `podman0` may be the host's.
  mkdir -p "$home/networks"
  cat >"$home/networks/$podman_network.json" <<END
{"name": "$podman_network", "id": "$(printf %s "$podman_network" | sha256sum | cut -c1-64)", "driver": "bridge",
 "network_interface": "hive-podman$number", "created": "2026-01-01T00:00:00Z",
 "subnets": [{"subnet": "10.231.$number.0/24", "gateway": "10.231.$number.1"}],
 "ipv6_enabled": false, "internal": false, "dns_enabled": false, "ipam_options": {"driver": "host-local"}}
END
  # Root reads graphroot, an ordinary user rootless_storage_path.
  printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrootless_storage_path = "%s"\nrunroot = "%s"\n' \
    "$driver" "$home/storage" "$home/storage" "$run/storage" >"$home/storage.conf"
  # No port: any loopback registry, such as a fake one of a test, is reached by plain HTTP.
  printf 'unqualified-search-registries = []\n[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n' \
    >"$home/registries.conf"
  # For each `info` podman asks three times which package a program is from, which reads the lists of all packages: two
  # thirds of the time it takes, and each Hive of a test asks for it.
  mkdir -p "$home/bin"
  printf '#!/bin/sh\nexit 1\n' >"$home/bin/dpkg-query"
  chmod 0755 "$home/bin/dpkg-query"
}

podman_env() {
  echo "PATH=$1/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  echo "CONTAINERS_CONF=$1/containers.conf CONTAINERS_STORAGE_CONF=$1/storage.conf CONTAINERS_REGISTRIES_CONF=$1/registries.conf"
}

# shellcheck disable=SC2046
podman_cli() { env $(podman_env "$dir/podman/home") podman "$@"; }

podman_up() {
  if is_running "$dir/podman/service.pid" "$podman_socket" && podman_answers; then return; fi
  podman_down
  podman_config "$dir/podman/home" "$dir/podman/run" overlay
  podman_start
}

podman_start() {
  # shellcheck disable=SC2046
  daemon "$dir/podman/service.pid" "$dir/podman/service.log" env $(podman_env "$dir/podman/home") \
    podman system service --time=0 "unix://$podman_socket"
  wait_for 30 podman_answers || die "podman did not start: $(tail -n 3 "$dir/podman/service.log")"
}

podman_down() {
  [ -d "$dir/podman/home" ] || return 0
  if podman_answers; then podman_cli rm --all --force --time 0 >/dev/null 2>&1 || true; fi
  end "$dir/podman/service.pid" "$podman_socket" 10
  end_left_over "$dir/podman/run/"
  rm -f "$podman_socket"
  ip link delete "hive-podman$number" 2>/dev/null || true
}

rootless_cli() {
  # shellcheck disable=SC2046
  (cd "$dir/rootless" && exec runuser -u "$rootless_user" -- env -i PATH="$PATH" HOME="$dir/rootless/home" \
    XDG_RUNTIME_DIR="$dir/rootless/run" $(podman_env "$dir/rootless/home") podman "$@")
}

# Best effort: says in a file why it is not there, for `env`.
rootless_up() {
  if is_running "$dir/rootless/service.pid" "$rootless_socket" && rootless_answers; then return; fi
  rootless_down
  mkdir -p "$dir/rootless"
  make_rootless_user || { rootless_failed "no user $rootless_user with subordinate ids"; return 1; }
  open_tun || { rootless_failed '/dev/net/tun is missing'; return 1; }
  podman_config "$dir/rootless/home" "$dir/rootless/run" "$(rootless_driver)"
  chown -R "$rootless_user:" "$dir/rootless/home" "$dir/rootless/run"
  chmod 0700 "$dir/rootless/home" "$dir/rootless/run"
  # shellcheck disable=SC2046
  (cd "$dir/rootless" && daemon "$dir/rootless/service.pid" "$dir/rootless/service.log" \
    setpriv --reuid "$rootless_user" --regid "$rootless_user" --init-groups \
    env -i PATH="$PATH" HOME="$dir/rootless/home" XDG_RUNTIME_DIR="$dir/rootless/run" \
    $(podman_env "$dir/rootless/home") podman system service --time=0 "unix://$rootless_socket")
  if ! wait_for 30 rootless_answers; then
    rootless_failed "$(tail -n 1 "$dir/rootless/service.log")"
    return 1
  fi
  rm -f "$dir/rootless/reason"
}

rootless_failed() {
  say "no rootless podman: $1"
  echo "$1" >"$dir/rootless/reason"
}

make_rootless_user() {
  getent passwd "$rootless_user" >/dev/null ||
    useradd --no-create-home --home-dir "$dir/rootless/home" --shell /usr/sbin/nologin --user-group "$rootless_user" >&2
  grep -q "^$rootless_user:" /etc/subuid && grep -q "^$rootless_user:" /etc/subgid
}

# slirp4netns opens it as the user; 0666 is what udev gives it where there is one.
open_tun() {
  [ -c /dev/net/tun ] || return 1
  [ "$(stat -c %a /dev/net/tun)" = 666 ] || {
    stat -c %a /dev/net/tun >"$dir/rootless/tun-mode"
    chmod 0666 /dev/net/tun
  }
}

# Linux lets an ordinary user mount overlays since 5.13; before, vfs copies the image for each container.
rootless_driver() {
  if printf '5.13\n%s\n' "$(uname -r)" | sort --version-sort --check=silent; then echo overlay; else echo vfs; fi
}

rootless_down() {
  [ -d "$dir/rootless/home" ] || return 0
  if rootless_answers; then rootless_cli rm --all --force --time 0 >/dev/null 2>&1 || true; fi
  end "$dir/rootless/service.pid" "$rootless_socket" 10
  end "$dir/rootless/run/libpod/tmp/pause.pid" podman 2
  end_left_over "$dir/rootless/run/"
  rm -f "$rootless_socket"
  if [ -s "$dir/rootless/tun-mode" ]; then
    chmod "$(cat "$dir/rootless/tun-mode")" /dev/net/tun
    rm -f "$dir/rootless/tun-mode"
  fi
}
