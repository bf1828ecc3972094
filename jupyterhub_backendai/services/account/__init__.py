"""One's own account: profile, password, one-time password, keypairs, SSH key, logins.

What is done stands in functions that the pages here and ``rest/account.py`` share.
"""

from . import keypairs, logins, otp, password, profile, ssh_key

default_handlers = [
    *profile.default_handlers,
    *password.default_handlers,
    *otp.default_handlers,
    *keypairs.default_handlers,
    *ssh_key.default_handlers,
    *logins.default_handlers,
]
