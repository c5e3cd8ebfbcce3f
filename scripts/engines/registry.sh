# Two loopback registries over one store: `plain` open, `auth` with a password. Sourced by ../engines.sh.

registry_port() { cat "$dir/registry/$1.port" 2>/dev/null; }

registry_answers() {
  local port
  port=$(registry_port "$1") || return 1
  # 401 is the right answer of the one with a password.
  curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$port/v2/"
}

registry_up() {
  mkdir -p "$dir/registry/store"
  # bcrypt by libcrypt: docker-registry takes nothing else, and perl-base is on every Debian.
  perl -e 'print "$ARGV[0]:", crypt($ARGV[1], q($2y$05$hivehivehivehivehivehiu)), "\n"' \
    "$registry_user" "$registry_password" >"$dir/registry/htpasswd"
  start_registry plain
  start_registry auth
}

start_registry() {
  local name=$1 tries=5
  if is_running "$dir/registry/$name.pid" "$dir/registry/$name.yml" && registry_answers "$name"; then return; fi
  end "$dir/registry/$name.pid" "$dir/registry/$name.yml" 5
  while [ $tries -gt 0 ]; do
    [ -s "$dir/registry/$name.port" ] || echo $((30000 + RANDOM % 2000)) >"$dir/registry/$name.port"
    registry_config "$name" >"$dir/registry/$name.yml"
    daemon "$dir/registry/$name.pid" "$dir/registry/$name.log" docker-registry serve "$dir/registry/$name.yml"
    if wait_for 5 registry_ours "$name"; then return; fi
    end "$dir/registry/$name.pid" "$dir/registry/$name.yml" 5
    rm -f "$dir/registry/$name.port"
    tries=$((tries - 1))
  done
  die "the $name registry did not start: $(tail -n 2 "$dir/registry/$name.log")"
}

# A stranger on the same port would answer too: ours must still be running.
registry_ours() { registry_answers "$1" && is_running "$dir/registry/$1.pid" "$dir/registry/$1.yml"; }

registry_config() {
  cat <<END
version: 0.1
log: { level: warn }
storage:
  filesystem: { rootdirectory: $dir/registry/store }
  delete: { enabled: true }
http: { addr: 127.0.0.1:$(registry_port "$1") }
END
  if [ "$1" = auth ]; then
    printf 'auth:\n  htpasswd: { realm: hive-test, path: %s }\n' "$dir/registry/htpasswd"
  fi
}

registry_down() {
  end "$dir/registry/plain.pid" "$dir/registry/plain.yml" 5
  end "$dir/registry/auth.pid" "$dir/registry/auth.yml" 5
}
