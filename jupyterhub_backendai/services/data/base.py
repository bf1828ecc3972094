"""What the pages "Data" share: addresses, what is said after an act, and forms that are a page and a dialog alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ... import i18n
from ...core.identity import Actor
from ...core.vfolders import Access
from ...errors import N_, BackendAIError, InvalidParameters, NotFound
from ...store.vfolder_changes import Act
from .. import vfolders
from ..auth import authenticated
from ..base import PageHandler
from .show import ACT_WORDS, ICONS, PERMISSIONS, Line, describe

LONGEST = 16 * 1024
# What a page says after an act. The address holds the word and the folder's id, never the sentence.
DONE = {
    "created": N_("The folder %(name)s was made."),
    "renamed": N_("The folder is called %(name)s now."),
    "changed": N_("The options of %(name)s were changed."),
    "copying": N_("%(name)s is being copied. You can leave this page."),
    "giving": N_("%(name)s goes to its new owner. You can leave this page."),
    "trashed": N_("%(name)s is in the trash."),
    "restored": N_("%(name)s is out of the trash."),
    "purging": N_("%(name)s is being deleted. You can leave this page."),
    "accepted": N_("%(name)s is shared with you now."),
    "left": N_("You have left the folder."),
    "declined": N_("The invitation was declined."),
    "invited": N_("The invitations were sent."),
    "shared": N_("The permissions were given."),
    "offered": N_("The invitation was changed."),
    "cancelled": N_("The invitation was taken back."),
    "given": N_("The permission was changed."),
    "taken": N_("The folder was taken back."),
    "taken-late": N_("The folder was taken back. Its storage host does not answer right now; that is done as soon as it does."),
}
_NAMELESS = frozenset(word for word, text in DONE.items() if "%(" not in text)


class DataPage(PageHandler):
    """A page about folders."""

    @property
    def base(self) -> str:
        """Where the list of folders is."""
        return f"{self.hub_auth.base_url}data"

    @property
    def act_by(self) -> Act:
        """Who acts, for ``services.vfolders``."""
        return vfolders.act_of(self)

    @property
    def caller(self) -> Actor:
        """Who acts, for ``services.vfolder_sharing``."""
        return Actor(self.identity.name, self.identity.role, self.identity.domain, self.request.remote_ip or "")

    async def find_notice(self) -> str:
        """What the last act did, in words; "" for what cannot be said (any more)."""
        word, folder_id = self.get_query_argument("done", "")[:32], self.get_query_argument("of", "")
        if word in _NAMELESS:
            return i18n.translate(self.language, DONE[word])
        if word not in DONE or not re.fullmatch(r"[0-9a-f]{32}", folder_id):
            return ""
        try:
            access = await vfolders.find(self, self.act_by, folder_id)
        except NotFound:
            return ""
        return i18n.translate(self.language, DONE[word], {"name": access.folder.name})

    def describe(self, access: Access, **more: Any) -> Line:
        """A folder in the reader's words."""
        return describe(access, self.identity, self.language, **more)

    def render_data(self, template: str, **values: Any) -> None:
        """Answer with a page that knows the words of acts and permissions."""
        self.render_page(template, act_words=ACT_WORDS, icons=ICONS, permissions=PERMISSIONS, **values)


class FormPage(DataPage):
    """A page with one form. GET shows it; POST acts and goes on, or shows it again with what was typed and what is wrong.

    With scripts the form stands in a dialog; the answer then names the next address instead of leading there.
    """

    template = ""
    # what an act that was done in part still has to say, and what is left in its fields
    remarks: Sequence[tuple[str, str]] = ()
    typed: Mapping[str, str] = MappingProxyType({})

    async def load(self, *ids: str) -> dict[str, Any]:
        """What the page shows."""
        raise NotImplementedError

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:
        """Do it; the address of the next page, "" to show this one again with :attr:`remarks`. Raises BackendAIError."""
        raise NotImplementedError

    @authenticated
    async def get(self, *ids: str) -> None:
        await self.show(*ids)

    @authenticated
    async def post(self, *ids: str) -> None:
        fields = self.read_fields()
        try:
            address = await self.act(fields, *ids)
        except BackendAIError as exc:
            await self.show(*ids, error=exc, fields=fields)
            return
        if not address:
            await self.show(*ids, fields=self.typed)
            return
        if self.request.headers.get("X-Dialog"):
            self.set_status(204)
            self.set_header("X-Next", address)
            return
        self.redirect(address, status=303)

    def read_fields(self) -> dict[str, str]:
        """What was typed. Raises InvalidParameters for what no form sends."""
        fields = {name: self.get_body_argument(name, strip=False) for name in self.request.body_arguments if name != "_xsrf"}
        if any(len(text) > LONGEST or "\0" in text for text in fields.values()):
            raise InvalidParameters(N_("The request could not be read."))
        return fields

    async def show(self, *ids: str, error: BackendAIError | None = None, fields: Mapping[str, str] | None = None) -> None:
        """The page, after a refusal with what was typed."""
        if error is not None:
            self.set_status(error.status)
        self.render_data(
            self.template,
            **await self.load(*ids),
            typed=dict(fields or {}),
            wrong=self.explain_all(error) or list(self.remarks),
            url=self.request.path,
            back=self.back,
        )

    def explain_all(self, error: BackendAIError | None) -> list[tuple[str, str]]:
        """Everything that is wrong, as (field or "", words)."""
        if error is None:
            return []
        if not error.violations:
            return [("", i18n.explain(self.language, error))]
        return [(item.field, i18n.explain(self.language, item)) for item in error.violations]

    @property
    def back(self) -> str:
        """The page from which the form was opened: the list, or a folder's own. Only addresses of ours are gone back to."""
        wanted = self.get_argument("back", "")[:2000]
        parts = urlsplit(wanted)
        is_ours = not parts.scheme and not parts.netloc and re.fullmatch(re.escape(self.base) + r"(?:/[0-9a-f]{32})?", parts.path)
        if not is_ours or not wanted.isprintable():
            return self.base
        query = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"done", "of"}]
        return f"{parts.path}?{urlencode(query)}" if query else parts.path

    def go_back(self, done: str, folder_id: str = "", address: str = "") -> str:
        """Where to go on: an address (where the form was opened, without any) that says what was done."""
        parts = urlsplit(address or self.back)
        query = [*parse_qsl(parts.query), ("done", done), *([("of", folder_id)] if folder_id else [])]
        return f"{parts.path}?{urlencode(query)}"


class FolderForm(FormPage):
    """A form about one folder; 404 for whoever it is not offered to, as if there were none."""

    name = ""

    async def load(self, *ids: str) -> dict[str, Any]:
        line = await self.find_line(ids[0])
        return {"line": line, "folder": line.folder, **await self.load_more(line)}

    async def load_more(self, line: Line) -> dict[str, Any]:  # noqa: ARG002 - for forms that show more
        """What this form shows besides the folder."""
        return {}

    async def find_line(self, folder_id: str) -> Line:
        """The folder. Raises NotFound."""
        return self.describe(await vfolders.find(self, self.act_by, folder_id))
