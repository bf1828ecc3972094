"""The drawn table is one for all who see the same, and never older than the figures."""

from __future__ import annotations

from jupyterhub_backendai.core.queues import Figures, Queue
from jupyterhub_backendai.services import queue_tables
from jupyterhub_backendai.services.queue_tables import DrawnTables

KEY = ("en", "gpu", ("gpu",))


def test_a_table_is_found_by_those_who_see_the_same() -> None:
    tables, figures, groups = DrawnTables(), Figures(), {"gpu": Queue("gpu", "slurm")}
    assert tables.find(figures, groups, KEY) is None
    tables.keep(figures, groups, KEY, "drawn")
    assert tables.find(figures, groups, KEY) == "drawn"
    assert tables.find(figures, groups, ("ko", *KEY[1:])) is None


def test_new_figures_and_new_groups_are_drawn_anew() -> None:
    tables, figures, groups = DrawnTables(), Figures(), {"gpu": Queue("gpu", "slurm")}
    tables.find(figures, groups, KEY)
    tables.keep(figures, groups, KEY, "drawn")
    assert tables.find(Figures(), groups, KEY) is None
    tables.keep(figures, groups, KEY, "late: the figures are older than those that were asked for last")
    assert tables.find(Figures(), dict(groups), KEY) is None


def test_a_table_is_not_kept_for_long(monkeypatch) -> None:
    tables, figures, groups = DrawnTables(), Figures(), {}
    tables.find(figures, groups, KEY)
    tables.keep(figures, groups, KEY, "drawn")
    monkeypatch.setattr(queue_tables, "MAX_AGE_S", -1.0)
    assert tables.find(figures, groups, KEY) is None
