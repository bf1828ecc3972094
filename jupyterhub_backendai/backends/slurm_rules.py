"""Who may use what of a Slurm cluster, and within which limits: the answers of scontrol and sacctmgr. Pure.

What changes seldom is asked seldom (:mod:`.slurm_facts`). An answer that is no answer becomes None, which says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from ..core.partitions import Association, Limits, PartitionRules, Qos, Reservation
from .slurm_answers import parse_duration, parse_fields, parse_list, parse_number
from .slurm_parse import parse_start

_MIB = 2**20
_UNITS = {"": _MIB, "K": 2**10, "M": _MIB, "G": 2**30, "T": 2**40, "P": 2**50}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)
_SETTING = re.compile(r"^(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_RANGE = re.compile(r"(\d+)-(\d+)", re.ASCII)
MAX_NODES = 100_000

_QOS = "Name,Flags,MaxWall,MaxTRES,MaxTRESPerNode,MaxTRESPU,MaxTRESPA,GrpTRES,MinTRES,MaxJobsPU,MaxSubmitJobsPU"
_ASSOCIATION = "Cluster,Account,User,Partition,ParentName,QOS,DefaultQOS,MaxWall,MaxTRES,MaxTRESPerNode,GrpTRES,MaxJobs,MaxSubmitJobs"


def build_config(slurm_bin: str) -> list[str]:
    """What is enforced, and the cluster's name."""
    return [str(Path(slurm_bin, "scontrol")), "show", "config"]


def build_reservations(slurm_bin: str) -> list[str]:
    """Every reservation that is or will be."""
    return [str(Path(slurm_bin, "scontrol")), "-a", "-o", "show", "reservation"]


def build_qos(slurm_bin: str) -> list[str]:
    """Every quality of service."""
    return [str(Path(slurm_bin, "sacctmgr")), "-nP", "show", "qos", f"format={_QOS}"]


def build_associations(slurm_bin: str, cluster: str) -> list[str]:
    """Every association of a cluster, with the limits that it has from its parents."""
    return [str(Path(slurm_bin, "sacctmgr")), "-nP", "show", "assoc", "where", f"cluster={cluster}", f"format={_ASSOCIATION}"]


def build_users(slurm_bin: str) -> list[str]:
    """Everybody's default account."""
    return [str(Path(slurm_bin, "sacctmgr")), "-nP", "show", "user", "format=User,DefaultAccount"]


def parse_config(text: str) -> dict[str, str]:
    """The settings in the answer of :func:`build_config`."""
    return dict(_SETTING.findall(text))


def parse_enforces(config: Mapping[str, str]) -> frozenset[str]:
    """The words of AccountingStorageEnforce, those that others imply among them."""
    words = {word.lower() for word in parse_list(config.get("AccountingStorageEnforce", ""))} - {"none", "(null)"}
    if words & {"limits", "safe", "all"}:
        words |= {"limits", "associations"}
    if words & {"qos", "wckeys", "all"}:
        words |= {"associations"}
    return frozenset(words | ({"qos"} if "all" in words else set()))


def parse_rules(fields: Mapping[str, str]) -> PartitionRules:
    """Who may use a partition, and what it adds, from the fields of its line of ``scontrol show partition``."""
    defaults = dict(part.split("=", 1) for part in fields.get("JobDefaults", "").split(",") if "=" in part)
    return PartitionRules(
        allow_accounts=_names(fields.get("AllowAccounts", "ALL")),
        deny_accounts=_names(fields.get("DenyAccounts", "")) or frozenset(),
        allow_qos=_names(fields.get("AllowQos", "ALL")),
        deny_qos=_names(fields.get("DenyQos", "")) or frozenset(),
        allow_groups=tuple(sorted(_names(fields.get("AllowGroups", "ALL")) or ())),
        alloc_nodes="" if fields.get("AllocNodes", "ALL") == "ALL" else fields["AllocNodes"],
        qos="" if fields.get("QoS", "N/A") in {"N/A", "(null)"} else fields["QoS"],
        default_time_s=parse_duration(fields.get("DefaultTime", "")),
        min_nodes=parse_number(fields.get("MinNodes", "")) or 0,
        max_nodes=parse_number(fields.get("MaxNodes", "")),
        max_cpus_per_node=parse_number(fields.get("MaxCPUsPerNode", "")),
        max_mem_bytes=_mebibytes(fields.get("MaxMemPerNode", "")),
        max_mem_per_cpu_bytes=_mebibytes(fields.get("MaxMemPerCPU", "")),
        def_mem_per_cpu_bytes=_mebibytes(fields.get("DefMemPerCPU", "")),
        def_mem_bytes=_mebibytes(fields.get("DefMemPerNode", "")),
        def_cpus_per_gpu=parse_number(defaults.get("DefCpuPerGPU", "")),
        billing=_parse_weights(fields.get("TRESBillingWeights", "")),
        is_hidden=fields.get("Hidden") == "YES",
        is_default=fields.get("Default") == "YES",
        is_root_only=fields.get("RootOnly") == "YES",
        needs_reservation=fields.get("ReqResv") == "YES",
    )


def _names(text: str) -> frozenset[str] | None:
    """The names of a list; None for ALL."""
    return None if text == "ALL" else frozenset(parse_list(text))


def _mebibytes(text: str) -> int | None:
    number = parse_number(text)
    return number * _MIB if number else None


def _parse_weights(text: str) -> dict[str, Decimal]:
    """``CPU=1.0,Mem=0.25G,GRES/gpu=10.0`` as it stands, of memory per GiB."""
    weights = {}
    for name, value in (part.split("=", 1) for part in text.split(",") if "=" in part):
        number = value.rstrip("KMGTPkmgtp")
        try:
            weight = Decimal(number)
        except InvalidOperation:
            continue
        unit = value[len(number) :].upper()
        weights[name.lower()] = weight * Decimal(2**30) / _UNITS[unit] if name.lower() == "mem" else weight
    return weights


def parse_tres(text: str) -> dict[str, int]:
    """``cpu=16,mem=100G,gres/gpu:a100=4``; memory in bytes."""
    amounts = {}
    for name, value in (part.split("=", 1) for part in text.split(",") if "=" in part):
        found = _AMOUNT.fullmatch(value.strip())
        if found:
            amounts[name.strip().lower()] = int(Decimal(found[1]) * (_UNITS[found[2]] if name == "mem" else 1))
    return amounts


def parse_qos(text: str) -> dict[str, Qos]:
    """The answer of :func:`build_qos`."""
    found = {}
    for fields in _split(text, _QOS):
        limits = replace(
            _parse_limits(fields, "MaxJobsPU", "MaxSubmitJobsPU"),
            per_user=parse_tres(fields["MaxTRESPU"]),
            per_account=parse_tres(fields["MaxTRESPA"]),
            at_least=parse_tres(fields["MinTRES"]),
        )
        found[fields["Name"]] = Qos(fields["Name"], limits, frozenset(parse_list(fields["Flags"])))
    return found


def _parse_limits(fields: Mapping[str, str], max_jobs: str, max_submitted: str) -> Limits:
    """What a quality of service and an association have alike."""
    return Limits(
        max_wall_s=parse_wall(fields["MaxWall"]),
        per_job=parse_tres(fields["MaxTRES"]),
        per_node=parse_tres(fields["MaxTRESPerNode"]),
        together=parse_tres(fields["GrpTRES"]),
        max_jobs=parse_number(fields[max_jobs]),
        max_submitted=parse_number(fields[max_submitted]),
    )


def parse_wall(text: str) -> int | None:
    """Seconds of a MaxWall: ``12:00:00``, ``2-00:00:00``."""
    return parse_duration(text)


def parse_associations(text: str, defaults: Mapping[str, str]) -> tuple[dict[str, tuple[Association, ...]], dict[str, tuple[Limits, ...]]]:
    """What each person may charge, and the limits of each account with those above it, nearest first.

    ``defaults`` are the default accounts (:func:`parse_users`).
    """
    people: dict[str, list[Association]] = {}
    own: dict[str, tuple[str, Limits]] = {}
    for fields in _split(text, _ASSOCIATION):
        limits = _parse_limits(fields, "MaxJobs", "MaxSubmitJobs")
        user, account = fields["User"], fields["Account"]
        if not user:
            own[account] = (fields["ParentName"], limits)
        elif _NAME.fullmatch(account):
            qos = tuple(name for name in parse_list(fields["QOS"]) if _NAME.fullmatch(name))
            is_default = defaults.get(user) == account
            people.setdefault(user, []).append(Association(account, fields["Partition"], qos, fields["DefaultQOS"], is_default, limits))
    found = {user: tuple(sorted(held, key=lambda one: (not one.is_default, one.account, one.partition))) for user, held in people.items()}
    return found, {account: _chain(account, own) for account in own}


def _chain(account: str, own: Mapping[str, tuple[str, Limits]]) -> tuple[Limits, ...]:
    chain: list[Limits] = []
    while account in own and len(chain) < len(own):
        account, limits = own[account]
        chain.append(limits)
    return tuple(chain)


def parse_users(text: str) -> dict[str, str]:
    """The default account of each user."""
    return dict(line.split("|", 1) for line in text.splitlines() if line.count("|") == 1)


def parse_reservations(text: str) -> tuple[Reservation, ...]:
    """The answer of :func:`build_reservations`, in the order of their starts."""
    found = [_parse_reservation(fields) for fields in map(parse_fields, text.splitlines()) if "ReservationName" in fields]
    return tuple(sorted(filter(None, found), key=lambda one: (one.starts_at or 0, one.name)))


def _parse_reservation(fields: Mapping[str, str]) -> Reservation | None:
    name = fields["ReservationName"]
    if not _NAME.fullmatch(name):
        return None
    users, accounts = parse_list(fields.get("Users", "")), parse_list(fields.get("Accounts", ""))
    return Reservation(
        name,
        parse_start(fields.get("StartTime", "")),
        parse_start(fields.get("EndTime", "")),
        partition="" if fields.get("PartitionName", "(null)") == "(null)" else fields["PartitionName"],
        users=_named(users),
        accounts=_named(accounts),
        not_users=frozenset(user[1:] for user in users if user.startswith("-")),
        not_accounts=frozenset(account[1:] for account in accounts if account.startswith("-")),
        groups=tuple(parse_list(fields.get("Groups", ""))),
        nodes=frozenset(expand_nodes(fields.get("Nodes", ""))),
        flags=frozenset(parse_list(fields.get("Flags", ""))),
        is_active=fields.get("State") == "ACTIVE",
    )


def _named(names: Iterable[str]) -> frozenset[str] | None:
    """Those who may; None when nobody is named, or only those who may not."""
    return frozenset(name for name in names if not name.startswith("-")) or None


def expand_nodes(text: str) -> list[str]:
    """The names in ``jnode[01-03,7],big1``; nothing for what cannot be read."""
    names: list[str] = []
    for part in re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", "" if text == "(null)" else text):
        names += _expand(part)
        if len(names) > MAX_NODES:
            return []
    return names


def _expand(part: str) -> list[str]:
    head, bracket, rest = part.partition("[")
    if not bracket:
        return [part]
    inner, _, tail = rest.partition("]")
    found: list[str] = []
    for piece in inner.split(","):
        ends = _RANGE.fullmatch(piece)
        if ends is None:
            found.append(f"{head}{piece}")
        elif int(ends[2]) - int(ends[1]) < MAX_NODES:
            found += [f"{head}{number:0{len(ends[1])}}" for number in range(int(ends[1]), int(ends[2]) + 1)]
    return [whole for name in found for whole in _expand(f"{name}{tail}")]


def is_whole(text: str, names: str) -> bool:
    """Whether an answer of ``sacctmgr -nP`` has every field of each line, and its end."""
    count = names.count(",")
    return not text or (text.endswith("\n") and all(line.count("|") == count for line in text.splitlines()))


def _split(text: str, names: str) -> Iterable[dict[str, str]]:
    """The lines of ``sacctmgr -nP``; a line with another number of fields is none of them."""
    keys = names.split(",")
    for line in text.splitlines():
        values = line.split("|")
        if len(values) == len(keys):
            yield dict(zip(keys, values, strict=True))
