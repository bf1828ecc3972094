"""Sharing folders: one function for each act, for pages, REST and whatever else comes. Each is audited by the store.

What is decided holds for our own file pages at once, for running sessions as soon as the folder's gate on disk follows
(``services.folder_access``), which every act here waits for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from .. import i18n
from ..core.identity import Actor
from ..core.vfolder_sharing import Holding, Invitation, Outcome, Share, parse_people, parse_permission
from ..core.vfolders import Folder
from ..errors import N_
from ..identity.mail import Mail
from ..store import users, vfolder_invitations, vfolder_sharing
from .parts import Parts

log = logging.getLogger("backendai")
_HELLO = N_("Hello %(name)s,")
_ASKED = N_("%(inviter)s wants to share the folder %(folder)s with you. Permission: %(permission)s.")
_WHERE = N_("Accept or decline it here:")
_FOOT = N_("This mail was sent by %(site)s. Nobody reads answers to it.")
SUBJECT = N_("%(inviter)s shares the folder %(folder)s with you")
PERMISSIONS = {"ro": N_("Read only"), "rw": N_("Read and write"), "wd": N_("Read, write and delete")}


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a right: ``is_applied`` False means that the storage host did not answer and is tried again by itself.

    ``holdings`` are the live sessions of who lost or changed the right that have the folder.
    """

    share: Share | None
    is_applied: bool
    holdings: tuple[Holding, ...] = ()


async def invite(parts: Parts, actor: Actor, folder_id: str, people: Any, permission: Any = "rw") -> Outcome:
    """Ask people to share a folder, and write to those who were asked. ``people``: a list, or a text with commas or lines."""
    wanted, offered = parse_people(people), parse_permission(permission)
    outcome = await parts.db.run_exclusive(vfolder_invitations.invite, actor, folder_id, wanted, offered)
    for invitation in outcome.invited:
        await _write_to(parts, invitation)
    return outcome


async def accept(parts: Parts, actor: Actor, invitation_id: str) -> Invitation:
    """Share the folder from now on."""
    invitation = await parts.db.run_exclusive(vfolder_invitations.accept, actor, invitation_id)
    await parts.folder_access.apply(invitation.folder_id)
    return invitation


async def decline(parts: Parts, actor: Actor, invitation_id: str) -> Invitation:
    """Say no."""
    return await parts.db.run_exclusive(vfolder_invitations.decline, actor, invitation_id)


async def cancel(parts: Parts, actor: Actor, invitation_id: str) -> Invitation:
    """Take an invitation back that nobody has answered."""
    return await parts.db.run_exclusive(vfolder_invitations.cancel, actor, invitation_id)


async def change_invitation(parts: Parts, actor: Actor, invitation_id: str, permission: Any) -> Invitation:
    """Offer another permission."""
    return await parts.db.run_exclusive(vfolder_invitations.change, actor, invitation_id, parse_permission(permission))


async def change_share(parts: Parts, actor: Actor, folder_id: str, user_id: str, permission: Any) -> Change:
    """Give somebody who shares a folder another permission; in a project's folder it becomes their own."""
    wanted = parse_permission(permission)
    share = await parts.db.run_exclusive(vfolder_sharing.change_share, actor, folder_id, user_id, wanted)
    return await _follow(parts, folder_id, share)


async def remove_share(parts: Parts, actor: Actor, folder_id: str, user_id: str) -> Change:
    """Take a folder back; the answer names the sessions that still have it."""
    share = await parts.db.run_exclusive(vfolder_sharing.remove_share, actor, folder_id, user_id)
    return await _follow(parts, folder_id, share)


async def leave(parts: Parts, actor: Actor, folder_id: str) -> Folder:
    """Give a folder back that somebody was invited to."""
    folder = await parts.db.run_exclusive(vfolder_sharing.leave, actor, folder_id)
    await parts.folder_access.apply(folder_id)
    return folder


async def share_with_members(parts: Parts, actor: Actor, folder_id: str, people: Any, permission: Any = "rw") -> list[Share]:
    """Give members of a project a permission of their own in its folder."""
    wanted, given = parse_people(people), parse_permission(permission)
    shares = await parts.db.run_exclusive(vfolder_sharing.share_with_members, actor, folder_id, wanted, given)
    await parts.folder_access.apply(folder_id)
    return shares


async def _follow(parts: Parts, folder_id: str, share: Share) -> Change:
    is_applied = await parts.folder_access.apply(folder_id)
    holdings = await parts.db.run(vfolder_sharing.list_holdings, folder_id, [share.user])
    return Change(share, is_applied, tuple(holdings))


async def _write_to(parts: Parts, invitation: Invitation) -> None:
    if not (parts.mail.is_on and invitation.invitee_email):
        return
    invitee = await parts.db.run(users.get_identity, invitation.invitee)
    language = (invitee.language if invitee else "") or i18n.DEFAULT_LANGUAGE
    parts.mail.post(write_mail(invitation, language, parts.config.site_name, parts.config.public_hub_url))


def write_mail(invitation: Invitation, language: str, site: str, hub_url: str) -> Mail:
    """The mail to somebody who was invited, in their language; with a link where the site gave its address."""
    params = {
        "name": invitation.invitee,
        "inviter": invitation.inviter,
        "folder": invitation.folder,
        "permission": i18n.translate(language, PERMISSIONS[invitation.permission.value]),
        "site": site,
    }
    parts = [i18n.translate(language, text, params) for text in (_HELLO, _ASKED)]
    if hub_url:
        parts.append(f"{i18n.translate(language, _WHERE)}\n{urljoin(hub_url, '../services/backendai/data?tab=invited')}")
    parts.append(i18n.translate(language, _FOOT, params))
    return Mail(invitation.invitee_email, f"{site}: {i18n.translate(language, SUBJECT, params)}", "\n\n".join(parts) + "\n")
