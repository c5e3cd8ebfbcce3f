# Starting, finding and ending background programs by pid files. Sourced by ../engines.sh.

say() { echo "engines: $*" >&2; }

die() {
  say "$*"
  exit 69
}

# daemon PIDFILE LOG COMMAND… : starts the command in a session of its own, its pid in PIDFILE.
daemon() {
  local pidfile=$1 log=$2
  shift 2
  mkdir -p "$(dirname "$pidfile")"
  # The shell writes its own pid and becomes the command, so the pid is right however setsid forks. 9 is our lock.
  # It moves first: a container's monitor leaves files in the directory that its service was started in.
  PIDFILE=$pidfile setsid sh -c 'cd "${PIDFILE%/*}" && echo $$ >"$PIDFILE"; unset PIDFILE; exec "$@"' sh "$@" \
    </dev/null >>"$log" 2>&1 9>&- &
}

# is_running PIDFILE MARK : the pid is alive and its command line holds MARK, so a reused pid is nobody of ours.
is_running() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] || return 1
  { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "$2"
}

# end PIDFILE MARK SECONDS : TERM, then KILL after SECONDS.
end() {
  local pid tries=$(($3 * 10))
  if is_running "$1" "$2"; then
    pid=$(cat "$1")
    kill -TERM "$pid" 2>/dev/null || true
    while is_running "$1" "$2" && [ $tries -gt 0 ]; do
      sleep 0.1
      tries=$((tries - 1))
    done
    if is_running "$1" "$2"; then kill -KILL "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$1"
}

# end_left_over PATH : ends helpers (shims, monitors) whose command line names PATH, which is below our own directory.
end_left_over() {
  local entry pid
  # One look at all of them: two programs for each would take seconds. It finds itself, too, but is gone by then.
  for entry in $(grep -lsaF -- "$1" /proc/[0-9]*/cmdline || true); do
    pid=${entry#/proc/}
    pid=${pid%/cmdline}
    [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] || continue
    kill -KILL "$pid" 2>/dev/null || true
  done
}

# wait_for SECONDS COMMAND… : until the command succeeds.
wait_for() {
  local tries=$(($1 * 10))
  shift
  until "$@"; do
    [ $tries -gt 0 ] || return 1
    tries=$((tries - 1))
    sleep 0.1
  done
}
