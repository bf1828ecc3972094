"""Who shares a folder: asking, changing and taking back on one page or dialog; invitations answered; everything that one shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import i18n
from ...core.vfolder_sharing import Holding, Invitation, Share
from ...core.vfolders import OwnershipType
from ...errors import N_, InvalidParameters, NotFound
from ...store import vfolder_invitations
from ...store import vfolder_sharing as shares
from .. import vfolder_sharing as sharing
from ..auth import authenticated
from .base import DataPage, FolderForm, FormPage
from .show import SHARE, Line


class ShareForm(FolderForm):
    """``data/<id>/share``. ``act``: ``invite``, ``give`` (a permission to a user), ``take``, ``offer`` (to an invitation), ``cancel``."""

    template = "data/share.html"

    async def load_more(self, line: Line) -> dict[str, Any]:
        folder = line.folder
        people = await self.db.run(shares.list_shares, self.caller, folder.id)
        return {
            "people": people,
            "pending": await self.db.run(vfolder_invitations.list_pending, folder.id),
            "left_over": list_left_over(line, people, await self.db.run(shares.list_holdings, folder.id)),
            "decides": SHARE in line.acts,
            "is_of_project": folder.ownership_type is OwnershipType.PROJECT,
            "notice": await self.find_notice(),
        }

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:
        folder_id, permission = ids[0], fields.get("permission")
        match fields.get("act", ""):
            case "invite":
                return await self._invite(folder_id, fields.get("emails", ""), permission)
            case "give":
                await sharing.change_share(self, self.caller, folder_id, fields.get("user", ""), permission)
                done = "given"
            case "take":
                change = await sharing.remove_share(self, self.caller, folder_id, fields.get("user", ""))
                done = "taken" if change.is_applied else "taken-late"
            case "offer":
                await sharing.change_invitation(self, self.caller, fields.get("invitation", ""), permission)
                done = "offered"
            case "cancel":
                await sharing.cancel(self, self.caller, fields.get("invitation", ""))
                done = "cancelled"
            case _:
                raise InvalidParameters(N_("The request could not be read."))
        return self.go_back(done, "", self._again(folder_id))

    async def _invite(self, folder_id: str, emails: str, permission: str | None) -> str:
        """Ask people, or give members of a project a permission of their own; who could not be asked is told on the page itself."""
        line = await self.find_line(folder_id)
        if line.folder.ownership_type is OwnershipType.PROJECT:
            await sharing.share_with_members(self, self.caller, folder_id, emails, permission)
            return self.go_back("shared", "", self._again(folder_id))
        outcome = await sharing.invite(self, self.caller, folder_id, emails, permission)
        if not outcome.refused:
            return self.go_back("invited", "", self._again(folder_id))
        words = i18n.translate(self.language, N_("Invited: %(count)s. The others were not:"), {"count": len(outcome.invited)})
        self.remarks = [("", words), *(("emails", i18n.explain(self.language, item.violation)) for item in outcome.refused)]
        self.typed = {"emails": ", ".join(item.email for item in outcome.refused), "permission": permission or "", "act": "invite"}
        return ""

    def _again(self, folder_id: str) -> str:
        return f"{self.base}/{folder_id}/share"


def list_left_over(line: Line, people: list[Share], holdings: list[Holding]) -> list[Holding]:
    """The sessions of those who have no right to the folder any more, and had when they began."""
    known = {line.folder.user, *(share.user for share in people)}
    return [holding for holding in holdings if holding.user not in known]


class InvitationForm(FormPage):
    """``data/invitations/<id>``: ``act`` is ``accept`` or ``decline``."""

    template = "data/invitation.html"

    async def load(self, *ids: str) -> dict[str, Any]:
        return {"invitation": await self._find(ids[0])}

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:
        match fields.get("act", ""):
            case "accept":
                invitation = await sharing.accept(self, self.caller, ids[0])
                return self.go_back("accepted", invitation.folder_id, f"{self.base}/{invitation.folder_id}")
            case "decline":
                await sharing.decline(self, self.caller, ids[0])
                return self.go_back("declined")
        raise InvalidParameters(N_("The request could not be read."))

    async def _find(self, invitation_id: str) -> Invitation:
        found = await self.db.run(vfolder_invitations.list_received, self.identity.name)
        known = next((item for item in found if item.id == invitation_id), None)
        if known is None:
            raise NotFound(vfolder_invitations.NO_INVITATION)
        return known


class SharedHandler(DataPage):
    """GET lists what the caller lets others use, and whom the caller has asked."""

    @authenticated
    async def get(self) -> None:
        self.render_data(
            "data/shared.html",
            shared=await self.db.run(shares.list_shared, self.identity.name),
            sent=await self.db.run(vfolder_invitations.list_sent, self.identity.name),
        )


_ID = r"([0-9a-f]{32})"
default_handlers = [
    (rf"data/{_ID}/share", ShareForm),
    (rf"data/invitations/{_ID}", InvitationForm),
    (r"data/shared", SharedHandler),
]
