"""Everything that a worker can be asked, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import (
    worker_access,
    worker_archive,
    worker_copy,
    worker_files,
    worker_list,
    worker_manage,
    worker_remove,
    worker_tree,
    worker_uploads,
    worker_write,
)
from .worker_base import Answer, Job

OPERATIONS: Mapping[str, Callable[[Job], Answer]] = {
    "archive": worker_archive.archive,
    "apply_access": worker_access.apply_access,
    "copy": worker_copy.copy,
    "directory": worker_copy.directory,
    "list_all": worker_list.list_all,
    "measure": worker_tree.measure,
    "sweep": worker_uploads.sweep,
    "write": worker_write.write,
    "stat": worker_files.stat_path,
    "list": worker_list.list_page,
    # the same where every entry is looked at
    "list_slowly": worker_list.list_page,
    "open": worker_files.open_file,
    "make_directory": worker_files.make_directory,
    "make_own_directory": worker_files.make_own_directory,
    "move": worker_files.move,
    "begin_upload": worker_uploads.begin_upload,
    "open_upload": worker_uploads.open_upload,
    "finish_upload": worker_uploads.finish_upload,
    "drop_upload": worker_uploads.drop_upload,
    "remove": worker_remove.remove,
    "make_folder": worker_manage.make_folder,
    "set_gate": worker_manage.set_gate,
    "remove_folder": worker_manage.remove_folder,
    "list_folders": worker_manage.list_folders,
    "list_work": worker_manage.list_work,
}
# done by a child, so that the next request need not wait
LONG: frozenset[str] = frozenset(
    {
        "apply_access",
        "archive",
        "copy",
        "list_all",
        "list_slowly",
        "list_folders",
        "list_work",
        "measure",
        "remove",
        "remove_folder",
        "write",
    }
)
