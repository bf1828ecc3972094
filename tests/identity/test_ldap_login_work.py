"""A login that fails costs the directory the same, whoever it was for: an answer's time is made of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jupyterhub_backendai.identity.ldap.connections import Link
from tests import lab

pytestmark = pytest.mark.ldap
FORMS = [
    {},
    {"ldap_bind_templates": [f"uid={{name}},ou=no,{lab.LDAP_USER_BASE}", f"uid={{name}},{lab.LDAP_USER_BASE}"]},
    {"ldap_bind_templates": ["{name}"], "ldap_bind_attribute": "mail"},
]


@pytest.mark.parametrize("settings", FORMS, ids=["search", "templates", "attribute"])
async def test_as_many_binds_and_searches_for_an_unknown_name(
    make_directory: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    asked: list[str] = []
    for name in ("bind", "search"):
        monkeypatch.setattr(Link, name, _counting(asked, name, getattr(Link, name)))
    directory = make_directory(**settings)
    await directory.check("jang02", "wrong")  # the kept connection is there
    work = {}
    for name in ("jang02", "nobody", "*", "jang02)(uid=*", "a b", "jang03", "UPPER"):
        asked.clear()
        assert (await directory.check(name, "wrong")).person is None
        work[name] = sorted(asked)
    await directory.close()
    assert set(map(tuple, work.values())) == {tuple(work["jang02"])}, work


def _counting(asked: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def count(self: Link, *args: Any, **options: Any) -> Any:
        asked.append(name)
        return real(self, *args, **options)

    return count
