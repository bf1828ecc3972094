"""The rest of ``script/run``, in the virtual environment: starts an instance and waits, or checks one."""

import argparse
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from instance import APP, PORTS, SYSTEM_DIR, Failed, Instance, choose_ports, docker_socket, is_free


def parse_arguments():
    parser = argparse.ArgumentParser(prog="script/run")
    parser.add_argument("--node", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--proxy", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--lab", action="store_true")
    parser.add_argument("--port", type=int, default=8000)
    return parser.parse_args()


def say(text):
    print(f"[run] {text}", file=sys.stderr, flush=True)


def state_root():
    """Where installations of this machine (as root) or of this checkout are."""
    return SYSTEM_DIR if os.geteuid() == 0 else APP / ".state"


def lock(path, url):
    """Hold a file's lock while this process lives. Raises Failed when another one has it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.seek(0)
        raise Failed(f"running already: {file.read().strip()}") from exc
    file.truncate(0)
    file.write(f"{url}, process {os.getpid()}\n")
    file.flush()
    return file


def has_docker(arguments):
    """Whether the lab has a Docker Engine that listens, and we may hand it to the account of the hub."""
    with socket.socket(socket.AF_UNIX) as probe:
        return arguments.lab and os.geteuid() == 0 and docker_socket().is_socket() and probe.connect_ex(str(docker_socket())) == 0


def raise_interrupt(*_):
    raise KeyboardInterrupt


def print_people(instance):
    from jupyterhub_backendai.core import otp

    print(f"\n  {instance.url}\n")
    print(f"  {'user':<10} {'password':<18} one-time code")
    now = time.time()
    for person in instance.people.values():
        code = otp.code_at(otp.parse_secret(person["otp"]), otp.step_of(now)) if person["otp"] else "none yet: enrols at the first log-in"
        print(f"  {person['login']:<10} {person['password']:<18} {code}")
    print("\n  Codes change every 30 s and work once; Enter prints new ones, Ctrl-C stops.\n", flush=True)


def run(arguments):
    name = "lab" if arguments.lab else "local"
    state = Path(os.environ.get("BACKENDAI_STATE") or state_root() / name).resolve()
    with lock(state.with_name(f"{state.name}.lock"), f"http://127.0.0.1:{arguments.port}"):
        if not is_free(arguments.port):
            raise Failed(f"port {arguments.port} is in use; choose another with --port")
        wanted = {**PORTS, "BACKENDAI_PRIVATE_PORT": 0}
        ports = {"BACKENDAI_PORT": arguments.port, **choose_ports(wanted)}
        instance = Instance(state, name, ports, node=arguments.node, proxy=arguments.proxy, lab=arguments.lab, docker=has_docker(arguments))
        say(f"state {state}, account {instance.account.pw_name}" + ("" if os.geteuid() == 0 else "; sessions run as you"))
        instance.prepare()
        try:
            say("starting")
            instance.start()
            print_people(instance)
            say(f"logs: {state}/log")
            wait(instance)
        finally:
            say("stopping")
            instance.stop()


def wait(instance):
    """Until Ctrl-C. Enter prints fresh codes. Raises Failed when a process ends by itself."""
    import select

    readable = [sys.stdin] if sys.stdin.isatty() else []
    while not instance.find_ended():
        if select.select(readable, [], [], 1)[0]:
            if not sys.stdin.readline():
                readable = []
                continue
            print_people(instance)
    ended = instance.find_ended()
    raise Failed(f"the {ended} ended:\n{instance.read_log(ended)}")


def check(arguments):
    """An instance of its own on free ports, thrown away afterwards."""
    from check import Check

    named = os.environ.get("BACKENDAI_STATE")
    root = Path(f"{named}-check").resolve() if named else state_root() / "check"
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    state = Path(tempfile.mkdtemp(prefix="", dir=root))
    state.rmdir()
    ports = choose_ports({**dict.fromkeys(PORTS, 0), "BACKENDAI_PORT": 0, "BACKENDAI_PRIVATE_PORT": 0})
    instance = Instance(
        state, f"check{os.getpid()}", ports, node=arguments.node, proxy=arguments.proxy, lab=arguments.lab, docker=has_docker(arguments)
    )
    passed = False
    try:
        say(f"starting {instance.url}")
        instance.prepare()
        instance.start()
        passed = Check(instance).run()
    finally:
        instance.stop()
        if passed:
            shutil.rmtree(state, ignore_errors=True)
        else:
            say(f"logs: {state}/log")
    return passed


def main():
    arguments = parse_arguments()
    for kind in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, raise_interrupt)
    os.umask(0o022)
    try:
        if arguments.check:
            return 0 if check(arguments) else 1
        run(arguments)
    except KeyboardInterrupt:
        return 130 if arguments.check else 0
    except (Failed, OSError) as exc:
        say(str(exc))
        if arguments.check:
            from check import report_failure

            report_failure("slurm" if arguments.lab else "local", str(exc))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
