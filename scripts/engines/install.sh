# Packages of a bare Debian-like host. Sourced by ../engines.sh.

require_root_on_debian() {
  [ "$(uname -s)" = Linux ] || die 'the test engines need Linux; elsewhere point HIVE_TEST_DOCKER_HOST at an engine of your own'
  [ "$(id -u)" = 0 ] || die 'run me as root: private engines need it (sudo scripts/engines.sh up)'
  PATH=$PATH:/usr/sbin:/sbin
  command -v apt-get >/dev/null || have_everything || die "this is no Debian-like host; install these yourself: $(missing_packages)"
}

# package:file that proves it is there
packages='docker.io:dockerd podman:podman runc:runc containernetworking-plugins:/usr/lib/cni/bridge
netavark:/usr/lib/podman/netavark catatonit:catatonit busybox-static:busybox
docker-registry:docker-registry uidmap:newuidmap slirp4netns:slirp4netns iptables:iptables iproute2:ip curl:curl
util-linux:flock bubblewrap:bwrap firejail:firejail'

missing_packages() {
  local pair package file
  for pair in $packages; do
    package=${pair%%:*} file=${pair#*:}
    case $file in
      /*) [ -e "$file" ] || echo "$package" ;;
      *) command -v "$file" >/dev/null || echo "$package" ;;
    esac
  done
}

have_everything() { [ -z "$(missing_packages)" ]; }

install_packages() {
  have_everything && return
  local missing
  missing=$(missing_packages | tr '\n' ' ')
  say "installing $missing"
  # The package lists may be there already; fetching them is the slow part.
  # shellcheck disable=SC2086
  apt_install $missing || { apt-get update -qq && apt_install $missing; } || die "apt-get could not install: $missing"
  # Debian 13 has the docker command in a package of its own, Debian 12 in docker.io.
  command -v docker >/dev/null || apt_install docker-cli || die 'apt-get could not install docker-cli'
  have_everything || die "still missing after apt-get: $(missing_packages | tr '\n' ' ')"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}
