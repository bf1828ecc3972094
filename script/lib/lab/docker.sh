# A Docker Engine of the lab's own, beside any other of the machine: its socket, its bridge, no rules of a firewall. Sourced, never run.
# Its one image is empty: containers get this machine's programs as read-only directories (see backendai-lab:host below).

DOCKER=$BASE/docker
DOCKER_BRIDGE=backendai0
DOCKER_GATEWAY=172.30.250.1 # where containers reach the hub; an address of this machine alone
DOCKER_IMAGE=backendai-lab:host

docker_about() { echo "unix://$DOCKER/docker.sock, image $DOCKER_IMAGE, hub address for containers $DOCKER_GATEWAY"; }
docker_cli() { docker -H "unix://$DOCKER/docker.sock" "$@"; }
docker_answers() { docker_cli version; }
docker_is_up() { is_alive "$DOCKER/pid" dockerd && docker_answers >/dev/null 2>&1 && docker_cli image inspect $DOCKER_IMAGE >/dev/null 2>&1; }

docker_up() {
  install_packages docker.io iproute2 || return 1
  grep -q '^[^ ]* [^ ]* [^ ]* [^ ]* / ' /proc/self/mountinfo || { say "docker: / is no mount here (a chroot), which the engine needs to unpack an image"; return 1; }
  mkdir -p "$DOCKER/data" "$DOCKER/exec" && chmod 711 "$DOCKER"
  docker_bridge || return 1
  docker_start
  wait_for 30 docker_answers || { tail -n 5 "$DOCKER/log"; return 1; }
  docker_cli image inspect $DOCKER_IMAGE >/dev/null 2>&1 || docker_make_image
}

docker_bridge() {
  if ! ip link show $DOCKER_BRIDGE >/dev/null 2>&1; then
    ip link add $DOCKER_BRIDGE type bridge && ip addr add $DOCKER_GATEWAY/24 dev $DOCKER_BRIDGE || return 1
  fi
  ip link set $DOCKER_BRIDGE up
}

docker_start() {
  is_alive "$DOCKER/pid" dockerd && return 0
  if ! mountpoint -q /sys/fs/cgroup && ! [ -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 none /sys/fs/cgroup; fi
  rm -f "$DOCKER/pid" # one that was killed may linger, and the next would refuse its file
  setsid dockerd --data-root "$DOCKER/data" --exec-root "$DOCKER/exec" --pidfile "$DOCKER/pid" -H "unix://$DOCKER/docker.sock" \
    --bridge $DOCKER_BRIDGE --iptables=false --ip6tables=false --live-restore </dev/null >"$DOCKER/log" 2>&1 9>&- &
}

# Everything that a notebook needs comes from this machine by read-only mounts, so that no registry is needed and nothing is copied.
docker_make_image() {
  local root
  root=$(mktemp -d)
  # /sbin is its own: the engine puts its init there
  mkdir -p "$root"/{proc,sys,dev,root,run,var,usr,sbin,home/work,tmp,etc} && chmod 1777 "$root/tmp" "$root/home/work"
  for name in bin lib lib64; do ln -s "usr/$name" "$root/$name"; done
  printf 'root:x:0:0:root:/root:/bin/sh\nwork:x:1000:1000::/home/work:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nwork:x:1000:\n' >"$root/etc/group"
  printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
  cp /etc/ld.so.cache "$root/etc/" 2>/dev/null
  tar -C "$root" -c . | docker_cli import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8' --change 'WORKDIR /home/work' \
    - $DOCKER_IMAGE >/dev/null
  local result=$?
  rm -rf "$root"
  return $result
}

docker_down() {
  local ids
  ids=$(docker_cli ps -q 2>/dev/null)
  # shellcheck disable=SC2086
  [ -z "$ids" ] || docker_cli rm -f $ids >/dev/null
  stop_process "$DOCKER/pid" dockerd
  ip link del $DOCKER_BRIDGE 2>/dev/null || true
}
