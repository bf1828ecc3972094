"""Becoming the user that a request is for."""

from __future__ import annotations

import os
import pwd
import resource
from dataclasses import dataclass

from ..errors import N_, Forbidden, NoPosixAccount


@dataclass(frozen=True, slots=True)
class Account:
    """A Unix account as this machine knows it."""

    name: str
    uid: int
    gid: int
    home: str


def find_account(name: str, uid: int, min_uid: int) -> Account:
    """The account that a request names; its uid must be the given one. Raises NoPosixAccount, or Forbidden for system accounts."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError as exc:
        raise NoPosixAccount from exc
    if entry.pw_name != name or entry.pw_uid != uid:
        raise NoPosixAccount(N_("The Unix account %(name)s has another uid on this machine than in the directory."), name=name)
    if uid == 0 or uid < min_uid:
        raise Forbidden(N_("Jobs are not run for the system account %(name)s."), name=name)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def become(account: Account) -> None:
    """Give up root for good. A core dump would hold the session's token, so there is none. Raises Forbidden where we cannot."""
    if os.geteuid() not in {0, account.uid}:
        raise Forbidden(N_("The helper does not run as root, so it can serve only its own account."))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    if os.geteuid() == 0:
        os.initgroups(account.name, account.gid)
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    if os.getresuid() != (account.uid,) * 3:
        os._exit(70)  # half a user is the one state to never act in


def build_environment(account: Account, slurm_conf: str) -> dict[str, str]:
    """What a child of the user's starts with: nothing of ours."""
    variables = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
    }
    if slurm_conf:
        variables["SLURM_CONF"] = slurm_conf
    return variables
