"""The administrator's pages, beneath ``admin/``."""

from __future__ import annotations

from . import bills, bulk, files, forms, lists, maintenance, rescan, sessions, settings, statistics, users

default_handlers = [
    *bills.default_handlers,
    *bulk.default_handlers,
    *statistics.default_handlers,
    *files.default_handlers,
    *lists.default_handlers,
    *maintenance.default_handlers,
    *rescan.default_handlers,
    *sessions.default_handlers,
    *settings.default_handlers,
    *users.default_handlers,
    *forms.default_handlers,
]
