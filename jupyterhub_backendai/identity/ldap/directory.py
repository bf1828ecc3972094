"""Passwords checked by an LDAP directory.

A service account finds the person, then a bind as the person on another connection says whether the password is right; sites without
such an account bind by a template of the name instead. Everything blocks, so it runs in threads of its own; every step has a time-out;
a server that failed is left alone for a while, so that a silent one costs its time-out once and not at each login.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from ldap3.core.exceptions import LDAPException, LDAPPasswordIsMandatoryError
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

from ...config import BackendAI
from ...core.identity import LocalAccount, PasswordChange, PasswordCheck, Person, Standing
from ...core.names import fold_name, is_name
from ...errors import DirectoryUnavailable, InvalidParameters
from ..base import system_account
from . import entries, ppolicy
from .connections import Connections, Link, Server
from .entries import Entry, first
from .groups import MAX_GROUPS, check_nesting, list_groups
from .ppolicy import EXPIRED, MUST_CHANGE, Policy

log = logging.getLogger(__name__)

THREADS = 8
MAX_PASSWORD = 1024
CHANGES = ("exop", "ad", "off")
_WITH_PERSON = frozenset({MUST_CHANGE, "grace"})
_MUST_CHANGE_FIRST = frozenset({MUST_CHANGE, EXPIRED})
Answer = TypeVar("Answer")
_NO_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class _Bound:
    """How a person's bind ended: ``reason`` is "" or why it is no login. ``is_right``: the password was, whatever the reason."""

    dn: str
    reason: str
    policy: Policy = _NO_POLICY
    entry: Entry | None = None
    is_bound: bool = False

    @property
    def is_right(self) -> bool:
        return self.is_bound or self.reason in _MUST_CHANGE_FIRST


class LdapDirectory:
    """A directory of one or more servers with the same content, asked in order."""

    def __init__(self, settings: BackendAI) -> None:
        if settings.ldap_password_change not in CHANGES:
            raise InvalidParameters(
                "c.BackendAI.ldap_password_change: %(value)s is none of %(choices)s.",
                value=settings.ldap_password_change,
                choices=", ".join(CHANGES),
            )
        check_nesting(settings)
        self._settings = settings
        self._links = Connections(settings)
        self._can_change = settings.ldap_password_change != CHANGES[2]
        self._is_windows = settings.ldap_password_change == CHANGES[1]
        self._pattern = _compile(settings.ldap_name_pattern)
        self._has_service = bool(settings.ldap_bind_dn or settings.ldap_bind_external or not settings.ldap_bind_templates)
        names = [settings.ldap_name_attribute, settings.ldap_bind_attribute, settings.ldap_member_of_attribute, *settings.ldap_attributes]
        mapped = settings.make_mapping().list_attributes()
        self._attributes = list(dict.fromkeys(name for name in (*names, *entries.ATTRIBUTES, *mapped) if name))
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ldap")

    async def check(self, name: str, password: str, account: LocalAccount | None = None) -> PasswordCheck:  # noqa: ARG002 - the protocol
        """Whether the password is this person's; see :class:`identity.base.Directory`."""
        reason = _password_fault(password)
        if reason:
            return PasswordCheck(None, reason)
        return await self._in_thread(lambda server: self._check(server, name, password.encode()))

    async def change_password(
        self,
        name: str,
        old: str,
        new: str,
        account: LocalAccount | None = None,  # noqa: ARG002 - the protocol
    ) -> PasswordChange:
        """Change somebody's own password; see :class:`identity.base.Directory`."""
        if not self._can_change:
            return PasswordChange(False, "not-allowed")
        fault = _password_fault(old) or ("same" if new == old else "")
        if fault:
            return PasswordChange(False, fault)
        fault = _password_fault(new)
        if fault:
            return PasswordChange(False, "empty" if fault == "empty-password" else "too-long" if len(new) > MAX_PASSWORD else "not-quality")
        return await self._in_thread(lambda server: self._change(server, name, old, new))

    async def find(self, name: str, account: LocalAccount | None = None) -> Standing:  # noqa: ARG002 - the protocol
        """Who this is now; see :class:`identity.base.Directory`. Without a service account nobody can say."""
        if not self._has_service:
            raise DirectoryUnavailable
        return await self._in_thread(lambda server: self._find(server, name))

    async def close(self) -> None:
        """End the threads and the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._links.close()

    async def _in_thread(self, ask: Callable[[Server], Answer]) -> Answer:
        limit = len(self._links.servers) * (self._links.connect_s + 3 * self._links.receive_s)
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._ask, ask)
        try:
            return await asyncio.wait_for(running, limit)
        except TimeoutError as exc:
            # Either a server that sends a byte now and then, or every thread waits for one that is silent.
            raise DirectoryUnavailable from exc

    # -- in a thread

    def _ask(self, ask: Callable[[Server], Answer]) -> Answer:
        """The answer of the first server that has one."""
        for server in self._links.usable():
            started = time.monotonic()
            try:
                answer = self._ask_twice(server, ask)
            except Exception as exc:
                # Everything, because ldap3 raises IndexError and others on an answer that is not LDAP.
                self._links.note_failure(server, time.monotonic() - started)
                is_known = isinstance(exc, LDAPException | OSError | InvalidParameters)
                log.warning("The directory %s cannot be used: %s: %s", server, type(exc).__name__, exc, exc_info=None if is_known else exc)
            else:
                self._links.note_success(server)
                return answer
        raise DirectoryUnavailable

    def _ask_twice(self, server: Server, ask: Callable[[Server], Answer]) -> Answer:
        """Once more when a kept connection broke at once: the server was started again between two logins."""
        started = time.monotonic()
        is_fresh = not self._links.has_kept(server)
        try:
            return ask(server)
        except (LDAPException, OSError):
            if is_fresh or time.monotonic() - started > 1:
                raise
        self._links.forget(server)
        return ask(server)

    def _check(self, server: Server, name: str, password: bytes) -> PasswordCheck:
        with self._links.person(server) as own:
            bound = self._bind(server, own, name, password)
            if not bound.is_right:
                return PasswordCheck(None, bound.reason)
            if not bound.is_bound and not self._can_replace:
                return PasswordCheck(None, bound.reason)
            with self._reading(server, own) as link:
                return self._judge(link, name, bound)

    def _judge(self, link: Link, name: str, bound: _Bound) -> PasswordCheck:
        """What a right password is worth."""
        policy = bound.policy
        entry, reason = (bound.entry, "") if bound.entry else self._read_bound(link, name, bound)
        if entry is None:
            if bound.reason in _MUST_CHANGE_FIRST and not self._has_service:
                # Who has to change the password may not even read the own entry: all that is known is the name.
                return PasswordCheck(Person(name), bound.reason)
            return PasswordCheck(None, reason)
        at = datetime.now(UTC)
        state = entries.standing_of(entry.attributes, at)
        if state:
            return PasswordCheck(None, "account-expired" if state == "expired" else state)
        reason = bound.reason or (MUST_CHANGE if entries.must_change(entry.attributes, at) else "")
        return PasswordCheck(self._person(link, entry), reason, policy.expires_in_s, policy.grace_left)

    def _change(self, server: Server, name: str, old: str, new: str) -> PasswordChange:
        with self._links.person(server) as own:
            bound = self._bind(server, own, name, old.encode())
            if not bound.is_right:
                return PasswordChange(False, bound.reason)
            if not bound.is_bound and not (self._can_replace and self._has_service):
                return PasswordChange(False, bound.reason)
            if self._is_windows:
                with self._reading(server, own) as link:
                    return _changed(link.replace_windows_password(self._dn_of(link, name, bound), old, new))
            if bound.is_bound:
                return _change_own(own, bound.dn, old, new)
            with self._links.password_account(server) as link:
                answer = _changed(link.modify_password(bound.dn, None, new.encode()))
                if answer.ok:
                    link.clear_reset(bound.dn)  # the person chose it, and need not choose once more
                return answer

    def _find(self, server: Server, name: str) -> Standing:
        with self._links.service(server) as link:
            entry, reason = self._look_up(link, name)
            if entry is None:
                return Standing(None, "removed", detail=reason)
            return Standing(self._person(link, entry), entries.standing_of(entry.attributes, datetime.now(UTC)), entry.dn)

    # -- a person's bind

    @property
    def _can_replace(self) -> bool:
        """Whether a password that lets nobody in any more can still be changed."""
        return self._is_windows or (self._can_change and bool(self._settings.ldap_password_dn))

    def _bind(self, server: Server, own: Link, name: str, password: bytes) -> _Bound:
        """Bind as a person. An unknown one's bind is made all the same, as somebody who cannot exist."""
        templates = self._settings.ldap_bind_templates
        if templates and not self._settings.ldap_bind_attribute:
            return self._bind_by_templates(own, name if self._is_name(name) else secrets.token_hex(8), password)
        with self._links.service(server) as link:
            entry, reason = self._look_up(link, name)
        attribute = self._settings.ldap_bind_attribute
        as_whom = (first(entry.attributes, attribute) if attribute else entry.dn) if entry else ""
        if not entry or not as_whom:
            nobody = f"{self._settings.ldap_name_attribute}={secrets.token_hex(8)},{self._settings.ldap_user_base}"
            self._bind_as(own, nobody, password)
            return _Bound("", reason or "no-bind-name")
        bound = self._bind_by_templates(own, as_whom, password) if templates else self._bind_as(own, as_whom, password)
        return _Bound(entry.dn, bound.reason, bound.policy, entry, bound.is_bound)

    def _bind_by_templates(self, own: Link, name: str, password: bytes) -> _Bound:
        bound = _Bound("", "unknown")
        for template in self._settings.ldap_bind_templates:
            dn = template.replace("{name}", escape_rdn(name) if "=" in template else name)
            bound = self._bind_as(own, dn, password)
            if bound.is_right or bound.reason != "wrong-password":
                break
        return bound

    def _bind_as(self, own: Link, dn: str, password: bytes) -> _Bound:
        try:
            result = own.bind(dn, password)
        except LDAPPasswordIsMandatoryError:
            return _Bound(dn, "empty")
        is_bound = result["result"] == ppolicy.SUCCESS
        policy = ppolicy.read_policy(result)
        reason = ppolicy.bind_reason(result, policy)
        if result["result"] in ppolicy.TROUBLE:
            raise LDAPException(f"bind: {result['description']} {result['message']}")
        return _Bound(dn, reason, policy, is_bound=is_bound and (not reason or reason in _WITH_PERSON))

    # -- reading

    def _is_name(self, name: str) -> bool:
        return is_name(name) and self._pattern.fullmatch(name) is not None

    @contextlib.contextmanager
    def _reading(self, server: Server, own: Link) -> Iterator[Link]:
        """Who reads entries and groups: the service account, or the person where the site has none."""
        if not self._has_service:
            yield own
            return
        with self._links.service(server) as link:
            yield link

    def _read_bound(self, link: Link, name: str, bound: _Bound) -> tuple[Entry | None, str]:
        """The entry of somebody who was bound by a template."""
        try:
            return self._look_up(link, name, bound.dn if "=" in bound.dn else "")
        except LDAPException:
            if bound.reason in _MUST_CHANGE_FIRST and not self._has_service:
                return None, bound.reason
            raise

    def _dn_of(self, link: Link, name: str, bound: _Bound) -> str:
        """The entry of somebody who may have been bound by another name than a DN."""
        if "=" in bound.dn:
            return bound.dn
        entry, reason = self._look_up(link, name)
        if entry is None:
            raise LDAPException(f"{name} was bound and is {reason}")
        return entry.dn

    def _look_up(self, link: Link, name: str, dn: str = "") -> tuple[Entry | None, str]:
        """The one entry of a name, or why there is none. With a ``dn``, that entry alone."""
        settings = self._settings
        asked = name if self._is_name(name) else secrets.token_hex(8)
        wanted = settings.ldap_user_filter.replace("{name}", escape_filter_chars(asked))
        base = dn or settings.ldap_user_base
        found = link.search(base, wanted, self._attributes, limit=2, time_limit_s=self._links.receive_s, only_base=bool(dn))
        if len(found) != 1:
            return None, "ambiguous" if found else "unknown"
        attributes = entries.decode(found[0][1], self._attributes)
        # Some directories answer to spellings that are not the name (a mail address, an alias): those would be a second account.
        spelling = next((value for value in attributes.get(settings.ldap_name_attribute, ()) if fold_name(value) == name), "")
        if not spelling:
            return None, "other-spelling"
        return Entry(found[0][0], spelling, attributes), ""

    def _person(self, link: Link, entry: Entry) -> Person:
        settings = self._settings
        short_name = settings.ldap_group_name_attribute

        def find(group_filter: str) -> list[tuple[str, tuple[str, ...]]]:
            found = link.search(settings.ldap_group_base, group_filter, [short_name], limit=MAX_GROUPS, time_limit_s=self._links.receive_s)
            return [(dn, entries.decode(raw, [short_name]).get(short_name, ())) for dn, raw in found]

        hub_name = fold_name(entry.name)
        attributes = entry.attributes
        return Person(
            name=hub_name,
            display_name=first(attributes, "displayName") or first(attributes, "cn") or entry.name,
            email=first(attributes, "mail"),
            groups=list_groups(settings, entry, find),
            posix=entries.posix_account(entry) or (system_account(hub_name) if settings.local_posix else None),
            attributes=attributes,
        )


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern or ".*")
    except re.error as exc:
        raise InvalidParameters("c.BackendAI.ldap_name_pattern: %(reason)s", reason=str(exc)) from exc


def _change_own(own: Link, dn: str, old: str, new: str) -> PasswordChange:
    # Without the old one, which may have had a one-time password at its end; some servers insist on it.
    whose = dn if "=" in dn else ""
    answer = _changed(own.modify_password(whose, None, new.encode()))
    if answer.reason == ppolicy.MUST_GIVE_OLD:
        answer = _changed(own.modify_password(whose, old.encode(), new.encode()))
    return answer


def _changed(result: dict[str, object]) -> PasswordChange:
    reason = ppolicy.change_reason(result, ppolicy.read_policy(result))
    return PasswordChange(not reason, reason, str(result.get("message") or "") if reason else "")


def _password_fault(password: str) -> str:
    """Why no server need be asked about a password, "" when one has to."""
    if not password:
        return "empty-password"
    try:
        return "wrong-password" if len(password.encode()) > MAX_PASSWORD else ""
    except UnicodeEncodeError:
        return "wrong-password"
