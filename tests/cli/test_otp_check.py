"""What ``config check`` says about who knows the one-time passwords."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.cli.check import list_problems
from jupyterhub_backendai.config import BackendAI

LDAP = {"directory": "ldap", "ldap_servers": ["ldaps://x"], "ldap_user_base": "dc=x"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"otp_backend": "sms"}, "there is no sms"),
        ({"otp_backend": "radius"}, "otp_secret_file"),
        ({"otp_backend": "privacyidea"}, "otp_servers is needed"),
        ({"otp_backend": "privacyidea", "otp_servers": ["http://otp.example"]}, "in clear"),
        ({"otp_backend": "privacyidea", "otp_servers": ["https://x"], "otp_sends": "all"}, "otp_sends"),
        ({"otp_backend": "pam", "otp_pam_service": "no-such"}, "/etc/pam.d/no-such"),
        ({"otp_backend": "ldap-append"}, "needs directory = 'ldap'"),
        ({"otp_backend": "ldap-append", **LDAP}, "have a token"),
    ],
)
def test_problems(settings, words):
    assert [problem for problem in list_problems(BackendAI(**settings)) if words in problem]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"otp_backend": "privacyidea", "otp_servers": ["https://x"]},
        {"otp_backend": "ldap-append", **LDAP, "allowed_groups": ["otp"]},
        {"otp_backend": "ldap-append", **LDAP, "ldap_user_filter": "(&(uid={name})(objectClass=oathTOTPUser))"},
    ],
)
def test_no_problems(settings):
    assert not [problem for problem in list_problems(BackendAI(**settings)) if "otp" in problem]
