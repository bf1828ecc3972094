"""What a caller may say of a session's folders: links that its own program makes as the user, and nothing else."""

import pytest

from jupyterhub_backendai.helper.links import MAX_LINKS, MAX_NEIGHBOURS, check_links

ITEM = {"source": "/srv/user-x/data", "target": "data/입력", "is_own_part": False}
GOOD = {"session_id": "a" * 32, "admitted_at": 1.5, "live": ["b" * 32], "items": [ITEM]}


def test_what_the_platform_says_is_taken():
    assert check_links(GOOD) == GOOD
    assert check_links({**GOOD, "admitted_at": 0, "live": [], "items": []})


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": "x"}, {"session_id": 5}, {"session_id": "../" + "a" * 29}, {"admitted_at": "1"}, {"admitted_at": True}, {"admitted_at": -1},
        {"admitted_at": float("inf")}, {"admitted_at": float("nan")}, {"live": ["x"]}, {"live": "a" * 32}, {"live": ["a" * 32] * (MAX_NEIGHBOURS + 1)},
        {"items": {}}, {"items": [{}]}, {"items": [{**ITEM, "more": 1}]}, {"items": [ITEM] * (MAX_LINKS + 1)}, {"items": [{**ITEM, "is_own_part": 1}]},
        {"items": [{**ITEM, "source": "data"}]}, {"items": [{**ITEM, "source": "/srv/../etc"}]}, {"items": [{**ITEM, "target": "/etc"}]},
        {"items": [{**ITEM, "target": "../x"}]}, {"items": [{**ITEM, "target": ""}]}, {"items": [{**ITEM, "target": "a\0b"}]},
        {"items": [{**ITEM, "target": "\ud800"}]}, {"items": [{**ITEM, "source": "/" + "x" * 5000}]}, {"records": "/etc"},
    ],
)  # fmt: skip
def test_anything_else_is_refused(change):
    with pytest.raises(ValueError):
        check_links({**GOOD, **change})


def test_no_object_at_all():
    for value in (None, [], "x", {}, {name: value for name, value in GOOD.items() if name != "live"}):
        with pytest.raises(ValueError):
            check_links(value)
