"""Images (environments), and the registries that they come from."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from ...errors import N_, Violation
from ..slots import ResourceSlots
from .base import Noun
from .values import Field, Kind

_IMAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/:@+-]*[A-Za-z0-9])?")

IMAGES = Noun(
    name="images",
    singular="image",
    title=N_("Images"),
    one=N_("Image"),
    key="name",
    fields=(
        Field("name", Kind.TEXT, N_("Name"), is_required=True, is_fixed=True, most=255),
        Field("labels", Kind.LABELS, N_("Shown as"), N_("Of an environment of the configuration file, the file says this."), most=128),
        Field("container_registry", Kind.REFERENCE, N_("Registry"), of="container_registries"),
        Field("min_slots", Kind.SLOTS, N_("At least"), N_("A session with less is refused.")),
        Field("max_slots", Kind.SLOTS, N_("At most"), N_("A session with more is refused; a slot that is not named is unlimited.")),
        Field("is_active", Kind.BOOLEAN, N_("Active"), N_("Sessions can be started with active images only."), default=True),
        Field("is_configured", Kind.BOOLEAN, N_("In the configuration file"), is_computed=True),
        # -- what its registry said when it was looked through last
        Field("is_gone", Kind.BOOLEAN, N_("Gone from the registry"), is_computed=True),
        Field("scanned_at", Kind.MOMENT, N_("Last seen in the registry"), is_computed=True),
        Field("size_bytes", Kind.BYTES, N_("Size"), is_computed=True),
        Field("architectures", Kind.WORDS, N_("Processors"), is_computed=True),
        Field("digest", Kind.TEXT, N_("Digest"), is_computed=True),
        Field("image_labels", Kind.OPTIONS, N_("Labels of the image"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "container_registry", "size_bytes", "min_slots", "max_slots", "is_active", "is_gone"),
    search=("name",),
    filters=("is_active", "is_configured", "container_registry", "is_gone"),
    sort="name",
    for_domain_admins="read",
)

CONTAINER_REGISTRIES = Noun(
    name="container_registries",
    singular="container_registry",
    title=N_("Container registries"),
    one=N_("Container registry"),
    key="name",
    fields=(
        Field("name", Kind.NAME, N_("Name"), is_required=True, is_fixed=True),
        Field("url", Kind.TEXT, N_("Address"), N_("https://…; http:// on this machine only."), is_required=True, most=512),
        Field("type", Kind.CHOICE, N_("Kind"), default="docker", choices=("docker", "harbor", "harbor2", "gitlab", "github", "local")),
        Field("projects", Kind.WORDS, N_("Projects of the registry"), N_("What is looked through by a rescan; empty is everything.")),
        Field("user_name", Kind.TEXT, N_("User name"), most=255),
        Field("password", Kind.SECRET, N_("Password"), N_("Kept encrypted and never shown; empty takes it away.")),
        Field("has_password", Kind.BOOLEAN, N_("Has a password"), is_computed=True),
        Field(
            "takes_unlabelled",
            Kind.BOOLEAN,
            N_("Take every image"),
            N_("Otherwise only those made for Backend.AI, which have the label ai.backend.kernelspec."),
        ),
        Field("image_count", Kind.INTEGER, N_("Images"), is_computed=True),
        Field("scanned_at", Kind.MOMENT, N_("Looked through"), is_computed=True),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "url", "type", "user_name", "image_count", "scanned_at"),
    search=("name", "url"),
    filters=("type",),
    sort="name",
)


def check_image_name(name: str) -> list[Violation]:
    """Whether a name is one that registries and engines know: ``registry.example/python:3.12``."""
    if _IMAGE.fullmatch(name) and ".." not in name and "//" not in name:
        return []
    return [Violation(N_("An image's name has letters, digits and the characters . _ - / : @ +"), {}, "name", "invalid")]


def check_bounds(least: ResourceSlots, most: ResourceSlots) -> list[Violation]:
    """A violation for every slot of which more is needed than allowed, or an infinite amount is needed."""
    found = []
    for name, amount in least.items():
        if amount.is_infinite():
            found.append(Violation(N_("A session cannot have infinite %(slot)s."), {"slot": name}, f"min_slots.{name}", "infinite"))
        elif name in most and amount > most[name]:
            found.append(Violation(N_("The least of %(slot)s is more than the most."), {"slot": name}, f"min_slots.{name}", "too-much"))
    return found


def check_url(text: str) -> list[Violation]:
    """Whether a registry can be there: https anywhere, http on this machine only, no name or password in the address."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        return [_bad_url(N_("This is no address of a registry, such as https://registry.example."))]
    if url.scheme not in {"http", "https"} or not host or url.query or url.fragment or re.search(r"[\s\\]", text):
        return [_bad_url(N_("This is no address of a registry, such as https://registry.example."))]
    if "@" in url.netloc:
        return [_bad_url(N_("User name and password have fields of their own."))]
    if url.scheme == "http" and not _is_here(host):
        return [_bad_url(N_("Passwords and programs would travel in the open. Give an address with https."))]
    return []


def _bad_url(message: str) -> Violation:
    return Violation(message, {}, "url", "invalid")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
