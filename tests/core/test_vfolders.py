"""Names of folders."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.core.vfolders import OwnershipType, UsageMode, check_name, folder_directory, is_automount, quota_scope_of


def rule(name: str, **kinds) -> str:
    found = check_name(name, **kinds)
    assert len(found) < 2
    return found[0].rule if found else ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data", ""),
        ("Data_1.2-b", ""),
        ("_x", ""),
        (".local", ""),
        (".linuxbrew", ""),
        ("a" * 64, ""),
        ("", "required"),
        ("a" * 65, "too-long"),
        ("a b", "invalid"),
        ("a/b", "invalid"),
        ("..", "invalid"),
        (".", "invalid"),
        ("..a", "invalid"),
        ("-rf", "invalid"),
        ("자료", "invalid"),
        ("a\n", "invalid"),
        ("a\x00", "invalid"),
        ("ａ", "invalid"),
        (".ssh", "reserved"),
        (".jupyter", "reserved"),
        (".terminfo", "reserved"),
        (".tmux.conf", "reserved"),
        (".bashrc", "reserved"),
        (".zshrc", "reserved"),
        (".bash_profile", "reserved"),
        (".rc", ""),
        ("bashrc", ""),
    ],
)
def test_names(name, expected):
    assert rule(name) == expected


def test_models_and_projects():
    assert rule("m" * 128, usage_mode=UsageMode.MODEL) == ""
    assert rule("m" * 129, usage_mode=UsageMode.MODEL) == "too-long"
    assert rule(".cache", ownership_type=OwnershipType.PROJECT) == "automount-project"
    assert rule(".local", ownership_type=OwnershipType.PROJECT) == ""


def test_where_a_folder_is():
    scope = quota_scope_of(OwnershipType.PROJECT, "a" * 32)
    assert (scope, folder_directory(scope, "b" * 32)) == (f"project:{'a' * 32}", f"project-{'a' * 32}/{'b' * 32}")
    assert is_automount(".local")
    assert not is_automount("local")
