# Programs that make file systems for tests of quotas, and a Linux as an ordinary process (user-mode Linux) whose kernel has project quotas
# of XFS and ext4, as this machine's own may not. Nothing runs all the time. Sourced, never run.

FILESYSTEM_PACKAGES="btrfs-progs xfsprogs e2fsprogs user-mode-linux"

# shellcheck disable=SC2086
filesystems_is_up() { [ -z "$(missing_packages $FILESYSTEM_PACKAGES)" ] && [ -e /dev/loop-control ] && grep -qw btrfs /proc/filesystems; }
filesystems_about() { linux.uml --version 2>/dev/null | head -n 1 | sed 's/^/user-mode Linux /'; }
# shellcheck disable=SC2086
filesystems_up() { install_packages $FILESYSTEM_PACKAGES && { grep -qw btrfs /proc/filesystems || modprobe btrfs; } && [ -e /dev/loop-control ]; }
filesystems_down() { :; }
