"""Makes secrets, database and demo people of an installation, as the account that runs the hub. Prints the people as JSON.

``prepare.py CONFIG [--lab]`` with ``BACKENDAI_STATE`` set. Everything is made once; a second run changes nothing.
"""

import argparse
import asyncio
import base64
import json
import os
import secrets
import sys
from pathlib import Path

LAB_PEOPLE = {"kim01": "kim01", "lee01": "lee01", "kim02": "kim02", "upper": "UPPER", "guest01": "guest01", "park04": "park04"}
LOCAL_PEOPLE = {"admin": "Administrator", "user1": "User 1", "user2": "User 2", "newcomer": "Newcomer"}
NOT_ENROLLED = {"park04", "newcomer"}


def write_private(path, text):
    """A file of mode 0600, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def make_secrets(state):
    """The secrets of this installation, made where missing. Returns all of them."""
    path = state / "secrets.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    made = {name: secrets.token_hex(32) for name in ("private", "cookie", "proxy", "oauth_state")}
    made["crypt"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    if not made.keys() <= kept.keys():
        kept = {**made, **kept}
        write_private(path, json.dumps(kept, indent=1) + "\n")
    return kept


def make_people(state, kept, lab):
    """Names, passwords and one-time-password secrets of the demo people."""
    people = kept.get("people", {})
    names = LAB_PEOPLE if lab else LOCAL_PEOPLE
    if people.keys() != names.keys():
        people = {
            name: {
                "login": label if lab else name,
                "password": f"Pa55w0rd!{label}" if lab else secrets.token_urlsafe(9),
                "otp": "" if name in NOT_ENROLLED else base64.b32encode(secrets.token_bytes(20)).decode(),
            }
            for name, label in names.items()
        }
        write_private(state / "secrets.json", json.dumps({**kept, "people": people}, indent=1) + "\n")
    return people


async def store_people(settings, people, lab):
    """The rows of the demo people: accounts of the embedded directory, and confirmed tokens."""
    from jupyterhub_backendai.identity.local import hash_password
    from jupyterhub_backendai.store import otp, users
    from jupyterhub_backendai.store.crypt import Crypt
    from jupyterhub_backendai.store.database import Database

    crypt = Crypt(settings.read_secret("crypt"))

    def store(db):
        for name, person in people.items():
            if not lab and users.get_local_account(db, name) is None:
                users.set_local_account(db, name, hash_password(person["password"]), LOCAL_PEOPLE[name], f"{name}@localhost")
            if person["otp"] and otp.get_token(db, name) is None:
                otp.set_confirmed(db, name, crypt.encrypt(person["otp"], otp.purpose(name)))

    database = Database(settings.database_url)
    try:
        await database.run_exclusive(store)
    finally:
        await database.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--lab", action="store_true")
    arguments = parser.parse_args()
    os.umask(0o077)
    state = Path(os.environ["BACKENDAI_STATE"])
    (state / "log").mkdir(exist_ok=True)
    people = make_people(state, make_secrets(state), arguments.lab)
    if arguments.lab:
        write_private(state / "ldap-password", "hub-secret\n")

    from jupyterhub_backendai.config import load_settings
    from jupyterhub_backendai.store.database import upgrade

    settings = load_settings(arguments.config)
    upgrade(settings.database_url)
    asyncio.run(store_people(settings, people, arguments.lab))
    json.dump(people, sys.stdout)


if __name__ == "__main__":
    main()
