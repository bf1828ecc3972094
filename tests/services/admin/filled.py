"""One of everything that is administered, so that every table has a line and every form something in it."""

from __future__ import annotations

from typing import Any

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.store.records import RECORDS
from tests.services.public import Site

ROOT = Actor("root", Role.SUPERADMIN)
THINGS: list[tuple[str, dict[str, Any]]] = [
    ("storage_hosts", {"name": "local:volume1", "description": "홈"}),
    ("resource_slot_types", {"name": "ipu.device", "kind": "count"}),
    ("container_registries", {"name": "cr.example", "url": "https://cr.example", "user_name": "reader", "password": "p4ss!word"}),
    ("images", {"name": "cr.example/python:3.12", "container_registry": "cr.example", "labels": {"en": "Python 3.12"}, "min_slots": {"cpu": "1"}}),
    ("domains", {"name": "physics", "description": "물리학과", "total_resource_slots": {"cpu": "64", "mem": "1t", "cuda.device": "Infinity"}}),
    ("domains", {"name": "closed", "is_active": False, "allowed_vfolder_hosts": {"local:volume1": ["create-vfolder"]}}),
    ("keypair_resource_policies", {"name": "students", "total_resource_slots": {"cpu": "4", "mem": "16g"}, "max_concurrent_sessions": "3", "idle_timeout_s": "2h"}),
    ("user_resource_policies", {"name": "guests", "max_vfolder_count": "2", "max_quota_scope_size_bytes": "10g"}),
    ("project_resource_policies", {"name": "small", "max_vfolder_count": "5"}),
    ("resource_presets", {"name": "gpu-small", "labels": {"en": "Small GPU", "ko": "작은 GPU"}, "resource_slots": {"cpu": "4", "mem": "16g", "cuda.device": "1"}}),
    ("announcements", {"title": {"en": "Maintenance", "ko": "점검 안내"}, "body": {"en": "On Sunday.", "ko": "일요일에 점검합니다."}, "level": "warning"}),
    ("users", {"name": "choi05", "display_name": "최05", "email": "choi05@example.com", "status": "before-verification"}),
    ("keypairs", {"user": "kim01"}),
    ("sign_up_invitations", {"name": "여름 학교", "max_uses": "40", "domain": "physics"}),
]  # fmt: skip


async def fill(site: Site) -> None:
    await site.application.settings["groups"].ready()
    for noun, data in THINGS:
        if noun in RECORDS:
            await site.db.run(RECORDS[noun].add, ROOT, data)


async def first_keys(site: Site) -> dict[str, str]:
    """The key of one thing of each noun."""
    found = {}
    for name, records in RECORDS.items():
        page = await site.db.run(records.list_page, ROOT, Query(sort=records.noun.sort))
        if page.records:
            found[name] = page.records[0].key
    return found
