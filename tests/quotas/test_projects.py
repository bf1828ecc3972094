"""Project quotas of XFS and ext4, on a kernel that has them: all checks of guest.py in one user-mode Linux."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import uml
from tests.filesystems import MIB, run
from tests.quotas import guest

pytestmark = [pytest.mark.root, pytest.mark.filesystems]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    directory = tmp_path_factory.mktemp("uml")
    images = {"xfs": 320 * MIB, "ext4": 128 * MIB}
    for name, size in images.items():
        with (directory / name).open("wb") as file:
            file.truncate(size)
    run("mkfs.xfs", "-q", directory / "xfs")
    run("mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=usrquota:grpquota:prjquota", directory / "ext4")
    lines = uml.run_guest(directory, Path(guest.__file__), [directory / name for name in images])
    found = [json.loads(line) for line in lines if line.startswith('{"fs"')]
    assert found, "\n".join(lines)
    return {(answer["fs"], answer["check"]): answer["error"] for answer in found}


@pytest.mark.parametrize("check", guest.CHECKS)
@pytest.mark.parametrize("file_system", guest.DISKS)
def test_project_quota(answers: dict[tuple[str, str], str], file_system: str, check: str) -> None:
    assert answers.get((file_system, check), answers.get((file_system, "mount"), "did not run")) == ""
