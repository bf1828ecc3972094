# The distribution's Chromium, with fonts for Korean. Sourced, never run.

browser_is_up() { [ -x /usr/bin/chromium ] && [ -z "$(missing_packages fonts-noto-cjk)" ]; }
browser_about() { /usr/bin/chromium --version 2>/dev/null | head -n 1; }
browser_up() { install_packages chromium fonts-noto-cjk; }
browser_down() { :; }
