# privacyIDEA on https://127.0.0.1:5443, from the Python package index, in a virtual environment of its own. Sourced, never run.

PRIVACYIDEA=$BASE/privacyidea
PRIVACYIDEA_PORT=5443
PRIVACYIDEA_PACKAGE=privacyidea==3.14

privacyidea_about() { echo "https://127.0.0.1:$PRIVACYIDEA_PORT, realms code, both and asks, CA $LDAP/tls/ca.pem, log $PRIVACYIDEA/run/log"; }
privacyidea_answers() {
  /usr/bin/python3 - "$PRIVACYIDEA_PORT" "$LDAP/tls/ca.pem" <<'PYTHON'
import ssl, sys, urllib.request
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=sys.argv[2]))
)
opener.open(f"https://127.0.0.1:{sys.argv[1]}/healthz/livez", timeout=5).read()
PYTHON
}
privacyidea_is_up() { is_alive "$PRIVACYIDEA/run/pid" privacyidea.py && privacyidea_answers >/dev/null 2>&1; }

privacyidea_up() {
  install_packages python3-venv openssl || return 1
  [ -f "$LDAP/tls/wronghost.pem" ] || ldap_certificates || return 1
  mkdir -p "$PRIVACYIDEA/run"
  stop_process "$PRIVACYIDEA/run/pid" privacyidea.py
  [ -e "$PRIVACYIDEA/venv/filled" ] || privacyidea_install || return 1
  privacyidea_do fill >"$PRIVACYIDEA/run/fill.log" 2>&1 || { tail -n 5 "$PRIVACYIDEA/run/fill.log"; return 1; }
  privacyidea_do serve </dev/null >"$PRIVACYIDEA/run/log" 2>&1 9>&- &
  echo $! >"$PRIVACYIDEA/run/pid"
  wait_for 60 privacyidea_answers || { tail -n 5 "$PRIVACYIDEA/run/log"; return 1; }
}

privacyidea_install() {
  say "installing $PRIVACYIDEA_PACKAGE"
  rm -rf "$PRIVACYIDEA/venv" && /usr/bin/python3 -m venv "$PRIVACYIDEA/venv" &&
    quietly "$PRIVACYIDEA/venv/bin/pip" install -q --disable-pip-version-check --no-compile "$PRIVACYIDEA_PACKAGE" && touch "$PRIVACYIDEA/venv/filled"
}

# privacyidea_do fill|serve: the database is made anew each time, so that nobody's token is used up or locked
privacyidea_do() {
  local command=("$PRIVACYIDEA/venv/bin/python" "$LIB/lab/privacyidea.py" "$1" "$PRIVACYIDEA" "$PRIVACYIDEA_PORT" "$LDAP/tls")
  [ "$1" = serve ] || { "${command[@]}"; return; }
  cd "$PRIVACYIDEA" || return 1 # a checkout may go while the server runs, and it fails in a directory that is gone
  exec setsid "${command[@]}"
}

privacyidea_down() { stop_process "$PRIVACYIDEA/run/pid" privacyidea.py; }
