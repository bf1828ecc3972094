"""A job of Slurm's that has somebody else's folder: it reads until the owner takes the folder back, and not after."""

import os
import subprocess

import pytest

from tests.databases import sqlite_template
from tests.helperd import wait_until
from tests.services.storage.sharing import RO, people, place

__all__ = ["people", "place", "sqlite_template"]
pytestmark = pytest.mark.slurm
JOB = """#!/usr/bin/python3
import os, sys, time
folder, out = {folder!r}, {out!r}
os.chdir(out)
os.symlink(folder, "data")  # as a session's workspace has it
for number in range(600):
    try:
        word = "read " + open("data/file").read()
    except OSError as exc:
        word = type(exc).__name__
    with open("now.new", "w") as target:
        target.write(word)
    os.rename("now.new", "now")
    time.sleep(0.1)
"""


async def test_a_running_job_loses_the_folder_at_once(place, people):
    kim, lee, _ = people
    folder, path = await place.make()
    assert kim.write(path / "file", "secret")
    await place.share(folder, RO)
    out = path.parents[2] / "out"
    out.mkdir()
    os.chown(out, lee.account.uid, lee.account.gid)
    sbatch = ["sbatch", "--parsable", "-p", "jupyter", "-t", "2", "-o", "/dev/null", "-D", str(out)]
    submit = subprocess.run(
        ["runuser", "-u", "lee01", "--", *sbatch],
        input=JOB.format(folder=str(path), out=str(out)),
        capture_output=True,
        text=True,
        check=True,
    )
    try:
        wait_until(lambda: (out / "now").exists() and (out / "now").read_text() == "read secret")
        await place.change(folder, None)
        wait_until(lambda: (out / "now").read_text() == "PermissionError")
    finally:
        subprocess.run(["scancel", submit.stdout.strip()], check=False)
