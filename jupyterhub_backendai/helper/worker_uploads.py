"""Files that arrive: each is in the folder's work directory under its upload's id until it is whole."""

from __future__ import annotations

import contextlib
import os

from ..core.files import split_path
from ..errors import NotFound
from .openat2 import open_beneath
from .worker_access import inherit
from .worker_base import Answer, Job, Tree, open_regular, pack_entry
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
    """What has arrived of an upload, for writing; ``size`` is how much that is."""
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
            _adopt(tree, name, directory)
            place(name, target, tree.work, directory, is_replacing=job.flag("is_replacing"))
        except FileNotFoundError:
            if _is_there(tree.work, name):
                raise
        return Answer({"entry": _read_place(directory, target)})
    finally:
        os.close(directory)


def _adopt(tree: Tree, name: bytes, directory: int) -> None:
    """Who may use the file where it goes: those who may use what is made there."""
    descriptor, status = open_regular(tree.work, name)
    try:
        inherit(descriptor, directory, status.st_mode)
    finally:
        os.close(descriptor)


def drop_upload(job: Job) -> Answer:
    """Remove what has arrived of an upload, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_name(job), dir_fd=job.tree.work)
    return Answer()


def sweep(job: Job) -> Answer:
    """Remove what nobody works on any more: everything in ``work`` that is older than ``before`` (seconds) but the uploads to keep."""
    kept = {f"upload-{upload}" for upload in job.fields.get("kept", ())}
    before, count = job.number("before"), 0
    readable = open_beneath(job.tree.work, b"", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in os.listdir(readable):  # noqa: PTH208 - a descriptor
            if name not in kept and os.stat(name, dir_fd=readable, follow_symlinks=False).st_mtime < before:
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    os.unlink(name, dir_fd=readable)
                    count += 1
    finally:
        os.close(readable)
    return Answer({"count": count})


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
