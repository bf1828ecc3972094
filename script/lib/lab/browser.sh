# The distribution's Chromium, with fonts for Korean. Sourced, never run.

# libatomic1: what Playwright's own node is linked with
BROWSER_PACKAGES="chromium fonts-noto-cjk libatomic1"

# shellcheck disable=SC2086
browser_is_up() { [ -x /usr/bin/chromium ] && [ -z "$(missing_packages $BROWSER_PACKAGES)" ]; }
browser_about() { /usr/bin/chromium --version 2>/dev/null | head -n 1; }
# shellcheck disable=SC2086
browser_up() { install_packages $BROWSER_PACKAGES; }
browser_down() { :; }
