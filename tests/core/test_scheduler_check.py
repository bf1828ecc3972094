import pytest

from jupyterhub_backendai.core.policies import build_refusal
from jupyterhub_backendai.core.sessions import check_request, parse_request
from jupyterhub_backendai.errors import Forbidden
from tests.factories import make_queue


@pytest.mark.parametrize("name", ["account", "qos", "reservation", "features", "cluster"])
def test_a_choice_that_cannot_be_checked_is_refused(name):
    request = parse_request({"queue": "q", "project": "p", name: "secret"})
    found = check_request(request, make_queue(name="q"), None, ("p",))
    assert [violation.field for violation in found] == [name]
    assert isinstance(build_refusal(found), Forbidden)


def test_shares_where_there_are_none():
    request = parse_request({"queue": "q", "project": "p", "shares": "0.5"})
    assert [violation.field for violation in check_request(request, make_queue(name="q"), None, ("p",))] == ["shares"]
