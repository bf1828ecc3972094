"""The administrator's pages, beneath ``admin/``."""

from __future__ import annotations

from . import lists

default_handlers = [*lists.default_handlers]
