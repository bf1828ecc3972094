"""Logging in: the whole decision, in one place. The hub's login pages ask it over the private listener."""

from .attempts import HAS_TOKEN, NOT_ALLOWED, REFUSED, TICKET_OVER, WAIT, WRONG_CODE, Attempt
from .desk import Desk
from .handlers import LoginHandler, LoginStepHandler
from .identities import IdentityDesk, IdentityHandler

__all__ = [
    "HAS_TOKEN",
    "NOT_ALLOWED",
    "REFUSED",
    "TICKET_OVER",
    "WAIT",
    "WRONG_CODE",
    "Attempt",
    "Desk",
    "IdentityDesk",
    "private_handlers",
]

private_handlers = [
    (r"/private/login", LoginHandler),
    (r"/private/login/step", LoginStepHandler),
    (r"/private/identities/([^/]+)", IdentityHandler),
]
