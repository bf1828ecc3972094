"""What is wrong in a configuration, all of it at once."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from ..backends.slurm_ways import REST, make_way
from ..config import BackendAI
from ..core.enrolment import OTP_FORMS, parse_deadlines
from ..core.policies import COUNTED_ENGINES
from ..core.prices import is_priced
from ..core.queues import Queue
from ..core.slots import CPU, ResourceSlots
from ..core.throttle import find_source
from ..errors import BackendAIError, InvalidParameters
from ..identity import make_factor
from ..identity.mail import make_mailer

SECRETS = ("private", "crypt", "cookie", "proxy", "oauth_state")
ENGINES = ("local", "slurm", "docker")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def list_problems(settings: BackendAI) -> list[str]:
    """One sentence per problem; empty when there is none."""
    checks = (
        _check_names,
        _check_secrets,
        _check_queues,
        _check_storage_hosts,
        _check_bills,
        _check_environments,
        _check_directory,
        _check_mail,
        _check_codes,
        _check_login,
        _check_mapping,
        _check_slurm,
    )
    return [problem for check in checks for problem in check(settings)]


def _check_names(settings: BackendAI) -> Iterator[str]:
    known = BackendAI.class_trait_names(config=True)
    for name in settings.config.get("BackendAI", {}):
        if name not in known:
            yield f"c.BackendAI.{name} is no setting. See docs/configuration.md."
    if not _WORD.fullmatch(settings.hub_id):
        yield "c.BackendAI.hub_id must be letters, digits, dots, dashes and underscores: it is part of the job name."


def _check_login(settings: BackendAI) -> Iterator[str]:
    if settings.otp_form not in OTP_FORMS:
        yield f"c.BackendAI.otp_form: {settings.otp_form!r} is none of {', '.join(OTP_FORMS)}."
    try:
        parse_deadlines(settings.otp_forced_from)
    except InvalidParameters as exc:
        yield str(exc)
    try:
        find_source("192.0.2.1", "", settings.trusted_proxies)
    except ValueError as exc:
        yield f"c.BackendAI.trusted_proxies: {exc}"
    if settings.directory_locks_after in (1, 2):
        yield "c.BackendAI.directory_locks_after: below 3 nobody could mistype a password even once."


def _check_secrets(settings: BackendAI) -> Iterator[str]:
    for name in SECRETS:
        try:
            value = settings.read_secret(name)
        except BackendAIError as exc:
            yield str(exc)
            if not Path(settings.secrets_file).is_file():
                return
            continue
        if name == "crypt":
            yield from _check_crypt(value)
        elif len(value) < 16:
            yield f"The secret {name} is too short."


def _check_crypt(value: str) -> Iterator[str]:
    for key in value.split(","):
        try:
            Fernet(key.strip())
        except ValueError:
            yield "The secret crypt holds something that is not a Fernet key."


def _check_queues(settings: BackendAI) -> Iterator[str]:
    try:
        queues = settings.list_queues()
    except InvalidParameters as exc:
        yield str(exc)
        return
    if not queues and not settings.slurm_queues:
        yield "c.BackendAI.queues is empty: nothing can be launched."
    if len(queues) != len(settings.queues):
        yield "Two entries of c.BackendAI.queues have the same name."
    for queue in queues.values():
        yield from (f"Queue {queue.name}: {problem}" for problem in _check_queue(queue))


def _check_queue(queue: Queue) -> Iterator[str]:
    if not _WORD.fullmatch(queue.name):
        yield "the name must be letters, digits, dots, dashes and underscores."
    if queue.engine not in ENGINES:
        yield f"there is no engine {queue.engine!r}; choose one of: {', '.join(ENGINES)}."
    if queue.engine in COUNTED_ENGINES and not queue.capacity.amount(CPU):
        yield f"a {queue.engine} queue needs a capacity with cpu."
    if queue.max_time_s is not None and queue.default_time_s > queue.max_time_s:
        yield "default_time_s is longer than max_time_s."
    if any(amount < 0 for slots in (queue.max_slots, queue.capacity) for amount in slots.values()):
        yield "an amount is negative."


def _check_storage_hosts(settings: BackendAI) -> Iterator[str]:
    try:
        settings.list_storage_hosts()
    except InvalidParameters as exc:
        yield str(exc)


def _check_bills(settings: BackendAI) -> Iterator[str]:
    try:
        billing = settings.make_billing()
        priced = [queue for queue in settings.list_queues().values() if is_priced(queue)]
    except InvalidParameters as exc:
        yield str(exc)
        return
    if any(mark <= 0 for mark in settings.credit_warnings_s):
        yield "c.BackendAI.credit_warnings_s are seconds before the credit is used up: more than 0 each."
    if settings.bill_interval_s < 1 or settings.bill_wait_s < 0:
        yield "c.BackendAI.bill_interval_s is at least 1, bill_wait_s at least 0."
    for queue in priced:
        fine = [name for name, price in queue.prices.items() if 0 < price < Decimal(10) ** -billing.currency.digits / 100]
        if fine:
            yield f"Queue {queue.name}: prices far below the smallest amount of the currency ({', '.join(fine)}): give it more digits."


def _check_environments(settings: BackendAI) -> Iterator[str]:
    seen: set[str] = set()
    for entry in settings.environments:
        name = entry.get("name")
        if not isinstance(name, str) or not _WORD.fullmatch(name):
            yield f"An environment has no usable name: {entry!r}"
            continue
        if name in seen:
            yield f"Two environments are called {name}."
        seen.add(name)
        yield from (f"Environment {name}: {problem}" for problem in _check_environment(entry))


def _check_environment(entry: Mapping[str, Any]) -> Iterator[str]:
    command = entry.get("command", ["python"])
    if not isinstance(command, list | tuple) or not command or not all(isinstance(word, str) and word for word in command):
        yield "command must be a list of words."
    if not isinstance(entry.get("labels", {}), Mapping):
        yield "labels must be a table of language and text."
    for key in ("min_slots", "max_slots"):
        try:
            bounds = ResourceSlots(entry.get(key, {}))
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            yield f"{key} must be a table of slot and amount."
            continue
        if any(amount.is_nan() or amount < 0 for amount in bounds.values()):
            yield f"{key}: an amount is negative."


def _check_directory(settings: BackendAI) -> Iterator[str]:
    if settings.directory not in {"local", "ldap"}:
        yield f"c.BackendAI.directory is {settings.directory!r}; choose `local` or `ldap`."
    if settings.directory != "ldap":
        return
    for name in ("ldap_servers", "ldap_user_base"):
        if not getattr(settings, name):
            yield f"c.BackendAI.{name} is empty."
    for server in settings.ldap_servers:
        if not server.startswith(("ldap://", "ldaps://")):
            yield f"c.BackendAI.ldap_servers: {server!r} begins neither with ldap:// nor with ldaps://."
        elif server.startswith("ldap://") and settings.ldap_tls != "starttls":
            yield f"c.BackendAI.ldap_tls is {settings.ldap_tls!r}: passwords go to {server} in clear."
    if not settings.ldap_verify:
        yield "c.BackendAI.ldap_verify is off: anybody on the network can be the directory."
    for name in ("ldap_ca_file", "ldap_bind_password_file"):
        path = getattr(settings, name)
        if path and not os.access(path, os.R_OK):
            yield f"c.BackendAI.{name}: {path} cannot be read."


def _check_mail(settings: BackendAI) -> Iterator[str]:
    from ..services.accounts import check_settings

    try:
        make_mailer(settings)
        check_settings(settings, knows_address=False)
    except InvalidParameters as exc:
        yield str(exc)
    host = settings.mail_server.rpartition(":")[0]
    if host and settings.mail_tls == "none" and host not in {"localhost", "127.0.0.1", "[::1]"}:
        yield f"c.BackendAI.mail_tls is 'none': mail goes to {settings.mail_server} in clear."
    for name in ("mail_ca_file", "mail_password_file"):
        path = getattr(settings, name)
        if path and not os.access(path, os.R_OK):
            yield f"c.BackendAI.{name}: {path} cannot be read."


def _check_mapping(settings: BackendAI) -> Iterator[str]:
    try:
        settings.make_mapping()
    except InvalidParameters as exc:
        yield str(exc)


def _check_codes(settings: BackendAI) -> Iterator[str]:
    if settings.otp_backend != "ldap-append" or settings.directory != "ldap":
        try:
            make_factor(settings, None, _take_nothing)
        except InvalidParameters as exc:
            yield str(exc)
    elif settings.ldap_user_filter == BackendAI.ldap_user_filter.default_value and not settings.allowed_groups:
        yield "c.BackendAI.otp_backend = 'ldap-append' without a filter or group of those who have a token: see docs/howto-otp.md."


async def _take_nothing(_name: str, _code: str) -> bool:
    return False


def _check_slurm(settings: BackendAI) -> Iterator[str]:
    if not any(entry.get("engine") == "slurm" for entry in settings.queues):
        return
    for command in ("squeue", "scontrol") if settings.slurm_submit == REST else ("sbatch", "squeue", "scontrol", "scancel"):
        if not shutil.which(command, path=settings.slurm_bin):
            yield f"c.BackendAI.slurm_bin: there is no {command} in {settings.slurm_bin}."
    if "{user}" not in settings.user_root:
        yield "c.BackendAI.user_root has no {user}: everybody would get the same directory."
    try:
        ways = [make_way(settings, cluster) for cluster in settings.slurm_clusters or [""]]
    except InvalidParameters as exc:
        yield str(exc)
        return
    yield from dict.fromkeys(problem for way in ways for problem in asyncio.run(way.check()))
