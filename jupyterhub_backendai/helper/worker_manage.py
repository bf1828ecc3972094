"""What the helper does with folders as root, done by a worker of the only account that there is. The kernel refuses it to all others."""

from __future__ import annotations

from ..core.vfolders import Permission
from ..errors import InvalidParameters
from . import folder_work, folders
from .worker_base import Answer, Job
from .worker_errors import UNREADABLE


def make_folder(job: Job) -> Answer:
    """See :func:`.folders.make_folder`."""
    scope, folder = _names(job)
    owner = job.number("owner_uid"), job.number("owner_gid")
    folders.make_folder(job.tree.directory, scope, folder, owner, read_passers(job), folders.make_scope)
    return Answer()


def set_gate(job: Job) -> Answer:
    """Let exactly those in who are named."""
    scope, folder = _names(job)
    folders.set_gate(job.tree.directory, scope, folder, read_passers(job))
    return Answer()


def remove_folder(job: Job) -> Answer:
    """See :func:`.folders.remove_folder`."""
    folders.remove_folder(job.tree.directory, *_names(job))
    return Answer()


def list_folders(job: Job) -> Answer:
    """A page of the folders that are on the host."""
    return Answer({"folders": [list(pair) for pair in folders.list_folders(job.tree.directory, job.text("after"))]})


def list_work(job: Job) -> Answer:
    """The folders with something in ``work`` that is older."""
    return Answer({"folders": [list(found) for found in folder_work.list_work(job.tree.directory, job.number("older_s"))]})


def read_passers(job: Job) -> list[folders.Passer]:
    """The grants of a request. Raises InvalidParameters."""
    try:
        return [folders.Passer(int(uid), folders.bits_of(Permission(word))) for uid, word in job.fields.get("grants", ())]
    except (TypeError, ValueError) as exc:
        raise InvalidParameters(UNREADABLE) from exc


def _names(job: Job) -> tuple[str, str]:
    scope, _, folder = job.tree.folder.partition("/")
    return scope, folder
