"""What is done to files in the explorer: each act is a form that says what will happen, and then does it.

The page's script shows the same forms in a dialog. It marks its requests (``X-Part``), and is told where to go on by a header instead
of a redirect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import i18n
from ..core.files import EntryKind, check_path, decode_ref, encode_ref, join_path, parse_new_path, parse_ref
from ..core.vfolders import HostPermission
from ..errors import N_, BackendAIError, Conflict, InvalidParameters, NotFound
from .auth import authenticated
from .base import HubUserHandler, PageHandler
from .explorer import Explorer, address_page, argument, make_explorer, path_of, read_order
from .folder_files import OpenFolder, open_folder, show
from .rest.folder_files import MAX_ITEMS, read_name
from .storage.downloads import DownloadHandler

MAX_NAMED = 20
MAX_CHOICES = 1000


@dataclass(slots=True)
class Act:
    """A form of one act: the things it is about, what was typed, what was wrong."""

    name: str
    items: list[bytes] = field(default_factory=list)
    typed: str = ""
    wrong: str = ""
    target: bytes = b""
    choices: list[bytes] = field(default_factory=list)
    has_directories: bool = False
    can_replace: bool = False

    @property
    def named(self) -> list[str]:
        """The first few by name, for people."""
        return [show(item) for item in self.items[:MAX_NAMED]]

    @property
    def rest(self) -> int:
        return len(self.items) - len(self.named)

    @property
    def into(self) -> str:
        """The target as a form says it."""
        return write_into(self.target)

    @property
    def ways(self) -> list[tuple[str, str]]:
        """(name, value for the form) of every directory above the target, from the folder's top ("") on."""
        parts = self.target.split(b"/") if self.target else []
        return [(show(parts[depth - 1]) if depth else "", write_into(b"/".join(parts[:depth]))) for depth in range(len(parts) + 1)]

    @property
    def doors(self) -> list[tuple[str, str]]:
        """(name, value for the form) of the directories that one can go on into."""
        return [(show(name), write_into(join_path(self.target, name))) for name in self.choices]

    @property
    def keys(self) -> list[str]:
        return [encode_ref(item) for item in self.items]


class ActHandler(PageHandler):
    """POST does an act, or asks first."""

    explorer: Explorer
    opened: OpenFolder

    @authenticated
    async def post(self, folder_id: str, name: str) -> None:
        self.opened = await open_folder(self, folder_id)
        self.explorer = make_explorer(self, self.opened)
        self.explorer.path = path_of(self)
        read_order(self, self.explorer)
        self.opened.require_writing()
        await self._acts()[name]()

    @authenticated
    async def get(self, folder_id: str, _name: str) -> None:
        """Where a reload of a form goes."""
        await open_folder(self, folder_id)
        self.redirect(address_page(self, folder_id))

    def _acts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {"mkdir": self._mkdir, "rename": self._rename, "move": self._move, "delete": self._delete}

    async def _mkdir(self) -> None:
        act = Act("mkdir", typed=argument(self, "name"))
        if not self._is_confirmed:
            self._ask(act)
            return
        await self._try(act, self._make(act), "made")

    async def _make(self, act: Act) -> None:
        await self.opened.files.make_directory(parse_new_path(act.typed, self.explorer.path))

    async def _rename(self) -> None:
        act = Act("rename", read_items(self))
        if len(act.items) != 1:
            act.wrong = i18n.translate(self.language, N_("Choose one file or directory to rename."))
            self._ask(act, 400)
            return
        act.typed = argument(self, "name") if self._is_confirmed else show(act.items[0])
        if not self._is_confirmed:
            self._ask(act)
            return
        await self._try(act, self._rename_to(act), "renamed")

    async def _rename_to(self, act: Act) -> None:
        directory = self.explorer.path
        await self.opened.files.move(join_path(directory, act.items[0]), join_path(directory, read_name(act.typed)))

    async def _delete(self) -> None:
        act = Act("delete", read_items(self))
        if not act.items:
            self._ask_to_choose(act)
            return
        if self._is_confirmed:
            await self._try(act, self._remove(act), "deleted", str(len(act.items)))
            return
        act.has_directories = await self._has_directories(act.items)
        self._ask(act)

    async def _remove(self, act: Act) -> None:
        await self.opened.files.remove([join_path(self.explorer.path, item) for item in act.items], recursive=True)

    async def _has_directories(self, items: Sequence[bytes]) -> bool:
        for item in items[:MAX_NAMED]:
            try:
                entry = await self.opened.files.stat(join_path(self.explorer.path, item))
            except NotFound:
                continue
            if entry.kind is EntryKind.DIRECTORY:
                return True
        return len(items) > MAX_NAMED

    async def _move(self) -> None:
        act = Act("move", read_items(self))
        if not act.items:
            self._ask_to_choose(act)
            return
        try:
            act.target = self._target()
            if self._is_confirmed:
                await self._move_all(act)
            act.choices = await self._list_directories(act)
        except BackendAIError as exc:
            act.wrong = i18n.explain(self.language, exc)
            self._ask(act, exc.status)
            return
        if self._is_confirmed and not act.wrong:
            self._leave("moved", str(len(act.items)))
        else:
            self._ask(act, 409 if act.wrong else 200)

    def _target(self) -> bytes:
        """The directory that was chosen; at first the one where the things are."""
        into = self.get_body_arguments("into", strip=False)
        return read_into(into[-1]) if into else self.explorer.path

    async def _move_all(self, act: Act) -> None:
        """Everything that can be; what could not stays in the form, with the reason."""
        stuck, first = [], ""
        is_replacing = argument(self, "replace") == "yes"
        for item in act.items:
            source, target = join_path(self.explorer.path, item), join_path(act.target, item)
            try:
                if target == source:
                    raise Conflict(N_("It is in this directory already."))
                await self.opened.files.move(source, target, is_replacing=is_replacing)
            except BackendAIError as exc:
                if exc.status >= 500:
                    raise
                stuck.append(item)
                first = first or f"{show(item)}: {i18n.explain(self.language, exc)}"
                act.can_replace = act.can_replace or isinstance(exc, Conflict)
        if stuck:
            act.items, act.wrong = stuck, first

    async def _list_directories(self, act: Act) -> list[bytes]:
        """The directories in the one that is chosen, but for those that are being moved themselves."""
        listing = await self.opened.files.list(act.target, limit=MAX_CHOICES)
        moved = {join_path(self.explorer.path, item) for item in act.items}
        directories = [entry.name for entry in listing.entries if entry.kind is EntryKind.DIRECTORY]
        return [name for name in directories if join_path(act.target, name) not in moved]

    @property
    def _is_confirmed(self) -> bool:
        return argument(self, "confirmed") == "yes"

    async def _try(self, act: Act, work: Awaitable[None], notice: str, count: str = "") -> None:
        try:
            await work
        except BackendAIError as exc:
            act.wrong = i18n.explain(self.language, exc)
            self._ask(act, exc.status)
        else:
            self._leave(notice, count)

    def _ask_to_choose(self, act: Act) -> None:
        act.wrong = i18n.translate(self.language, N_("Choose something first."))
        self._ask(act, 400)

    def _ask(self, act: Act, status: int = 200) -> None:
        self.set_status(status)
        self.render_page("explorer/act.html", explorer=self.explorer, act=act)

    def _leave(self, notice: str, count: str = "") -> None:
        """Back to the directory, which then says what was done."""
        url = self.explorer.notice_url(notice, count)
        if self.request.headers.get("X-Part"):
            self.set_header("X-Location", url)
            self.finish()
            return
        self.redirect(url, status=303)


class ZipHandler(DownloadHandler):
    """POST sends what was chosen as one zip. A list of a hundred long names is too long for an address."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        folder = await open_folder(self, folder_id, HostPermission.DOWNLOAD)
        paths = [join_path(path_of(self), item) for item in read_items(self)]
        if not paths:
            raise InvalidParameters(N_("Choose something first."))
        await self._send_archive(folder, paths)

    @authenticated
    async def get(self, folder_id: str) -> None:
        """Where a reload goes."""
        self.redirect(address_page(self, folder_id))


def read_items(handler: HubUserHandler) -> list[bytes]:
    """The names that were chosen in a form. Raises InvalidParameters."""
    found = []
    for item in handler.get_body_arguments("item", strip=False)[:MAX_ITEMS]:
        try:
            name = decode_ref(item)
        except ValueError as exc:
            raise InvalidParameters(N_("The request could not be read.")) from exc
        if not name or b"/" in name:
            raise InvalidParameters(N_("The request could not be read."))
        found.append(check_path(name))
    return list(dict.fromkeys(found))


def write_into(path: bytes) -> str:
    """A directory as the form's buttons name it: a dot, so that the top is not an empty word, and its reference."""
    return "." + encode_ref(path)


def read_into(text: str) -> bytes:
    """The inverse of :func:`write_into`. Raises InvalidParameters."""
    return parse_ref(text.removeprefix("."))


default_handlers: list[Any] = [
    (r"data/([0-9a-f]{32})/files/(mkdir|rename|move|delete)", ActHandler),
    (r"data/([0-9a-f]{32})/files/zip", ZipHandler),
]
