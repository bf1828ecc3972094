"""The hub's token of a server, by its id: after a restart the hub no longer knows the token itself and would leave it valid."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.user import User


def find_id(user: User, token: str) -> int | None:
    """The id of a token in the hub's database; None where it has none."""
    found = orm.APIToken.find(user.db, token) if token else None
    return found.id if found else None


def delete(user: User, token_id: int | None) -> None:
    """Make a token worthless, unless that id is somebody else's by now."""
    token = user.db.get(orm.APIToken, token_id) if token_id else None
    if token and token.user is user.orm_user:
        user.db.delete(token)
        user.db.commit()
