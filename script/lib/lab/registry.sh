# A container registry on loopback: http://127.0.0.1:5055, user robot, password registry-secret. Sourced, never run.

REGISTRY=$BASE/registry
REGISTRY_PORT=5055
REGISTRY_BIN=$REGISTRY/package/usr/bin/docker-registry

registry_about() { echo "http://127.0.0.1:$REGISTRY_PORT (robot, registry-secret), program $REGISTRY_BIN"; }
registry_answers() {
  /usr/bin/python3 - "$REGISTRY_PORT" <<'PYTHON'
import sys, urllib.request
request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/v2/", headers={"Authorization": "Basic cm9ib3Q6cmVnaXN0cnktc2VjcmV0"})
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=3).read()
PYTHON
}
registry_is_up() { is_alive "$REGISTRY/pid" docker-registry && registry_answers >/dev/null 2>&1; }

registry_up() {
  [ -x "$REGISTRY_BIN" ] || registry_fetch || return 1
  registry_config >"$REGISTRY/config.yml"
  registry_start
  wait_for 10 registry_answers || { tail -n 5 "$REGISTRY/log"; return 1; }
}

registry_start() {
  is_alive "$REGISTRY/pid" docker-registry && return 0
  rm -rf "$REGISTRY/data" # what tests pushed is of no use to anybody
  setsid "$REGISTRY_BIN" serve "$REGISTRY/config.yml" </dev/null >"$REGISTRY/log" 2>&1 9>&- &
  echo $! >"$REGISTRY/pid"
}

registry_down() { stop_process "$REGISTRY/pid" docker-registry; }

# The package is unpacked, not installed: installed, it would be a service that starts with the machine.
registry_fetch() (
  rm -rf "$REGISTRY/package" && mkdir -p "$REGISTRY/package" && cd "$REGISTRY" || return 1
  say "fetching docker-registry"
  apt-get -qq download docker-registry 2>/dev/null ||
    { apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null && apt-get -qq download docker-registry; } || return 1
  dpkg-deb -x docker-registry_*.deb "$REGISTRY/package" && rm -f docker-registry_*.deb
)

# htpasswd: bcrypt of registry-secret
registry_config() {
  # shellcheck disable=SC2016
  echo 'robot:$2y$05$CCCCCCCCCCCCCCCCCCCCC.I/898UIWQHmtu.EEU5Kk/6rmuDTaz4G' >"$REGISTRY/htpasswd"
  cat <<CONF
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $REGISTRY/data}
  delete: {enabled: true}
http: {addr: 127.0.0.1:$REGISTRY_PORT, secret: lab}
auth:
  htpasswd: {realm: lab, path: $REGISTRY/htpasswd}
CONF
}
