"""privacyIDEA for the lab: ``fill`` makes its database, ``serve`` answers. Run by its own virtual environment.

``privacyidea.py fill|serve DIRECTORY PORT CERTIFICATES``. choi03, jung03 and lim03 have tokens, yoon03 has none; in the realm ``code`` the
code alone is sent, in ``both`` the password and the code in one field, in ``asks`` the password, and the code when it is asked for.
"""

import os
import secrets
import subprocess
import sys
from pathlib import Path

# beside this file stands another module of the name: the package is meant
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

PEOPLE = Path(__file__).with_name("people.py")
TOKENS = ("choi03", "jung03", "lim03")
REALMS = {
    "code": "otppin=none",
    "both": "otppin=userstore",
    "asks": "otppin=userstore,challenge_response=totp,challenge_text=Please enter the number on your card:",
}


def write_settings(directory):
    """A database of its own; the audit log signs nothing."""
    settings = {
        "SUPERUSER_REALM": ["super"], "SQLALCHEMY_DATABASE_URI": f"sqlite:///{directory}/privacyidea.sqlite",
        "SECRET_KEY": secrets.token_hex(), "PI_PEPPER": secrets.token_hex(), "PI_ENCFILE": f"{directory}/enckey",
        "PI_AUDIT_NO_SIGN": True, "PI_AUDIT_NO_PRIVATE_KEY_CHECK": True, "PI_LOGFILE": f"{directory}/run/privacyidea.log",
        "PI_UUID_FILE": f"{directory}/uuid", "PI_AUDIT_MODULE": "privacyidea.lib.auditmodules.base",
    }  # fmt: skip
    Path(directory, "pi.cfg").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))


def write_people(directory):
    lines = []
    for number, user in enumerate((*TOKENS, "yoon03")):
        hashed = subprocess.run(["openssl", "passwd", "-6", f"Pa55w0rd!{user}"], capture_output=True, text=True, check=True).stdout.strip()
        lines.append(f"{user}:{hashed}:{2000 + number}:2000:{user}:/home/{user}:/bin/false\n")
    Path(directory, "people").write_text("".join(lines))


def fill(directory):
    import importlib.util

    for name in ("privacyidea.sqlite", "enckey"):
        Path(directory, name).unlink(missing_ok=True)
    write_settings(directory)
    write_people(directory)
    environment = {**os.environ, "PRIVACYIDEA_CONFIGFILE": f"{directory}/pi.cfg"}
    for command in ("create_enckey", "create_tables"):
        subprocess.run([Path(sys.executable).with_name("pi-manage"), "setup", command], env=environment, check=True)
    spec = importlib.util.spec_from_file_location("lab_people", PEOPLE)
    people = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(people)

    from privacyidea.lib.policy import set_policy
    from privacyidea.lib.realm import set_default_realm, set_realm
    from privacyidea.lib.resolver import save_resolver
    from privacyidea.lib.token import init_token
    from privacyidea.lib.user import User

    with make_app(directory).test_request_context():
        for realm, actions in REALMS.items():
            save_resolver({"resolver": f"people-{realm}", "type": "passwdresolver", "fileName": f"{directory}/people"})
            set_realm(realm, [{"name": f"people-{realm}"}])
            set_policy(realm, scope="authentication", action=actions, realm=realm)
            for user in TOKENS:
                init_token({"type": "totp", "otpkey": people.seed_of(user).encode().hex()}, User(user, realm=realm))
        set_default_realm("code")


def make_app(directory):
    from privacyidea.app import create_app

    return create_app(config_name="production", config_file=f"{directory}/pi.cfg", silent=True, initialize_hsm=True)


def main():
    verb, directory, port, certificates = sys.argv[1:]
    if verb == "fill":
        fill(directory)
    else:
        tls = (f"{certificates}/server.pem", f"{certificates}/server.key")
        make_app(directory).run(host="127.0.0.1", port=int(port), ssl_context=tls, threaded=True)


if __name__ == "__main__":
    main()
