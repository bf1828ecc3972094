"""The parts of the service by their names, as whoever has an application reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ..config import BackendAI
from ..identity.mail import NoMailer

if TYPE_CHECKING:
    from ..backends.base import Backend
    from ..identity.mail import Mailer
    from ..store.database import Database
    from .batch_runner import BatchRunner
    from .bulk_imports import BulkImporter
    from .folder_access import FolderAccess
    from .folder_tasks import FolderTasks
    from .groups import ResourceGroups
    from .hub import HubClient
    from .nodes import NodesReader
    from .queues import FiguresReader
    from .quotas import Quotas
    from .rescan import Rescanner
    from .schedule import Scheduler
    from .storage.hosts import Storage
    from .storage_hosts import StorageHosts
    from .wait_mails import WaitMails
    from .waits import WaitsReader


class Parts:
    """The parts of the service, as a handler reaches them."""

    application: Any

    @property
    def config(self) -> BackendAI:
        return cast(BackendAI, self.application.settings["settings"])

    @property
    def db(self) -> Database:
        return cast("Database", self.application.settings["db"])

    @property
    def hub(self) -> HubClient:
        return cast("HubClient", self.application.settings["hub"])

    @property
    def figures(self) -> FiguresReader:
        return cast("FiguresReader", self.application.settings["figures"])

    @property
    def groups(self) -> ResourceGroups:
        return cast("ResourceGroups", self.application.settings["groups"])

    @property
    def scheduler(self) -> Scheduler:
        return cast("Scheduler", self.application.settings["scheduler"])

    @property
    def waits(self) -> WaitsReader:
        return cast("WaitsReader", self.application.settings["waits"])

    @property
    def wait_mails(self) -> WaitMails:
        return cast("WaitMails", self.application.settings["wait_mails"])

    @property
    def rescanner(self) -> Rescanner:
        return cast("Rescanner", self.application.settings["rescanner"])

    @property
    def batch_runner(self) -> BatchRunner:
        return cast("BatchRunner", self.application.settings["batch_runner"])

    @property
    def importer(self) -> BulkImporter:
        return cast("BulkImporter", self.application.settings["importer"])

    @property
    def folder_access(self) -> FolderAccess:
        return cast("FolderAccess", self.application.settings["folder_access"])

    @property
    def nodes(self) -> NodesReader:
        return cast("NodesReader", self.application.settings["nodes"])

    @property
    def backends(self) -> Mapping[str, Backend]:
        return cast("Mapping[str, Backend]", self.application.settings["backends"])

    @property
    def storage(self) -> Storage:
        return cast("Storage", self.application.settings["storage"])

    @property
    def storage_hosts(self) -> StorageHosts:
        return cast("StorageHosts", self.application.settings["storage_hosts"])

    @property
    def quotas(self) -> Quotas:
        return cast("Quotas", self.application.settings["quotas"])

    @property
    def folder_tasks(self) -> FolderTasks:
        return cast("FolderTasks", self.application.settings["folder_tasks"])

    @property
    def people(self) -> Any:
        return self.application.settings["people"]

    @property
    def mail(self) -> Mailer:
        """Who sends mail; one that sends nothing where the service was made without."""
        return cast("Mailer", self.application.settings.get("mail") or NoMailer())

    @property
    def trouble(self) -> str:
        """Why the database cannot be used, "" when it can."""
        health = self.application.settings.get("health")
        return str(health.trouble) if health else ""
