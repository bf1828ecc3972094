# Words that the scripts share. Sourced, never run.

say() { echo "[$(basename "$0")] $*"; }

# is_alive PIDFILE PATTERN: the process of that file lives and its command line holds PATTERN (a pid may be somebody else's by now)
is_alive() {
  local pid
  pid=$(head -n 1 "$1" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -- "$2"
}

# wait_for SECONDS COMMAND…: until the command succeeds
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

is_gone() { ! is_alive "$1" "$2"; }

# stop_process PIDFILE PATTERN: TERM, after 15 s KILL; nothing when it is not ours or not there
stop_process() {
  is_alive "$1" "$2" || { rm -f "$1"; return 0; }
  local pid
  pid=$(head -n 1 "$1")
  kill "$pid"
  wait_for 15 is_gone "$1" "$2" || kill -9 "$pid"
  rm -f "$1"
}

# quietly COMMAND…: what it says is shown only when it fails
quietly() {
  local output
  output=$("$@" 2>&1) || { printf '%s\n' "$output"; return 1; }
}
