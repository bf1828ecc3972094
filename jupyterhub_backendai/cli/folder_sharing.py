"""``folder share …``, ``folder leave`` and ``folder give``: who may use a folder besides its owner, with a token of one's own.

A person is named by user name, mail address or id; an invitation by its id or by the name of its folder.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..errors import InvalidParameters, NotFound
from .batch import open_own
from .connection import Connection
from .folder_names import PERMISSIONS, add_key, find_folder, print_table
from .nouns import add_style, add_verb
from .table import format_data, printable

SHARE_COLUMNS = ("user", "email", "permission", "source", "since")
INVITATION_COLUMNS = ("id", "folder", "inviter", "invitee", "permission", "created_at")


def add_sharing(verbs: Any) -> None:
    """The commands about sharing, beneath ``folder``."""
    share = verbs.add_parser("share", help="who shares your folders").add_subparsers(required=True, metavar="VERB")
    listing = add_verb(share, "list", list_shares, "list who shares a folder, or all of yours")
    listing.add_argument("key", metavar="FOLDER", nargs="?", default="", help="its id or its name; default: all of yours")
    add_style(listing)
    invite = add_key(add_verb(share, "invite", invite_people, "ask people to share a folder"))
    invite.add_argument("emails", metavar="EMAIL", nargs="+")
    invite.add_argument("--permission", choices=PERMISSIONS, default="rw", help="default: rw")
    add_style(invite)
    give = add_key(add_verb(share, "change", change_share, "give somebody who shares a folder another permission"))
    give.add_argument("user", metavar="USER")
    give.add_argument("permission", choices=PERMISSIONS)
    take = add_key(add_verb(share, "take-back", take_back, "take a folder back from somebody"))
    take.add_argument("user", metavar="USER")
    asked = add_verb(share, "invitations", list_invitations, "list what you are to answer")
    asked.add_argument("--sent", action="store_true", help="what others have not answered yet")
    add_style(asked)
    for name, text in (("accept", "share a folder that you were asked to"), ("decline", "say no"), ("cancel", "take an invitation back")):
        answer = add_verb(share, name, answer_invitation, text)
        answer.add_argument("key", metavar="INVITATION", help="its id, or the name of its folder")
        answer.set_defaults(answer=name)
    add_key(add_verb(verbs, "leave", leave_folder, "give a folder back that you were invited to"))
    owner = add_key(add_verb(verbs, "give", give_folder, "give a folder to another owner; for superadmins"))
    owner.add_argument("user", metavar="USER", help="user name or mail address")


def list_shares(options: argparse.Namespace) -> int:
    """``folder share list``."""
    connection = open_own(options)
    path = f"{find_folder(connection, options.key)}/shares" if options.key else "folders/shared"
    found = connection.call("GET", path).data
    if options.style != "table":
        print(format_data(found, options.style), end="")
        return 0
    print_table(SHARE_COLUMNS if options.key else ("folder", *SHARE_COLUMNS), found["shares" if options.key else "shared"])
    for invitation in found.get("invitations", ()):
        print(f"{invitation['invitee']} was asked ({invitation['permission']}).", file=sys.stderr)
    return 0


def invite_people(options: argparse.Namespace) -> int:
    """``folder share invite``: 1 when somebody could not be asked."""
    connection = open_own(options)
    body = {"emails": options.emails, "permission": options.permission}
    found = connection.call("POST", f"{find_folder(connection, options.key)}/invite", body).data
    if options.style != "table":
        print(format_data(found, options.style), end="")
    else:
        for invitation in found["invited"]:
            print(f"{printable(invitation['invitee'])} was asked.")
        for item in found["refused"]:
            print(printable(f"{item['email']}: {item['message']}"), file=sys.stderr)
    return 1 if found["refused"] else 0


def change_share(options: argparse.Namespace) -> int:
    """``folder share change``."""
    connection = open_own(options)
    answer = connection.call("PATCH", _find_share(connection, options), {"permission": options.permission}).data
    return _tell_change(answer)


def take_back(options: argparse.Namespace) -> int:
    """``folder share take-back``: says which sessions have the folder still."""
    connection = open_own(options)
    return _tell_change(connection.call("DELETE", _find_share(connection, options)).data)


def list_invitations(options: argparse.Namespace) -> int:
    """``folder share invitations``."""
    found = open_own(options).call("GET", f"folders/invitations{'/sent' if options.sent else ''}").data
    if options.style != "table":
        print(format_data(found, options.style), end="")
        return 0
    print_table(INVITATION_COLUMNS, found["invitations"])
    return 0


def answer_invitation(options: argparse.Namespace) -> int:
    """``folder share accept``, ``decline`` and ``cancel``."""
    connection = open_own(options)
    path = f"folders/invitations/{_find_invitation(connection, options.key, is_sent=options.answer == 'cancel')}"
    if options.answer == "cancel":
        connection.call("DELETE", path)
    else:
        connection.call("POST", f"{path}/{options.answer}", {})
    print({"accept": "You share the folder from now on.", "decline": "Declined.", "cancel": "Taken back."}[options.answer])
    return 0


def leave_folder(options: argparse.Namespace) -> int:
    """``folder leave``."""
    connection = open_own(options)
    connection.call("POST", f"{find_folder(connection, options.key)}/leave", {})
    print("You do not share the folder any more.")
    return 0


def give_folder(options: argparse.Namespace) -> int:
    """``folder give``."""
    connection = open_own(options)
    connection.call("POST", f"{find_folder(connection, options.key)}/change-ownership", {"user": options.user})
    print("The files are being copied; the folder is the new owner's when that is done.")
    return 0


def _find_share(connection: Connection, options: argparse.Namespace) -> str:
    """The address of what one person may do with a folder. Raises NotFound."""
    path = find_folder(connection, options.key)
    wanted = options.user.casefold()
    for share in connection.call("GET", f"{path}/shares").data["shares"]:
        if wanted in (share["user"].casefold(), share["email"].casefold(), share["user_id"]):
            return f"{path}/shares/{share['user_id']}"
    raise NotFound("%(user)s does not share the folder.", user=options.user)


def _find_invitation(connection: Connection, key: str, *, is_sent: bool) -> str:
    """The id of an invitation. Raises NotFound, and InvalidParameters for a name that several have."""
    found = connection.call("GET", f"folders/invitations{'/sent' if is_sent else ''}").data["invitations"]
    known = [item["id"] for item in found if key in (item["id"], item["folder"])]
    if not known:
        raise NotFound("There is no invitation %(name)s.", name=repr(key))
    if len(known) > 1:
        raise InvalidParameters("There are several invitations to %(name)s: give the id.", name=repr(key))
    return str(known[0])


def _tell_change(answer: dict[str, Any]) -> int:
    print("Done." if answer["applied"] else "Kept; the storage host does not answer and is told as soon as it does.")
    for session in answer["sessions"]:
        still = "has the folder until it ends" if session["keeps"] else "has the folder; only files that are open there can still be used"
        print(printable(f"The session {session['name'] or session['session_id']} of {session['user']} {still}."), file=sys.stderr)
    return 0
