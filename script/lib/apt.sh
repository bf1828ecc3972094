# Debian packages, installed when missing. Sourced, never run.

# missing_packages NAME…: those of the names that are not installed
missing_packages() {
  local name
  for name in "$@"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || echo "$name"
  done
}

# install_packages NAME…: apt starts no service of theirs on this machine, whatever the machine's own rule is
install_packages() {
  local missing policy=/usr/sbin/policy-rc.d made='' result
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || { say "not installed: ${missing[*]} (apt-get install as root)"; return 1; }
  say "installing ${missing[*]}"
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy && made=yes; fi
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null &&
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
      install "${missing[@]}" >"${TMPDIR:-/tmp}/apt-install.$$.log" 2>&1
  result=$?
  [ $result = 0 ] || tail -n 5 "${TMPDIR:-/tmp}/apt-install.$$.log"
  rm -f "${TMPDIR:-/tmp}/apt-install.$$.log"
  [ -z "$made" ] || rm -f $policy
  return $result
}
