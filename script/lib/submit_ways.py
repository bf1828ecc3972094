"""The other two ways to submit, made ready in the lab for ``BACKENDAI_SUBMIT=sudo`` or ``rest``: what root does once at a centre."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from instance import Failed

LAB_UIDS = range(10000, 20000)


def prepare(way, instance):
    """Whatever the way needs beside its settings; :func:`undo` takes back what must not stay."""
    if os.geteuid() != 0:
        raise Failed("jobs as other people need root, once, to set that up")
    make_directories(instance)
    if way == "sudo":
        write_rule(instance)
    elif way == "rest":
        copy_key(instance)
    else:
        raise Failed(f"BACKENDAI_SUBMIT is helper, sudo or rest, not {way}")


def undo(instance):
    for path in (rule_of(instance), instance.submit_options):
        path.unlink(missing_ok=True)


def list_people():
    return [entry for entry in pwd.getpwall() if entry.pw_uid in LAB_UIDS]


def rule_of(instance):
    return Path("/etc/sudoers.d", f"backendai-lab-{instance.name}")


def make_directories(instance):
    """The people's own directories: with these ways nobody of ours can make one where only root can."""
    user_root = instance.read_settings().user_root
    for entry in list_people():
        path = Path(user_root.replace("{user}", entry.pw_name))
        if not path.exists():
            path.mkdir(mode=0o700, parents=True)
            os.chown(path, entry.pw_uid, entry.pw_gid)


def write_rule(instance):
    """The rule of sudo for the hub's account, as in share/sudo, for the lab's people by name."""
    settings = instance.read_settings()
    instance.submit_options.parent.mkdir(mode=0o755, exist_ok=True)
    conf = os.environ.get("SLURM_CONF")
    instance.submit_options.write_text(
        f"--user-root {settings.user_root} --log-dir {settings.log_dir} --workspace-dir {settings.workspace_dir}\n"
        f"--slurm-bin {settings.slurm_bin} --allow-extend\n" + (f"--slurm-conf {conf}\n" if conf else "")
    )
    instance.submit_options.chmod(0o644)
    command = " ".join(settings.slurm_sudo_command)
    people = ", ".join(entry.pw_name for entry in list_people())
    account = instance.account.pw_name
    draft = rule_of(instance).with_suffix(".new")  # sudo reads no file with a dot in its name
    draft.write_text(
        f"Defaults:{account} !requiretty, !use_pty\n"
        f"{account} ALL = ({people}) NOPASSWD: {command}\n{account} ALL = (slurm) NOPASSWD: {command} --operate\n"
    )
    draft.chmod(0o440)
    if not shutil.which("visudo") or subprocess.run(["visudo", "-c", "-q", "-f", str(draft)], check=False).returncode:
        draft.unlink()
        raise Failed("sudo does not take the rule")
    draft.rename(rule_of(instance))


def copy_key(instance):
    """Slurm's key, for the hub's account alone."""
    settings = instance.read_settings()
    lab = os.environ.get("BACKENDAI_LAB") or "/var/tmp/backendai-lab"
    key = Path(lab, "slurm", "jwt", "jwt_hs256.key")
    if not key.exists():
        raise Failed("this lab was started without slurmrestd: script/lab down slurm, then up")
    copy = Path(settings.slurm_rest_key_file)
    copy.unlink(missing_ok=True)
    with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400), "wb") as file:
        os.fchown(file.fileno(), instance.account.pw_uid, instance.account.pw_gid)
        file.write(key.read_bytes())
