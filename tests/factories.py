"""Rows and requests for tests, with sensible values for everything that a test does not care about."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.core.queues import Queue
from jupyterhub_backendai.core.sessions import LaunchRequest, SessionSpec
from jupyterhub_backendai.core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots
from jupyterhub_backendai.store import models

GIB = 1024**3


def make_slots(cpu: int = 1, mem: int = GIB, gpu: int = 0) -> ResourceSlots:
    return ResourceSlots({CPU: cpu, MEM: mem, CUDA_DEVICE: gpu})


def make_queue(name: str = "local-cpu", engine: str = "local", **fields: Any) -> Queue:
    fields.setdefault("capacity", make_slots(4, 8 * GIB, 2) if engine == "local" else ResourceSlots())
    return Queue(name=name, engine=engine, **fields)


def make_spec(user: str = "kim01", server_name: str = "", queue: str = "local-cpu", session_id: str = "", **request: Any) -> SessionSpec:
    slots = make_slots(request.pop("cpu", 1), request.pop("mem", GIB), request.pop("gpu", 0))
    return SessionSpec(session_id or models.new_id(), user, server_name, LaunchRequest(queue=queue, slots=slots, **request))


def add_user(db: Session, name: str = "kim01", *projects: str, posix: bool = True, **fields: Any) -> str:
    """Somebody in the domain ``default`` and in the given projects (``default`` without any); returns the id."""
    if db.get(models.Domain, "default") is None:
        db.add(models.Domain(name="default"))
        db.flush()
    if posix:
        fields = {"posix_name": name, "posix_uid": 5000, "posix_gid": 5000, "posix_home": f"/home/{name}", **fields}
    user = models.User(id=models.new_id(), name=name, domain="default", **fields)
    db.add(user)
    db.flush()
    for project in projects or ("default",):
        add_member(db, user.id, project)
    return str(user.id)


def add_others(db: Session) -> None:
    """Those who look at what is kim01's: somebody in the same project, both kinds of administrators, and a stranger."""
    add_user(db, "member")
    add_user(db, "domain-admin", role=Role.ADMIN)
    add_user(db, "superadmin", role=Role.SUPERADMIN)
    add_user(db, "stranger", "elsewhere")


def add_member(db: Session, user_id: str, name: str) -> None:
    project = db.query(models.Project).filter_by(domain="default", name=name).one_or_none()
    if project is None:
        project = models.Project(id=models.new_id(), domain="default", name=name)
        db.add(project)
        db.flush()
    db.add(models.ProjectMember(user_id=user_id, project_id=project.id))
    db.flush()
