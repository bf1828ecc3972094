"""Sharing folders, for programs: invitations, who shares what, and taking back. Everything of other people is 404."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ... import i18n
from ...core.identity import Actor
from ...core.vfolder_sharing import Holding, Invitation, Share
from ...store import vfolder_invitations
from ...store import vfolder_sharing as shares
from .. import vfolder_sharing as sharing
from ..auth import authenticated
from ..base import ApiHandler, check_text
from ..folder_ownership import change_ownership


def describe_invitation(invitation: Invitation) -> dict[str, Any]:
    """An invitation as JSON."""
    return {
        **asdict(invitation),
        "permission": invitation.permission.value,
        "state": invitation.state.value,
        "created_at": invitation.created_at.isoformat(),
        "modified_at": invitation.modified_at.isoformat(),
    }


def describe_share(share: Share) -> dict[str, Any]:
    """Somebody who shares a folder, as JSON."""
    return {
        **asdict(share),
        "status": share.status.value,
        "ownership_type": share.ownership_type.value,
        "permission": share.permission.value,
        "since": share.since.isoformat() if share.since else None,
    }


def describe_holding(holding: Holding) -> dict[str, Any]:
    """A session that has a folder, as JSON."""
    return asdict(holding)


class SharingHandler(ApiHandler):
    """Who calls, as an actor."""

    @property
    def caller(self) -> Actor:
        return Actor(self.identity.name, self.identity.role, self.identity.domain, self.request.remote_ip or "")

    def answer_change(self, change: sharing.Change) -> None:
        share = describe_share(change.share) if change.share else None
        self.answer({"share": share, "applied": change.is_applied, "sessions": [describe_holding(item) for item in change.holdings]})


class InviteHandler(SharingHandler):
    """``POST folders/<id>/invite {"emails": […], "permission": "rw"}``: 201 with who was invited, and why others were not."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = self.read_body()
        people = body.get("emails", ())
        people = people if isinstance(people, str | list) else [None]
        outcome = await sharing.invite(self, self.caller, folder_id, people, body.get("permission", "rw"))
        refused = [
            {"email": item.email, "rule": item.violation.rule, "message": i18n.explain(self.language, item.violation)}
            for item in outcome.refused
        ]
        self.answer({"invited": [describe_invitation(item) for item in outcome.invited], "refused": refused}, 201)


class ReceivedHandler(SharingHandler):
    """``GET folders/invitations``: what the caller is to answer."""

    @authenticated
    async def get(self) -> None:
        found = await self.db.run(vfolder_invitations.list_received, self.identity.name)
        self.answer({"invitations": [describe_invitation(item) for item in found]})


class SentHandler(SharingHandler):
    """``GET folders/invitations/sent``: what others have not answered yet."""

    @authenticated
    async def get(self) -> None:
        found = await self.db.run(vfolder_invitations.list_sent, self.identity.name)
        self.answer({"invitations": [describe_invitation(item) for item in found]})


class InvitationHandler(SharingHandler):
    """``PATCH folders/invitations/<id> {"permission"}`` offers another one; ``DELETE`` takes it back. For who may invite."""

    @authenticated
    async def patch(self, invitation_id: str) -> None:
        permission = self.read_body().get("permission")
        self.answer(describe_invitation(await sharing.change_invitation(self, self.caller, invitation_id, permission)))

    @authenticated
    async def delete(self, invitation_id: str) -> None:
        self.answer(describe_invitation(await sharing.cancel(self, self.caller, invitation_id)))


class AcceptHandler(SharingHandler):
    """``POST folders/invitations/<id>/accept``: 409 for who has a folder of that name."""

    @authenticated
    async def post(self, invitation_id: str) -> None:
        self.answer(describe_invitation(await sharing.accept(self, self.caller, invitation_id)))


class DeclineHandler(SharingHandler):
    """``POST folders/invitations/<id>/decline``."""

    @authenticated
    async def post(self, invitation_id: str) -> None:
        self.answer(describe_invitation(await sharing.decline(self, self.caller, invitation_id)))


class SharedHandler(SharingHandler):
    """``GET folders/shared``: everything of the caller's that others may use."""

    @authenticated
    async def get(self) -> None:
        found = await self.db.run(shares.list_shared, self.identity.name)
        self.answer({"shared": [describe_share(item) for item in found]})


class SharesHandler(SharingHandler):
    """``GET folders/<id>/shares``: who may use it, who was asked to, and which sessions have it now.

    ``POST {"emails": […], "permission"}``: members of a project get a permission of their own; for administrators.
    """

    @authenticated
    async def get(self, folder_id: str) -> None:
        found = await self.db.run(shares.list_shares, self.caller, folder_id)
        pending = await self.db.run(vfolder_invitations.list_pending, folder_id)
        holdings = await self.db.run(shares.list_holdings, folder_id)
        self.answer(
            {
                "shares": [describe_share(item) for item in found],
                "invitations": [describe_invitation(item) for item in pending],
                "sessions": [describe_holding(item) for item in holdings],
            }
        )

    @authenticated
    async def post(self, folder_id: str) -> None:
        body = self.read_body()
        people = body.get("emails", ())
        people = people if isinstance(people, str | list) else [None]
        found = await sharing.share_with_members(self, self.caller, folder_id, people, body.get("permission", "rw"))
        self.answer({"shares": [describe_share(item) for item in found]}, 201)


class ShareHandler(SharingHandler):
    """``PATCH folders/<id>/shares/<user id> {"permission"}``; ``DELETE`` takes the folder (or the own permission) back."""

    @authenticated
    async def patch(self, folder_id: str, user_id: str) -> None:
        permission = self.read_body().get("permission")
        self.answer_change(await sharing.change_share(self, self.caller, folder_id, user_id, permission))

    @authenticated
    async def delete(self, folder_id: str, user_id: str) -> None:
        self.answer_change(await sharing.remove_share(self, self.caller, folder_id, user_id))


class LeaveHandler(SharingHandler):
    """``POST folders/<id>/leave``: 400 for one's own folder and for a project's."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        folder = await sharing.leave(self, self.caller, folder_id)
        self.answer({"id": folder.id, "name": folder.name})


class OwnershipHandler(SharingHandler):
    """``POST folders/<id>/change-ownership {"user": name or mail address}``: 202, a task copies the files. For superadmins."""

    @authenticated
    async def post(self, folder_id: str) -> None:
        to = check_text(self.read_body().get("user"))
        folder = await change_ownership(self, self.caller, folder_id, to)
        self.answer({"id": folder.id, "name": folder.name, "status": folder.status.value}, 202)


_FOLDER = r"rest/v1/folders/([0-9a-f]{32})"
_INVITATION = r"rest/v1/folders/invitations/([0-9a-f]{32})"
default_handlers = [
    (r"rest/v1/folders/invitations", ReceivedHandler),
    (r"rest/v1/folders/invitations/sent", SentHandler),
    (_INVITATION, InvitationHandler),
    (f"{_INVITATION}/accept", AcceptHandler),
    (f"{_INVITATION}/decline", DeclineHandler),
    (r"rest/v1/folders/shared", SharedHandler),
    (f"{_FOLDER}/invite", InviteHandler),
    (f"{_FOLDER}/shares", SharesHandler),
    (f"{_FOLDER}/shares/([0-9a-f]{{32}})", ShareHandler),
    (f"{_FOLDER}/leave", LeaveHandler),
    (f"{_FOLDER}/change-ownership", OwnershipHandler),
]
