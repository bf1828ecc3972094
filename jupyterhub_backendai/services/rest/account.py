"""``account``: one's own account for programs. What needs proof takes ``password`` and ``code`` in the body, as the pages do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import N_, InvalidParameters
from ...store import account
from ..account import keypairs, logins, otp, password, profile, ssh_key
from ..auth import authenticated
from ..base import ApiHandler, check_text

LONGEST = 16 * 1024


class AccountHandler(ApiHandler):
    """``GET``: who one is here; ``PATCH`` with display_name, email, language."""

    @authenticated
    async def get(self) -> None:
        found = await self.db.run(account.find_account, self.identity.name)
        key = await ssh_key.load_ssh_key(self)
        names = ("name", "display_name", "email", "language", "domain", "role")
        body = {**{name: getattr(found, name) for name in names}, **key, "projects": list(self.identity.projects)}
        self.answer({**body, "one_time_password": await otp.load_otp(self)})

    @authenticated
    async def patch(self) -> None:
        await profile.change_profile(self, read_texts(self))
        await self.get()


class PasswordHandler(ApiHandler):
    """``POST`` with old, new and again (again may be left out)."""

    @authenticated
    async def post(self) -> None:
        fields = read_texts(self)
        await password.change_password(self, {"again": fields.get("new", ""), **fields})
        self.answer({})


class OTPHandler(ApiHandler):
    """``GET``: the token; ``POST`` with password and code: a new key, to be confirmed."""

    @authenticated
    async def get(self) -> None:
        self.answer(await otp.load_otp(self))

    @authenticated
    async def post(self) -> None:
        step = await otp.begin_enrolment(self, read_texts(self))
        self.answer({name: step[name] for name in ("ticket", "secret", "uri")}, 201)


class OTPConfirmHandler(ApiHandler):
    """``POST`` with ticket and the first code of the new key: the recovery codes."""

    @authenticated
    async def post(self) -> None:
        self.answer({"recovery_codes": await otp.confirm_enrolment(self, read_texts(self))})


class RecoveryCodesHandler(ApiHandler):
    """``POST`` with password and code: new recovery codes."""

    @authenticated
    async def post(self) -> None:
        self.answer({"recovery_codes": await otp.renew_codes(self, read_texts(self))}, 201)


class KeypairsHandler(ApiHandler):
    """``GET``: one's keypairs; ``POST``: a new one, whose secret is in this answer only."""

    @authenticated
    async def get(self) -> None:
        self.answer({"keypairs": await keypairs.list_keypairs(self)})

    @authenticated
    async def post(self) -> None:
        access_key, secret_key = await keypairs.add_keypair(self, read_texts(self))
        self.answer({"access_key": access_key, "secret_key": secret_key}, 201)


class KeypairHandler(ApiHandler):
    """``PATCH`` with is_active."""

    @authenticated
    async def patch(self, access_key: str) -> None:
        body = self.read_body()
        is_active = body.pop("is_active", None)
        if not isinstance(is_active, bool):
            raise InvalidParameters(N_("The request could not be read."))
        await keypairs.switch_keypair(self, access_key, texts_of(body), is_active=is_active)
        self.answer({})


class RotateHandler(ApiHandler):
    """``POST``: a new secret, which is in this answer only."""

    @authenticated
    async def post(self, access_key: str) -> None:
        secret_key = await keypairs.rotate_keypair(self, access_key, read_texts(self))
        self.answer({"access_key": access_key, "secret_key": secret_key})


class SSHKeyHandler(ApiHandler):
    """``PUT`` with ssh_public_key; ``DELETE``."""

    @authenticated
    async def get(self) -> None:
        self.answer(await ssh_key.load_ssh_key(self))

    @authenticated
    async def put(self) -> None:
        await ssh_key.set_ssh_key(self, read_texts(self))
        self.answer(await ssh_key.load_ssh_key(self))

    @authenticated
    async def delete(self) -> None:
        await ssh_key.remove_ssh_key(self)
        self.answer({})


class LoginsHandler(ApiHandler):
    """``GET``: the browsers that one is logged in on; ``DELETE``: end all but the one that asks."""

    @authenticated
    async def get(self) -> None:
        self.answer({"logins": await logins.list_own_logins(self)})

    @authenticated
    async def delete(self) -> None:
        self.answer({"ended": await logins.end_own_other_logins(self)})


class LoginHandler(ApiHandler):
    """``DELETE``: end one."""

    @authenticated
    async def delete(self, login_id: str) -> None:
        await logins.end_own_login(self, login_id)
        self.answer({"ended": 1})


def read_texts(handler: ApiHandler) -> dict[str, str]:
    """A body of texts. Raises InvalidParameters."""
    return texts_of(handler.read_body())


def texts_of(body: Mapping[str, Any]) -> dict[str, str]:
    """The same of a body that was read."""
    return {name: check_text(text, LONGEST) for name, text in body.items()}


default_handlers = [
    (r"rest/v1/account", AccountHandler),
    (r"rest/v1/account/password", PasswordHandler),
    (r"rest/v1/account/otp", OTPHandler),
    (r"rest/v1/account/otp/confirm", OTPConfirmHandler),
    (r"rest/v1/account/otp/recovery-codes", RecoveryCodesHandler),
    (r"rest/v1/account/keypairs", KeypairsHandler),
    (r"rest/v1/account/keypairs/(\w+)", KeypairHandler),
    (r"rest/v1/account/keypairs/(\w+)/rotate", RotateHandler),
    (r"rest/v1/account/ssh-key", SSHKeyHandler),
    (r"rest/v1/account/logins", LoginsHandler),
    (r"rest/v1/account/logins/([0-9a-f]+)", LoginHandler),
]
