"""The launch form: its fields as a link or a browser sent them, and a refusal as the page shows it. Nothing here asks anybody."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from .. import i18n
from ..core.fields import MAX_SCRIPT_BYTES, format_duration, parse_time
from ..core.slots import format_bytes, parse_bytes
from ..errors import N_, BackendAIError, Violation
from .launch_mounts import MAX_IN_LINK, MOUNTS, compose

COMMAND = "command"
FIELDS = (
    *("project", "name", "queue", "environment", "session_type", "interface", COMMAND),
    *("cpu", "mem", "gpu", "gpu_type", "shares", "time", "starts_at", "depends_on"),
    *("account", "qos", "reservation", "features", "cluster"),
    *("patience", "mail", MOUNTS),
)
DEFAULTS = {"session_type": "interactive", "interface": "lab", "cpu": "1", "mem": "1 GiB", "gpu": "0"}
MAX_VALUE = 256
# Commands that are longer do not go into an address: half of them must never be run.
MAX_COMMAND, MAX_COMMAND_IN_LINK = 2 * MAX_SCRIPT_BYTES, 4000
_PLAIN_NUMBER = re.compile(r"[1-9][0-9]{1,17}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SERVER = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """What stands in the form: the text of every field, and where the session shall run and lead to.

    ``new_id`` is the id that a batch session gets, so that a form that is sent twice starts one.
    """

    values: Mapping[str, str]
    server: str | None = None
    next_url: str = ""
    new_id: str = ""

    def to_query(self) -> str:
        """The form as the query of a link to it."""
        pairs = [(f"opt-{name}", value[:MAX_VALUE]) for name, value in self.values.items() if value and name not in {COMMAND, MOUNTS}]
        mounts = self.values.get(MOUNTS, "")
        if mounts and len(mounts) <= MAX_IN_LINK:
            pairs.append((f"opt-{MOUNTS}", mounts))
        command = self.values.get(COMMAND, "")
        if command and len(command) <= MAX_COMMAND_IN_LINK:
            pairs.append((f"opt-{COMMAND}", command))
        return urlencode(
            [*pairs, *([("server", self.server)] if self.server else []), *([("next", self.next_url)] if self.next_url else [])]
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a POST started nothing: by field, and all together with links to the fields."""

    by_field: Mapping[str, str] = field(default_factory=dict)
    summary: Sequence[tuple[str, str]] = ()
    status: int = 400


def read_form(arguments: Mapping[str, Sequence[bytes]]) -> Form:
    """The fields of a form or of a link, ``opt-`` or not. What is no text is shown as it can be, and refused later."""
    texts = {name: values[-1].decode("utf-8", "replace") for name, values in arguments.items() if values}
    values = {name: texts.get(f"opt-{name}", texts.get(name, ""))[: MAX_COMMAND if name == COMMAND else 4 * MAX_VALUE] for name in FIELDS}
    values[MOUNTS] = compose(arguments)
    new_id = texts.get("id", "")
    server, next_url = texts.get("server"), texts.get("next", "")
    is_local = next_url.startswith("/") and not next_url.startswith(("//", "/\\")) and len(next_url) < 1000
    server = server if server and _SERVER.fullmatch(server) and len(server) <= 255 else None
    return Form(values, server, next_url if is_local else "", new_id if _ID.fullmatch(new_id) else "")


def soften(form: Form) -> Form:
    """Plain bytes and seconds, as a session's options have them, in the words of people."""
    values = dict(form.values)
    for name, write, read in (
        ("mem", format_bytes, parse_bytes),
        ("time", format_duration, parse_time),
        ("patience", format_duration, parse_time),
    ):
        if _PLAIN_NUMBER.fullmatch(values[name]):
            text = write(int(values[name]))
            with contextlib.suppress(ValueError):  # what no field would take stays as it came, and is refused later
                values[name] = text if read(text) == int(values[name]) else values[name]
    return replace(form, values=values)


def collect(error: BackendAIError, language: str) -> Refusal:
    """An error as the page shows it."""
    if not error.violations:
        return Refusal(summary=[("", i18n.explain(language, error))], status=error.status)
    texts = [(violation.field, i18n.explain(language, violation)) for violation in error.violations]
    by_field: dict[str, str] = {}
    for name, text in texts:
        by_field[name] = f"{by_field[name]} {text}" if name in by_field else text
    return Refusal(by_field, texts, error.status)


def find_unknown_queue(form: Form, names: Sequence[str]) -> Violation | None:
    """A link to a queue that is not there (any more) is said, not silently changed."""
    asked = form.values.get("queue", "")
    if asked and asked not in names:
        return Violation(N_("There is no queue %(queue)s for you here. Choose another one."), {"queue": asked}, "queue")
    return None
