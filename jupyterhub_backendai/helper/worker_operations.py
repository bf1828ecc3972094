"""Everything that a worker can be asked, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import worker_files, worker_list, worker_manage, worker_remove, worker_uploads
from .worker_base import Answer, Job

OPERATIONS: Mapping[str, Callable[[Job], Answer]] = {
    "stat": worker_files.stat_path,
    "list": worker_list.list_page,
    "open": worker_files.open_file,
    "make_directory": worker_files.make_directory,
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
}
# done by a child, so that the next request need not wait
LONG: frozenset[str] = frozenset({"remove", "remove_folder", "list_folders"})
