"""The async HTTP client of the service's private listener: used by the spawner, the authenticator and the command line.

The listener is a unix socket (``unix:///path``) or a loopback port without a proxy route; a shared secret goes with each call.
Errors come back as the exception that the service raised; a service that does not answer is :class:`ServiceUnavailable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from .config import BackendAI
from .core.identity import Identity
from .core.sessions import Admission, SessionSpec
from .core.waiting import Place
from .core.waits import History
from .errors import ServiceUnavailable, from_problem

_clients: dict[str, ServiceClient] = {}


def connect(settings: BackendAI) -> ServiceClient:
    """The client of the service in this process, made once per address."""
    if settings.private_url not in _clients:
        _clients[settings.private_url] = ServiceClient(settings.private_url, settings.read_secret("private"))
    return _clients[settings.private_url]


class ServiceClient:
    """One connection pool to the service. Make one per process, inside its event loop; :meth:`close` when it ends."""

    def __init__(self, url: str, secret: str, *, timeout_s: float = 30.0) -> None:
        self._url, self._secret = url, secret
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=5)
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._http:
            await self._http.close()
        self._http = None

    async def login(self, username: str, password: str, otp: str, *, source: str, next_url: str) -> dict[str, Any]:
        """The whole login decision in one call.

        Returns ``{"outcome": "ok", "identity": {...}}``, ``{"outcome": "step", "step": "enrol" …, "ticket": "..."}`` or
        ``{"outcome": "refused", "message": msgid, "params": {...}}`` (never saying which factor was wrong), with ``"throttled": true``
        when it was not even looked at.
        """
        body = {"username": username, "password": password, "otp": otp, "source": source, "next": next_url}
        return await self._call("POST", "/private/login", body)

    async def login_step(self, ticket: str, action: str, **fields: str) -> dict[str, Any]:
        """Go on with a login: ``action`` ``show`` (what the page needs) or ``confirm`` (with the fields of the step's form).

        ``show`` returns ``{"step", "username", ...}``; ``confirm`` answers like :meth:`login`, plus ``next``, or ``"over": true`` when
        the whole login has to begin anew. A ticket that is unknown, used or too old raises NotFound.
        """
        return await self._call("POST", "/private/login/step", {"ticket": ticket, "action": action, **fields})

    async def open_login(self, name: str, **fields: Any) -> list[str]:
        """Write down that somebody logged in on a browser: ``session``, ``before`` (its session id until now), ``source``, ``agent``,
        ``days``. Returns the ids (``core.logins.hash_session``) of the logins that this one ended.
        """
        return list((await self._call("POST", "/private/active-logins", {"name": name, **fields}))["ended"])

    async def look_at_login(self, name: str, session: str, source: str) -> bool:
        """Whether the login of a person with this session id lives."""
        return bool(
            (await self._call("POST", "/private/active-logins/look", {"name": name, "session": session, "source": source}))["lives"]
        )

    async def close_login(self, name: str, session: str) -> None:
        """Write down that somebody logged out."""
        await self._call("POST", "/private/active-logins/close", {"name": name, "session": session})

    async def account(self, act: str, **fields: str) -> dict[str, Any]:
        """What people without a login do: ``sign-up``, ``verify``, ``link``, ``forgotten`` or ``reset`` (``services/accounts.py``).

        Raises NotFound for a link that is not good (any more), InvalidParameters with what is wrong by field, TooManyRequests.
        """
        return await self._call("POST", f"/private/accounts/{act}", fields)

    async def refresh_identity(self, name: str) -> Identity | None:
        """Who this is now; None when the person is gone or no longer active."""
        answer = await self._call("GET", f"/private/identities/{quote(name, safe='')}")
        return Identity.from_json(answer["identity"]) if answer["identity"] else None

    async def admit(self, spec: SessionSpec) -> Admission:
        """Reserve a session's slots. Raises InvalidParameters, NotFound, Forbidden, QuotaExceeded with every violation."""
        return Admission.from_json(await self._call("POST", "/private/sessions", spec.to_json()))

    async def find_place(self, session_id: str, seen: str = "", wait_s: float = 0.0) -> tuple[Place, str]:
        """Where an admitted session is, and a word for that answer; given back as ``seen``, the next one may take ``wait_s`` to be other.

        Raises NotFound for a session that the service does not know.
        """
        path = f"/private/sessions/{quote(session_id, safe='')}/place?seen={quote(seen, safe='')}&wait={wait_s}"
        answer = await self._call("GET", path)
        return Place.from_json(answer), str(answer["seen"])

    async def report(self, session_id: str, status: str, **fields: Any) -> None:
        """Tell where a session is: ``status`` of SessionStatus; ``reason``, ``why``, ``job_id``, ``node``.

        Reports of over sessions are ignored.
        """
        await self._call("POST", f"/private/sessions/{quote(session_id, safe='')}/report", {"status": status, **fields})

    async def release(self, session_id: str, reason: str = "", why: Mapping[str, Any] | None = None) -> None:
        """Free a session's slots, exactly once however often it is called. ``why`` is the reason as an Explanation's JSON."""
        await self._call("POST", f"/private/sessions/{quote(session_id, safe='')}/release", {"reason": reason, "why": why})

    async def find_limit(self, session_id: str) -> int:
        """A session's time limit as it is now, seconds. Raises NotFound."""
        return int((await self._call("GET", f"/private/sessions/{quote(session_id, safe='')}/limit"))["time_limit_s"])

    async def find_history(self, queue: str, size: str, since: float) -> History:
        """What is known of the waits of sessions of this size that began to wait in this queue at about that time of day."""
        path = f"/private/waits?queue={quote(queue, safe='')}&size={quote(size, safe='')}&since={since:.0f}"
        return History.from_json(await self._call("GET", path))

    async def list_ends(self, user: str, language: str, base_url: str) -> dict[str, Any]:
        """Somebody's live sessions and when each ends, in words of that language; links begin with ``base_url``."""
        query = f"user={quote(user, safe='')}&language={quote(language, safe='')}&base_url={quote(base_url, safe='')}"
        return await self._call("GET", f"/private/ends?{query}")

    async def save_wishes(self, session_id: str, user: str, patience_s: int | None, *, wants_mail: bool) -> dict[str, Any]:
        """How long a waiting session shall wait (None: as long as it takes), and whether its owner wants a mail.

        Returns ``give_up_at``, ``gives_up_by_wish`` and ``wants_mail``. Raises NotFound for one that waits no more.
        """
        body = {"user": user, "patience_s": patience_s, "wants_mail": wants_mail}
        return await self._call("POST", f"/private/sessions/{quote(session_id, safe='')}/wishes", body)

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with self._session().request(
                method, self._base() + path, json=body, headers={"Authorization": f"Bearer {self._secret}"}
            ) as response:
                answer: dict[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise ServiceUnavailable from exc
        if not isinstance(answer, dict):
            raise ServiceUnavailable
        if response.status >= 400:
            raise from_problem(answer)
        return answer

    def _base(self) -> str:
        return "http://service" if self._url.startswith("unix://") else self._url.rstrip("/")

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.UnixConnector(self._url.removeprefix("unix://")) if self._url.startswith("unix://") else None
            self._http = aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=False)
        return self._http
