import pytest

from jupyterhub_backendai.core.idle import IDLE, LIFETIME, NEWS_S, Watched, check_end

AT = 1_000_000.0
LONG_AGO = AT - 10 * NEWS_S


def watch(started=LONG_AGO, idle=None, lifetime=None):
    return Watched("s", "kim01", "", started, idle, lifetime)


@pytest.mark.parametrize(
    ("session", "last", "heard", "reason"),
    [
        (watch(), LONG_AGO, LONG_AGO, ""),
        (watch(idle=1800), AT - 1801, LONG_AGO, IDLE),
        (watch(idle=1800), AT - 1799, LONG_AGO, ""),
        (watch(idle=60), AT - 120, LONG_AGO, ""),  # the hub may not have heard yet
        (watch(idle=60), AT - NEWS_S, LONG_AGO, IDLE),
        (watch(idle=0), LONG_AGO, LONG_AGO, ""),
        (watch(idle=-1), LONG_AGO, LONG_AGO, ""),
        (watch(idle=1800), None, LONG_AGO, ""),
        (watch(idle=1800), LONG_AGO, None, ""),
        (watch(idle=1800), LONG_AGO, AT - 60, ""),  # the hub has just come back
        (watch(started=AT - 900, idle=1800), LONG_AGO, LONG_AGO, ""),  # used before this session began
        (watch(started=None, idle=1800), LONG_AGO, LONG_AGO, ""),
        (watch(lifetime=6000), AT, None, LIFETIME),
        (watch(lifetime=6001), AT, LONG_AGO, ""),
        (watch(lifetime=0), AT, LONG_AGO, ""),
        (watch(started=None, lifetime=1), AT, LONG_AGO, ""),
        (watch(idle=1800, lifetime=6000), LONG_AGO, LONG_AGO, LIFETIME),
    ],
)
def test_what_ends_a_session(session, last, heard, reason):
    assert check_end(session, last, heard, AT) == reason
