"""The fields of a request as people and programs write them: a form, a link and REST give texts, numbers or lists of one of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ..errors import N_, Violation
from .slots import SlotKind, format_bytes, parse_amount, parse_bytes

MIN_MEM_BYTES = 64 * 1024**2
MIN_TIME_S, MAX_TIME_S = 60, 366 * 24 * 3600
MAX_SCRIPT_BYTES = 16 * 1024
_MAX_COUNT = 1_000_000
_MAX_DEPENDENCIES = 20
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_PROJECT = re.compile(r"\w[\w. -]{0,63}")
_WHOLE = re.compile(r"[0-9]{1,7}", re.ASCII)
_CLOCK = re.compile(r"(?:(?:([0-9]{1,3})-)?([0-9]{1,4}):)([0-5]?[0-9])(?::([0-5]?[0-9]))?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*([smhd]?)", re.ASCII)


def parse_time(text: str) -> int:
    """Seconds from ``90m``, ``2h``, ``1:30`` (hours:minutes), ``1-00:00:00`` or plain seconds. Raises ValueError."""
    text = text.strip()
    if clock := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if match := _DURATION.fullmatch(text):
        return int(float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]])
    raise ValueError("not a time")


def format_duration(seconds: int) -> str:
    """``1-02:30`` style: days, hours and minutes, the same in every language."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    return f"{f'{days}-' if days else ''}{hours}:{rest // 60:02}"


class Fields:
    """Reads one field after the other and keeps every complaint."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.violations: list[Violation] = []

    def text(self, name: str) -> str:
        value = self.options.get(name)
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        if value is None or value == "":
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.refuse(name, N_("%(field)s must be one plain value."), field=name)
            return ""
        text = str(value)
        if len(text) > 256 or any(unicodedata.category(char)[0] == "C" for char in text):
            self.refuse(name, N_("%(field)s is too long or has characters that are not allowed."), field=name)
            return ""
        return text.strip()

    def refuse(self, name: str, message: str, **params: Any) -> None:
        if not any(violation.field == name for violation in self.violations):
            self.violations.append(Violation(message, params, field=name))

    def word(self, name: str, message: str, default: str | None = None) -> str:
        text = self.text(name)
        if not text and default is not None:
            return default
        if not _WORD.fullmatch(text):
            self.refuse(name, message)
            return ""
        return text

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        text = self.text(name) or default
        if text not in choices:
            self.refuse(name, N_("Choose one of: %(choices)s."), choices=", ".join(choices))
        return text

    def project(self, name: str) -> str:
        text = self.text(name)
        if text and not _PROJECT.fullmatch(text):
            self.refuse(name, N_("That is no name of a project."))
        return text

    def title(self, name: str) -> str:
        """A session's name as its owner reads it; any script, one line, at most 64 characters."""
        text = unicodedata.normalize("NFC", self.text(name))
        if len(text) > 64:
            self.refuse(name, N_("A session name has at most 64 characters."))
        return text

    def count(self, name: str, default: int, lowest: int) -> int:
        text = self.text(name) or str(default)
        number = int(text) if _WHOLE.fullmatch(text) else -1
        if not lowest <= number <= _MAX_COUNT:
            self.refuse(name, N_("Give a whole number, at least %(lowest)s."), lowest=lowest)
            return lowest
        return number

    def fraction(self, name: str) -> Decimal:
        """An amount of a slot that is shared, to three digits; 0 when it is not given."""
        try:
            return parse_amount(self.text(name) or "0", SlotKind.FRACTION)
        except ValueError:
            self.refuse(name, N_("Give a number such as 0.5; it has at most three digits after the point."))
            return Decimal(0)

    def mem(self, name: str) -> int:
        text = self.text(name) or "1g"
        try:
            number = parse_bytes(text)
        except ValueError:
            number = -1
        if not MIN_MEM_BYTES <= number < 1 << 60:
            self.refuse(
                name, N_("Give memory as a number with a unit, such as 4g; at least %(lowest)s."), lowest=format_bytes(MIN_MEM_BYTES)
            )
            return MIN_MEM_BYTES
        return number

    def time(self, name: str) -> int:
        """Seconds, or 0 when the queue's own default shall hold."""
        text = self.text(name)
        if not text:
            return 0
        try:
            seconds = parse_time(text)
        except ValueError:
            seconds = -1
        if not MIN_TIME_S <= seconds <= MAX_TIME_S:
            self.refuse(name, N_("Give the time as hours:minutes or with a unit, such as 2h or 30m; at least one minute."))
            return 0
        return seconds

    def moment(self, name: str) -> str:
        """A start time as :class:`LaunchRequest` has it. Without a zone nobody could say which hour was meant."""
        text = self.text(name)
        try:
            if text.startswith("+"):
                delay_s = parse_time(text[1:])
                if delay_s > MAX_TIME_S:
                    raise ValueError("too far away")
                return f"+{delay_s}"
            moment = datetime.fromisoformat(text) if text else None
            if moment and moment.tzinfo is None:
                raise ValueError("no time zone")
            return moment.astimezone(UTC).isoformat() if moment else ""
        except (ValueError, OverflowError):
            self.refuse(name, N_("Give the start as +2h or +30m, or as a date and time with its zone, such as 2026-11-21T18:00+09:00."))
            return ""

    def script(self, name: str) -> str:
        """Commands for a shell: any lines of text, with the line ends of Unix. Required."""
        value = self.options.get(name)
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        text = value.replace("\r\n", "\n").replace("\r", "\n").strip("\n") if isinstance(value, str) else ""
        if not text.strip():
            self.refuse(name, N_("Type the commands that the session runs."))
        elif len(text.encode("utf-8", "replace")) > MAX_SCRIPT_BYTES:
            self.refuse(name, N_("The commands have at most %(most)s bytes. Put more into a file, and run that."), most=MAX_SCRIPT_BYTES)
        elif any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in text):
            self.refuse(name, N_("The commands have characters that are not allowed."))
        else:
            return text
        return ""

    def names(self, name: str) -> tuple[str, ...]:
        """Sessions by id or name: a list, or one text with commas."""
        value = self.options.get(name)
        if isinstance(value, list | tuple) and len(value) != 1 and all(isinstance(item, str) for item in value):
            text = ",".join(value)
        else:
            text = self.text(name)
        found = tuple(dict.fromkeys(unicodedata.normalize("NFC", item.strip()) for item in text.split(",") if item.strip()))
        if len(found) > _MAX_DEPENDENCIES or any(len(item) > 64 or not item.isprintable() for item in found):
            self.refuse(name, N_("Name at most %(most)s sessions, by id or name."), most=_MAX_DEPENDENCIES)
            return ()
        return found
