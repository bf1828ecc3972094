"""The administrator's pages, beneath ``admin/``."""

from __future__ import annotations

from . import forms, lists

default_handlers = [*lists.default_handlers, *forms.default_handlers]
