# A private dockerd with its own socket, data, containerd namespace and bridge. Sourced by ../engines.sh.

docker_socket=$dir/docker/docker.sock
docker_bridge=hive-docker$number

docker_cli() { docker --host "unix://$docker_socket" "$@"; }

docker_answers() { curl -sf -o /dev/null --max-time 2 --unix-socket "$docker_socket" http://engine/_ping; }

docker_up() {
  if is_running "$dir/docker/dockerd.pid" "$docker_socket" && docker_answers; then return; fi
  docker_down
  docker_start
}

# docker_start [OPTION…] : with further options of dockerd. What an earlier one left running is left to it.
docker_start() {
  mkdir -p "$dir/docker"
  make_bridge
  make_iptables
  # Own containerd namespaces: with a system containerd on the host, dockerd would share that daemon.
  PATH="$dir/docker/bin:$PATH" daemon "$dir/docker/dockerd.pid" "$dir/docker/dockerd.log" dockerd --host "unix://$docker_socket" \
    --data-root "$dir/docker/data" --exec-root "$dir/docker/exec" --pidfile "$dir/docker/own.pid" \
    --bridge "$docker_bridge" --default-address-pool "base=10.232.$number.0/24,size=28" \
    --containerd-namespace hive-engines --containerd-plugins-namespace hive-engines-plugins \
    --shutdown-timeout 2 --log-level warn "$@"
  wait_for 30 docker_answers || die "dockerd did not start: $(tail -n 3 "$dir/docker/dockerd.log")"
}

# Every dockerd empties the chains DOCKER… when it starts, those of the others too: they have one name, and all published
# ports of a neighbour are gone. So each gets chains of its own, by an iptables that calls them by another name.
make_iptables() {
  local name program
  mkdir -p "$dir/docker/bin"
  for name in iptables ip6tables; do
    program=$(command -v "$name") || continue
    [ "$program" != "$dir/docker/bin/$name" ] || continue
    # shellcheck disable=SC2016 # the arguments are those of the script
    printf '#!/usr/bin/env bash\nexec %q "${@/#DOCKER/%s}"\n' "$program" "HIVE$number" >"$dir/docker/bin/$name"
    chmod 0755 "$dir/docker/bin/$name"
  done
}

make_bridge() {
  if ip link show "$docker_bridge" >/dev/null 2>&1; then return; fi
  ip link add "$docker_bridge" type bridge
  ip addr add "10.230.$number.1/24" dev "$docker_bridge"
  ip link set "$docker_bridge" up
}

docker_down() {
  [ -d "$dir/docker" ] || return 0
  if docker_answers; then
    docker_cli ps -q | xargs -r docker --host "unix://$docker_socket" kill >/dev/null 2>&1 || true
  fi
  end "$dir/docker/dockerd.pid" "$docker_socket" 15
  # After a killed dockerd its containerd and shims live on.
  end "$dir/docker/exec/containerd/containerd.pid" "$dir/docker/exec" 5
  end_left_over "$dir/docker/exec/"
  rm -f "$docker_socket" "$dir/docker/own.pid"
  ip link delete "$docker_bridge" 2>/dev/null || true
  forget_rules
}

# dockerd leaves its chains and the packet rules of its bridge behind.
forget_rules() {
  local table
  command -v iptables >/dev/null || return 0
  for table in nat filter; do
    rules "$table" | sed -nE "/ ($docker_bridge|HIVE$number(-[-A-Z0-9]+)?)( |$)/s/^-A/-D/p" | apply "$table"
    rules "$table" | sed -nE "s/^-N (HIVE$number(-[-A-Z0-9]+)?)$/-F \1/p" | apply "$table"
    rules "$table" | sed -nE "s/^-N (HIVE$number(-[-A-Z0-9]+)?)$/-X \1/p" | apply "$table"
  done
}

rules() { iptables -w -t "$1" -S 2>/dev/null || true; }

apply() {
  local rule
  while read -r rule; do
    # shellcheck disable=SC2086
    iptables -w -t "$1" $rule 2>/dev/null || true
  done
}
