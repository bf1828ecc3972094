# The lab's people as Unix users: uid, gid and home are the directory's. Sourced, never run.

unix_people() { /usr/bin/python3 "$LIB/lab/people.py" unix; }
unix_groups() { /usr/bin/python3 "$LIB/lab/people.py" groups; }

add_unix_people() {
  local name uid gid home
  while read -r name gid; do
    getent group "$gid" >/dev/null || groupadd -g "$gid" "$name" || groupadd -g "$gid" "lab-$name" || return 1
  done < <(unix_groups)
  while read -r name uid gid home; do
    [ "$(id -u "$name" 2>/dev/null)" = "$uid" ] ||
      useradd --badname -u "$uid" -g "$gid" -d "$home" -m -s /bin/bash "$name" 2>/dev/null ||
      { say "the Unix user $name (uid $uid) cannot be made"; return 1; }
    [ -d "$home" ] || install -d -o "$uid" -g "$gid" -m 750 "$home"
    install -d -m 755 "$BASE/scratch"
    [ -d "$BASE/scratch/$name" ] || install -d -o "$uid" -g "$gid" -m 750 "$BASE/scratch/$name"
  done < <(unix_people)
}
