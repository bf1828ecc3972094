"""What an entry says of a person: text out of raw values, the Unix account, and whether the person may still work."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ...core.identity import PosixAccount
from ..base import LOWEST_UID

Attributes = Mapping[str, tuple[str, ...]]
ATTRIBUTES = (
    "cn",
    "displayName",
    "mail",
    "uid",
    "uidNumber",
    "gidNumber",
    "homeDirectory",
    "unixHomeDirectory",
    # what closes, locks or ends an account
    "loginShell",
    "shadowExpire",
    "pwdReset",
    "pwdAccountLockedTime",
    "pwdEndTime",
    "nsAccountLock",
    "krbPrincipalExpiration",
    "krbPasswordExpiration",
    "loginDisabled",
    "userAccountControl",
    "accountExpires",
    "pwdLastSet",
    # Active Directory's primary group
    "objectSid",
    "primaryGroupID",
)
# Their bytes may look like text by chance.
_BINARY = frozenset(
    ("objectguid", "objectsid", "sidhistory", "jpegphoto", "thumbnailphoto", "photo", "audio", "usercertificate", "usersmimecertificate")
)
_LOCKED_BY_HAND = "000001010000Z"
_DISABLED = 0x2
_NEVER = {0, 0x7FFFFFFFFFFFFFFF}
_EPOCH, _WINDOWS_EPOCH = datetime(1970, 1, 1, tzinfo=UTC), datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """A person's entry. ``name`` is spelt as the entry spells it."""

    dn: str
    name: str
    attributes: Attributes


def decode(raw: Mapping[str, list[bytes]], wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Attribute values as text, under the names that were asked for; values that are not text in base64."""
    canonical = {name.lower(): name for name in wanted}
    attributes = {}
    for name, values in raw.items():
        is_binary = name.lower().partition(";")[0] in _BINARY or name.lower().endswith(";binary")
        attributes[canonical.get(name.lower(), name)] = tuple(_text(value, is_binary=is_binary) for value in values)
    return attributes


def _text(value: bytes, *, is_binary: bool) -> str:
    if not is_binary:
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return base64.b64encode(value).decode()


def first(attributes: Attributes, name: str) -> str:
    """The first value of an attribute, "" without any."""
    return next(iter(attributes.get(name, ())), "")


def posix_account(entry: Entry) -> PosixAccount | None:
    """The Unix account that the entry describes; never root's or a daemon's."""
    attributes = entry.attributes
    uid, gid = _number(first(attributes, "uidNumber")), _number(first(attributes, "gidNumber"))
    if uid is None or gid is None or uid < LOWEST_UID:
        return None
    names = attributes.get("uid", ())
    name = entry.name if entry.name in names or not names else names[0]
    homes = (first(attributes, "unixHomeDirectory"), first(attributes, "homeDirectory"))
    # Active Directory's homeDirectory is a share of Windows
    return PosixAccount(name, uid, gid, next((home for home in homes if home.startswith("/")), "/"))


def standing_of(attributes: Attributes, at: datetime) -> str:
    """Whether somebody may work: "", ``locked``, ``closed`` or ``expired``.

    A lock by too many wrong passwords does not count: it would let a stranger end somebody's work. Only one set by hand does.
    """
    if first(attributes, "pwdAccountLockedTime") == _LOCKED_BY_HAND:
        return "locked"
    if _is_closed(attributes):
        return "closed"
    ends = (_shadow_end(attributes), _windows_end(attributes), _time(attributes, "krbPrincipalExpiration"), _time(attributes, "pwdEndTime"))
    return "expired" if any(end is not None and end <= at for end in ends) else ""


def must_change(attributes: Attributes, at: datetime) -> bool:
    """Whether the password has to be changed, as far as the entry says it: some servers let the old one in all the same."""
    expiration = _time(attributes, "krbPasswordExpiration")
    return (
        first(attributes, "pwdReset").upper() == "TRUE"
        or first(attributes, "pwdLastSet") == "0"
        or (expiration is not None and expiration <= at)
    )


def primary_sid(attributes: Attributes) -> bytes:
    """The security identifier of the primary group in Active Directory: the domain's, with the group's number at the end."""
    own, group = first(attributes, "objectSid"), _number(first(attributes, "primaryGroupID"))
    if not own or group is None or not 0 <= group < 1 << 32:
        return b""
    try:
        return base64.b64decode(own, validate=True)[:-4] + group.to_bytes(4, "little")
    except ValueError:
        return b""


def _is_closed(attributes: Attributes) -> bool:
    if first(attributes, "loginShell").rsplit("/", 1)[-1] in {"nologin", "false"}:
        return True
    if any(value.lower() == "true" for name in ("nsAccountLock", "loginDisabled") for value in attributes.get(name, ())):
        return True
    return bool((_number(first(attributes, "userAccountControl")) or 0) & _DISABLED)


def _shadow_end(attributes: Attributes) -> datetime | None:
    days = _number(first(attributes, "shadowExpire"))
    return _EPOCH + timedelta(days=days) if days is not None and 0 < days < 1_000_000 else None


def _windows_end(attributes: Attributes) -> datetime | None:
    ticks = _number(first(attributes, "accountExpires"))
    if ticks is None or ticks in _NEVER or not 0 < ticks < 1 << 61:
        return None
    return _WINDOWS_EPOCH + timedelta(microseconds=ticks // 10)


def _time(attributes: Attributes, name: str) -> datetime | None:
    """A GeneralizedTime in UTC; another spelling says nothing."""
    text = first(attributes, name).split(".")[0].removesuffix("Z")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC) if text.isdecimal() else None
    except ValueError:
        return None


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
