# Test images from busybox-static and the Node binary, imported into every engine that answers; no public registry is
# needed. Names are `localhost/hive-test/<name>:1` for Docker and Podman alike. Sourced by ../engines.sh.

# name | root | import instructions, separated by ;
images() {
  cat <<'END'
httpd|busybox|CMD ["busybox","httpd","-f","-p","8080","-h","/www"];EXPOSE 8080
sleep|busybox|CMD ["sleep","1000000"]
ignore-term|busybox|CMD ["/bin/ignore-term"]
crash-after|busybox|CMD ["/bin/crash-after"]
listen-late|busybox|CMD ["/bin/listen-late"];EXPOSE 8080
hog|busybox|CMD ["/bin/hog"]
two-ports|busybox|CMD ["/bin/two-ports"];EXPOSE 8080;EXPOSE 9090;VOLUME /data
echo|node|CMD ["node","/app/echo-worker.mjs"];EXPOSE 8080;WORKDIR /app
END
}

images_up() {
  local stamp work engine
  stamp=$(images_stamp)
  if images_present "$stamp"; then return; fi
  rm -rf "$dir"/images.*
  work=$(mktemp -d "$dir/images.XXXXXX")
  say 'making the test images'
  make_busybox_root "$work/busybox"
  make_node_root "$work/node" || say 'no node binary found: the echo image is left out'
  for engine in $(image_engines); do
    [ "$(cat "$dir/$engine/images.stamp" 2>/dev/null)" = "$stamp" ] || import_images "$engine" "$work" "$stamp"
  done
  [ "$(cat "$dir/registry/images.stamp" 2>/dev/null)" = "$stamp" ] || push_images "$work" "$stamp"
  rm -rf "$work"
}

image_engines() {
  if docker_answers; then echo docker; fi
  if podman_answers; then echo podman; fi
  if rootless_answers; then echo rootless; fi
}

images_present() {
  local engine
  for engine in $(image_engines) registry; do
    [ "$(cat "$dir/$engine/images.stamp" 2>/dev/null)" = "$1" ] || return 1
  done
}

# Changes with anything that goes into an image.
images_stamp() {
  { cat "$here/engines/images.sh" "$project/test/support/fixtures/echo-worker.mjs"
    stat -L -c '%s %Y' "$(command -v busybox)" "$(node_binary || echo /)"; } | sha256sum | cut -d' ' -f1
}

# The project's own Node if `npm ci` ran, else the host's.
node_binary() {
  local own=$project/node_modules/node/bin/node
  if [ -x "$own" ]; then echo "$own"; else command -v node; fi
}

make_busybox_root() {
  local root=$1 applet
  mkdir -p "$root/bin" "$root/etc" "$root/www" "$root/proc" "$root/sys" "$root/dev" "$root/data"
  install -d -m 1777 "$root/tmp"
  cp "$(command -v busybox)" "$root/bin/busybox"
  # Its list of applets holds `busybox` itself.
  for applet in $("$root/bin/busybox" --list); do [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"; done
  printf 'root:x:0:0:root:/:/bin/sh\nworker:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nworker:x:1000:\nnogroup:x:65534:\n' >"$root/etc/group"
  echo 'hello from a cocoon' >"$root/www/index.html"
  script "$root/bin/ignore-term" 'trap "" TERM; echo ready; while :; do sleep 1; done'
  script "$root/bin/crash-after" 'sleep "${AFTER:-1}"; exit "${CODE:-7}"'
  script "$root/bin/listen-late" 'sleep "${AFTER:-1}"; exec busybox httpd -f -p "${PORT:-8080}" -h /www'
  # tail keeps a stream without newlines in memory.
  script "$root/bin/hog" 'tail /dev/zero'
  script "$root/bin/two-ports" 'busybox httpd -p 9090 -h /www; exec busybox httpd -f -p 8080 -h /www'
}

script() {
  printf '#!/bin/sh\n%s\n' "$2" >"$1"
  chmod 0755 "$1"
}

make_node_root() {
  local root=$1 node library
  node=$(node_binary) || return 1
  cp -a "${root%/*}/busybox" "$root"
  mkdir -p "$root/app"
  cp -L "$node" "$root/bin/node"
  # ldd names libraries as `libx.so => /path (address)`, the loader as `/path (address)`.
  for library in $(ldd "$node" | grep -o '/[^ ]*'); do install -D "$library" "$root$library"; done
  cp "$project/test/support/fixtures/echo-worker.mjs" "$root/app/"
}

import_images() {
  local engine=$1 work=$2 name root instructions option
  local -a options parts
  while IFS='|' read -r name root instructions; do
    [ -d "$work/$root" ] || continue
    options=()
    IFS=';' read -ra parts <<<"$instructions"
    for option in "${parts[@]}"; do options+=(-c "$option"); done
    tar -C "$work/$root" --owner=0 --group=0 --numeric-owner -c . |
      "${engine}_cli" import "${options[@]}" - "localhost/hive-test/$name:1" >/dev/null 2>"$work/error" ||
      die "$engine could not import $name: $(tail -n 1 "$work/error")"
  done < <(images)
  echo "$3" >"$dir/$engine/images.stamp"
}

# One small image and one of three layers of 10 MB, for pulls with visible progress. Both registries share one store.
push_images() {
  docker_answers || return 0
  local work=$1/big plain layer
  plain=127.0.0.1:$(registry_port plain)
  mkdir -p "$work"
  for layer in a b c; do head -c 10000000 /dev/urandom >"$work/$layer"; done
  printf 'FROM localhost/hive-test/httpd:1\nCOPY a /\nCOPY b /\nCOPY c /\n' >"$work/Dockerfile"
  DOCKER_BUILDKIT=0 docker_cli build -q -t "$plain/hive-test/big:1" "$work" >/dev/null 2>"$1/error" ||
    die "docker could not build the big image: $(tail -n 1 "$1/error")"
  docker_cli tag localhost/hive-test/httpd:1 "$plain/hive-test/httpd:1"
  for name in httpd big; do
    docker_cli push -q "$plain/hive-test/$name:1" >/dev/null 2>"$1/error" || die "push failed: $(tail -n 1 "$1/error")"
    docker_cli rmi "$plain/hive-test/$name:1" >/dev/null
  done
  echo "$2" >"$dir/registry/images.stamp"
}
