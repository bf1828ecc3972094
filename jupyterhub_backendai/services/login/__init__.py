"""Logging in: the whole decision, in one place. The hub's login pages ask it over the private listener."""

from .attempts import HAS_TOKEN, MUST_CHANGE, NOT_ALLOWED, REFUSED, TICKET_OVER, WAIT, WRONG_CODE, Attempt
from .desk import Desk
from .handlers import LoginHandler, LoginStepHandler
from .identities import IdentityHandler, get_identity

__all__ = [
    "HAS_TOKEN",
    "MUST_CHANGE",
    "NOT_ALLOWED",
    "REFUSED",
    "TICKET_OVER",
    "WAIT",
    "WRONG_CODE",
    "Attempt",
    "Desk",
    "get_identity",
    "private_handlers",
]

private_handlers = [
    (r"/private/login", LoginHandler),
    (r"/private/login/step", LoginStepHandler),
    (r"/private/identities/([^/]+)", IdentityHandler),
]
