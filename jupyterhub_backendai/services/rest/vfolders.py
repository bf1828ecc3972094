"""``folders`` for programs: list, make, look at, rename, options, copy, trash, restore, delete for good; and the storage hosts."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from ... import i18n
from ...core.vfolders import Access, FolderStatus, OwnershipType, Permission, UsageMode, is_automount
from ...errors import N_, InvalidParameters, Violation, from_problem
from ...store import vfolder_lists
from ...store.folder_tasks import Task
from ...store.vfolder_changes import NewFolder
from ...store.vfolder_lists import SORTS, FolderFilter, FolderList
from .. import vfolders
from ..auth import administrative, authenticated
from ..base import ApiHandler, check_text

E = TypeVar("E", bound=enum.Enum)
MAX_PAGE = 1_000_000
_NEW = frozenset({"name", "host", "project", "usage_mode", "permission", "cloneable"})
_FILTERS = {
    "status": [item.value for item in FolderStatus],
    "usage_mode": [item.value for item in UsageMode],
    "ownership_type": [item.value for item in OwnershipType],
    "sort": [*SORTS, *("-" + name for name in SORTS)],
}


def describe_folder(access: Access, language: str, task: Task | None = None) -> dict[str, Any]:
    """A folder for programs: times in ISO 8601, sizes in bytes. ``source`` says why the caller has it."""
    folder = access.folder
    plain = ("id", "name", "host", "quota_scope_id", "domain", "creator", "cloneable", "user", "user_email", "project", "project_id")
    numbers = ("used_bytes", "used_files")
    times = ("created_at", "status_changed_at", "last_used_at", "measured_at")
    return {
        **{name: getattr(folder, name) for name in (*plain, *numbers)},
        **{name: getattr(folder, name).isoformat() if getattr(folder, name) else None for name in times},
        "status": folder.status.value,
        "status_reason": i18n.translate(language, folder.status_reason) if folder.status_reason else "",
        "usage_mode": folder.usage_mode.value,
        "ownership_type": folder.ownership_type.value,
        "permission": access.permission.value,
        "project_permission": folder.permission.value,
        "is_owner": access.is_owner,
        "source": access.source,
        "is_automount": is_automount(folder.name),
        "task": describe_task(task, language) if task else None,
    }


def describe_task(task: Task, language: str) -> dict[str, Any]:
    """How far long work is; ``trouble`` says in words why it failed, or why it has to be tried again."""
    names = ("id", "kind", "status", "done_bytes", "total_bytes", "done_files", "total_files")
    trouble = i18n.explain(language, from_problem(task.trouble)) if task.trouble else ""
    return {**{name: value for name, value in asdict(task).items() if name in names}, "trouble": trouble}


class FoldersHandler(ApiHandler):
    """``GET`` the folders that the caller may use; ``POST`` makes one."""

    @authenticated
    async def get(self) -> None:
        found = await self.db.run(vfolder_lists.list_mine, self.identity.name, read_filter(self))
        self.answer(await describe_list(self, found))

    @authenticated
    async def post(self) -> None:
        new = read_new(read_fields(self, _NEW))
        access = await vfolders.create(self, vfolders.act_of(self), new)
        self.set_header("Location", f"{self.hub_auth.base_url}rest/v1/folders/{access.folder.id}")
        self.answer(describe_folder(access, self.language), 201)


class AllFoldersHandler(ApiHandler):
    """``GET`` the folders that the caller administers."""

    @administrative
    async def get(self) -> None:
        found = await self.db.run(vfolder_lists.list_everybody, self.identity.name, read_filter(self))
        self.answer(await describe_list(self, found))


class HostsHandler(ApiHandler):
    """``GET`` the storage hosts where the caller may do something; ``?project=<id>`` counts one project only."""

    @authenticated
    async def get(self) -> None:
        project = check_text(self.get_query_argument("project", ""), 64)
        hosts = await vfolders.list_own_hosts(self, vfolders.act_of(self), project or None)
        usable = [host["name"] for host in hosts if "create-vfolder" in host["permissions"]]
        self.answer({"hosts": hosts, "default": next(iter(usable), None)})


class FolderHandler(ApiHandler):
    """``GET`` one folder, with what is being done to it."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        await answer_folder(self, folder_id)


class RenameHandler(ApiHandler):
    """``POST {"name": …}``."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = read_fields(self, {"name"})
        await vfolders.rename(self, vfolders.act_of(self), folder_id, read_text(body, "name"))
        await answer_folder(self, folder_id)


class OptionsHandler(ApiHandler):
    """``POST {"permission": "ro"|"rw"|"wd", "cloneable": true|false}``, either or both."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = read_fields(self, {"permission", "cloneable"})
        permission = read_choice(body, "permission", Permission, None)
        cloneable = read_flag(body, "cloneable", None)
        await vfolders.update_options(self, vfolders.act_of(self), folder_id, permission=permission, cloneable=cloneable)
        await answer_folder(self, folder_id)


class CloneHandler(ApiHandler):
    """``POST {"name": …, "usage_mode", "permission", "cloneable"}``: 202, and the new folder with its task."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        new = read_new(read_fields(self, _NEW - {"project"}))
        folder, _ = await vfolders.clone(self, vfolders.act_of(self), folder_id, new)
        self.set_header("Location", f"{self.hub_auth.base_url}rest/v1/folders/{folder.id}")
        await answer_folder(self, folder.id, 202)


class TrashHandler(ApiHandler):
    """``POST`` moves a folder to the trash; its files stay, and count."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        read_fields(self, ())
        await vfolders.move_to_trash(self, vfolders.act_of(self), folder_id)
        await answer_folder(self, folder_id)


class RestoreHandler(ApiHandler):
    """``POST`` takes a folder out of the trash."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        read_fields(self, ())
        await vfolders.restore(self, vfolders.act_of(self), folder_id)
        await answer_folder(self, folder_id)


class PurgeHandler(ApiHandler):
    """``POST {"name": <the folder's name>}``: 202; the folder is not there any more when it is done."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = read_fields(self, {"name"})
        await vfolders.purge(self, vfolders.act_of(self), folder_id, read_text(body, "name"))
        self.answer({"id": folder_id, "status": FolderStatus.DELETE_ONGOING.value}, 202)


async def answer_folder(handler: ApiHandler, folder_id: str, status: int = 200) -> None:
    """One folder as the caller meets it now."""
    access = await vfolders.find(handler, vfolders.act_of(handler), folder_id)
    tasks = await vfolders.list_tasks(handler, [folder_id])
    handler.answer(describe_folder(access, handler.language, tasks.get(folder_id)), status)


async def describe_list(handler: ApiHandler, found: FolderList) -> dict[str, Any]:
    """A page of folders for programs."""
    tasks = await vfolders.list_tasks(handler, [access.folder.id for access in found.folders])
    folders = [describe_folder(access, handler.language, tasks.get(access.folder.id)) for access in found.folders]
    return {"folders": folders, "total": found.total, "page": found.page, "pages": found.pages}


# -- what is read from a request


def read_fields(handler: ApiHandler, known: Collection[str]) -> dict[str, Any]:
    """The body. Raises InvalidParameters naming every field that there is not."""
    body = handler.read_body()
    if unknown := sorted(body.keys() - set(known)):
        message = N_("There is no field %(field)s here.")
        raise InvalidParameters(violations=[Violation(message, {"field": name[:64]}, name[:64]) for name in unknown])
    return body


def read_text(body: Mapping[str, Any], name: str, default: str = "") -> str:
    """A text of at most 255 characters."""
    return check_text(body.get(name, default), 255)


def read_choice(body: Mapping[str, Any], name: str, choices: type[E], default: Any) -> Any:
    """One of an enum's values; the default where it is missing. Raises InvalidParameters naming the choices."""
    value = body.get(name)
    if value is None:
        return default
    try:
        return choices(value)
    except ValueError as exc:
        words = ", ".join(item.value for item in choices)
        raise InvalidParameters(violations=[Violation(N_("Choose one of: %(choices)s."), {"choices": words}, name)]) from exc


def read_flag(body: Mapping[str, Any], name: str, default: bool | None) -> Any:
    """A yes or no; the default where it is missing."""
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return default if value is None else value
    raise InvalidParameters(violations=[Violation(N_("This must be true or false."), {}, name)])


def read_new(body: Mapping[str, Any]) -> NewFolder:
    """A folder that is wanted."""
    return NewFolder(
        name=read_text(body, "name"),
        host=read_text(body, "host"),
        project=read_text(body, "project"),
        usage_mode=read_choice(body, "usage_mode", UsageMode, UsageMode.GENERAL),
        permission=read_choice(body, "permission", Permission, Permission.READ_WRITE),
        cloneable=read_flag(body, "cloneable", False),
    )


def read_filter(handler: ApiHandler) -> FolderFilter:
    """The filters of an address. Raises InvalidParameters for what cannot be."""
    texts = {name: handler.get_query_argument(name, "") for name in ("search", "host", "quota_scope_id", "owner", *_FILTERS)}
    wrong = [
        Violation(N_("Choose one of: %(choices)s."), {"choices": ", ".join(choices)}, name)
        for name, choices in _FILTERS.items()
        if texts[name] and texts[name] not in choices
    ]
    numbers = {}
    for name, default in (("page", 1), ("size", 100)):
        text = handler.get_query_argument(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= MAX_PAGE):
            wrong.append(Violation(N_("Give a whole number from 1 on."), {}, name, "invalid"))
        else:
            numbers[name] = int(text)
    if wrong:
        raise InvalidParameters(violations=wrong)
    found: dict[str, Any] = {**numbers, **{name: check_text(text, 255) for name, text in texts.items()}}
    found["sort"] = texts["sort"] or "name"
    return FolderFilter(**found, trash=handler.get_query_argument("trash", "").lower() in {"1", "true", "yes"})


_ID = "([0-9a-f]{32})"
default_handlers = [
    (r"rest/v1/folders", FoldersHandler),
    (r"rest/v1/folders/all", AllFoldersHandler),
    (r"rest/v1/folders/hosts", HostsHandler),
    (rf"rest/v1/folders/{_ID}", FolderHandler),
    (rf"rest/v1/folders/{_ID}/rename", RenameHandler),
    (rf"rest/v1/folders/{_ID}/options", OptionsHandler),
    (rf"rest/v1/folders/{_ID}/clone", CloneHandler),
    (rf"rest/v1/folders/{_ID}/trash", TrashHandler),
    (rf"rest/v1/folders/{_ID}/restore", RestoreHandler),
    (rf"rest/v1/folders/{_ID}/purge", PurgeHandler),
]
