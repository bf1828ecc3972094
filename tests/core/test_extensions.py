"""Giving a session that runs more time: what a resource group permits, in words, and the most that is offered."""

import pytest

from jupyterhub_backendai.core.extensions import Extendable, check_extension, most_s
from tests.factories import make_queue

HOUR = 3600
RUNNING = Extendable(time_limit_s=2 * HOUR)


@pytest.mark.parametrize(
    ("fields", "session", "bounds", "is_admin", "most", "words"),
    [
        ({}, RUNNING, (), False, 0, "cannot be given more time"),
        ({"extension_time_s": 4 * HOUR}, RUNNING, (), False, 4 * HOUR, ""),
        ({"extension_time_s": 4 * HOUR}, Extendable(6 * HOUR, 4 * HOUR, 2), (), False, 0, "at most 4:00 more in all; 0:00"),
        ({"extension_time_s": 4 * HOUR}, Extendable(5 * HOUR, 3 * HOUR + 1, 1), (), False, HOUR - 1, "0:59 of that is left"),
        ({"extension_time_s": 4 * HOUR, "extension_count": 1}, Extendable(3 * HOUR, HOUR, 1), (), False, 0, "at most 1 times"),
        ({"extension_time_s": 4 * HOUR, "extension_by": "administrators"}, RUNNING, (), False, 0, "only administrators"),
        ({"extension_time_s": 4 * HOUR, "extension_by": "administrators"}, RUNNING, (), True, 4 * HOUR, ""),
        ({"extension_time_s": 4 * HOUR}, RUNNING, (2 * HOUR + 1800,), False, 1800, "At most 2:30 in the queue"),
        ({"extension_time_s": 4 * HOUR}, RUNNING, (None, 2 * HOUR), True, 0, "keypair policy lets"),
        ({"extension_time_s": 4 * HOUR}, RUNNING, (2 * HOUR,), True, 0, "At most 2:00"),
        ({"extension_time_s": 30}, RUNNING, (), False, 0, "at most 0:00 more in all"),
    ],
)
def test_what_is_permitted(fields, session, bounds, is_admin, most, words):
    queue = make_queue(**fields)
    assert most_s(session, queue, *bounds, is_admin=is_admin) == most
    found = check_extension(session, HOUR, queue, *bounds, is_admin=is_admin)
    text = " ".join(violation.message % violation.params for violation in found)
    assert (words in text) if words else not found
    if most:  # what is offered is granted, and not a minute more
        assert not check_extension(session, most, queue, *bounds, is_admin=is_admin)
        assert check_extension(session, most + 60, queue, *bounds, is_admin=is_admin)


def test_less_than_a_minute_is_no_time():
    (found,) = check_extension(RUNNING, 59, make_queue(extension_time_s=HOUR))
    assert found.field == "time"
