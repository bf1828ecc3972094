"""Files that arrive: each is in the folder's work directory under its upload's id until it is whole."""

from __future__ import annotations

import contextlib
import os

from ..core.files import split_path
from ..errors import NotFound
from .openat2 import open_beneath
from .worker_base import Answer, Job, open_regular, pack_entry
from .worker_errors import NOT_THERE
from .worker_files import make_directories, place


def begin_upload(job: Job) -> Answer:
    """Make its file, empty; the same one again where nothing has arrived yet."""
    name = _name(job)
    try:
        descriptor = open_beneath(job.tree.work, name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        descriptor, status = open_regular(job.tree.work, name, os.O_RDWR)
        if status.st_size:
            os.close(descriptor)
            raise
    return Answer({}, (descriptor,))


def open_upload(job: Job) -> Answer:
    descriptor, status = open_regular(job.tree.work, _name(job), os.O_RDWR)
    return Answer({"size": status.st_size}, (descriptor,))


def finish_upload(job: Job) -> Answer:
    """Put it in its place. Where it is there already and the upload is gone, somebody asked twice."""
    tree, name = job.tree, _name(job)
    parent, target = job.target()
    if job.flag("parents", default=True) and parent and _is_there(tree.work, name):
        make_directories(tree, parent, exist_ok=True)
    directory = tree.open_directory(parent)
    try:
        try:
            place(name, target, tree.work, directory, is_replacing=job.flag("is_replacing"))
        except FileNotFoundError:
            if _is_there(tree.work, name):
                raise
        return Answer({"entry": _read_place(directory, target)})
    finally:
        os.close(directory)


def drop_upload(job: Job) -> Answer:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_name(job), dir_fd=job.tree.work)
    return Answer()


def _name(job: Job) -> bytes:
    return b"upload-" + job.id().encode()


def _is_there(directory: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _read_place(directory: int, name: bytes) -> list[object]:
    try:
        return pack_entry(split_path(name)[1], os.stat(name, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError as exc:
        raise NotFound(NOT_THERE) from exc
