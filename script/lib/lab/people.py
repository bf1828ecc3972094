"""The people of the lab's directory, once: as LDIF for slapd, and as Unix users and groups for the nodes.

``people.py ldif DIRECTORY`` writes people.ldif (for slapadd) and groups.ldif, otp.ldif (for ldapmodify: their overlays act on writes).
``people.py radius`` prints the users file of FreeRADIUS.
``people.py unix`` prints "name uid gid home" of those who have a Unix account here, ``people.py groups`` "name gid".
Passwords are ``Pa55w0rd!<uid>``.
"""

import base64
import hashlib
import os
import sys
from pathlib import Path

BASE = "dc=cm,dc=cluster"
FAMILIES = ["kim", "lee", "park", "choi", "jung", "kang", "cho", "yoon", "jang", "lim"]
USERS = [f"{family}{number:02d}" for number in range(1, 6) for family in FAMILIES]
UIDS = {user: 10001 + index for index, user in enumerate(USERS)}
GROUPS = ["ops", "hpc", "ai", "edu", "industry"]
DEPARTMENTS = ["admin", "hpc", "ai", "edu", "industry"]
OTP_USERS = ["park01", "park02", "park03"]
RADIUS_USERS = {"choi02": "code", "jung02": "password+code", "lim02": "challenge", "kang02": "challenge"}
ON_NODES = ["kim01", "kim02", "lee01", "lee02", "park04", "choi01", "jung01", "UPPER"]
SERVICES = {"hub": "hub-secret", "pwadmin": "pwadmin-secret"}
SPECIAL = {
    "yoon05": {"pwdPolicySubentry": f"cn=short,ou=policies,{BASE}"},
    "jang05": {"pwdReset": "TRUE"},  # must change the password at the next login
    "cho05": {"pwdAccountLockedTime": "000001010000Z"},  # locked by an administrator
    "lim05": {"shadowExpire": "19000", "loginShell": "/sbin/nologin"},  # closed the Unix way; a bind still works
}


def hash_password(password):
    salt = os.urandom(8)
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()


def seed_of(user):
    """The key of a person's one-time passwords, as ASCII."""
    return hashlib.sha1(f"seed-{user}".encode()).hexdigest()[:20]


def format_line(name, value):
    text = str(value)
    if not text.isascii() or text.startswith((" ", ":", "<")):
        return f"{name}:: {base64.b64encode(text.encode()).decode()}"
    return f"{name}: {text}"


def format_entry(dn, **attributes):
    lines = [format_line("dn", dn)]
    for name, value in attributes.items():
        lines += [format_line(name, one) for one in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n"


def user_dn(user):
    return f"uid={user},ou=people,{BASE}"


def group_id(user):
    return 20001 + USERS.index(user) // 10 if user in UIDS else 20001


def list_tree():
    yield format_entry(BASE, objectClass=["top", "dcObject", "organization"], dc="cm", o="Supercomputing Centre")
    for unit in ("people", "group", "project", "policies", "services", "otp"):
        yield format_entry(f"ou={unit},{BASE}", objectClass="organizationalUnit", ou=unit)


def list_policies():
    common = {"objectClass": ["device", "pwdPolicy", "pwdPolicyChecker"], "pwdAttribute": "userPassword"}
    strict = {"pwdMustChange": "TRUE", "pwdAllowUserChange": "TRUE", "pwdMinLength": 9, "pwdCheckQuality": 1, "pwdLockout": "TRUE"}
    policies = {
        "default": {**strict, "pwdMaxFailure": 5, "pwdLockoutDuration": 60, "pwdFailureCountInterval": 300, "pwdMaxAge": 7776000,
                    "pwdExpireWarning": 1209600, "pwdGraceAuthnLimit": 0, "pwdInHistory": 3, "pwdSafeModify": "FALSE"},
        "short": {**strict, "pwdMaxFailure": 3, "pwdLockoutDuration": 0, "pwdMaxAge": 60, "pwdExpireWarning": 59, "pwdGraceAuthnLimit": 2},
        "service": {"pwdLockout": "FALSE", "pwdMaxAge": 0},
    }  # fmt: skip
    for name, settings in policies.items():
        yield format_entry(f"cn={name},ou=policies,{BASE}", **common, cn=name, **settings)


def list_services():
    for name, secret in SERVICES.items():
        yield format_entry(
            f"cn={name},ou=services,{BASE}", objectClass=["applicationProcess", "simpleSecurityObject"], cn=name,
            userPassword=hash_password(secret), pwdPolicySubentry=f"cn=service,ou=policies,{BASE}",
        )  # fmt: skip


def list_people():
    for index, user in enumerate(USERS):
        attributes = {
            "objectClass": ["inetOrgPerson", "posixAccount", "shadowAccount"], "uid": user, "cn": f"{user} 사용자", "sn": user[:-2],
            "givenName": user[-2:], "mail": f"{user}@hpc.example.kr", "uidNumber": UIDS[user], "gidNumber": group_id(user),
            "homeDirectory": f"/home/{user}", "loginShell": "/bin/bash", "telephoneNumber": f"+82-42-869-{1000 + index}",
            "departmentNumber": DEPARTMENTS[index // 10], "userPassword": hash_password("Pa55w0rd!" + user), **SPECIAL.get(user, {}),
        }  # fmt: skip
        yield format_entry(user_dn(user), **attributes)


def list_odd_people():
    """A name with comma and quote (and somebody else's mail), a name in capitals, a person without a Unix account."""
    posix = {"objectClass": ["inetOrgPerson", "posixAccount"], "gidNumber": 20001, "loginShell": "/bin/bash"}
    yield format_entry(
        f"cn=O'Brien\\, Pat (ext),ou=people,{BASE}", **posix, uid="pat", cn="O'Brien, Pat (ext)", sn="O'Brien",
        mail="kim01@hpc.example.kr", uidNumber=10901, homeDirectory="/home/pat", userPassword=hash_password("Pa55w0rd!pat"),
    )  # fmt: skip
    yield format_entry(
        user_dn("UPPER"), **posix, uid="UPPER", cn="Upper", sn="Upper", mail="upper@hpc.example.kr", uidNumber=10902,
        homeDirectory="/home/upper", userPassword=hash_password("Pa55w0rd!UPPER"),
    )  # fmt: skip
    yield format_entry(
        user_dn("guest01"), objectClass="inetOrgPerson", uid="guest01", cn="guest01 손님", sn="guest", mail="guest01@hpc.example.kr",
        userPassword=hash_password("Pa55w0rd!guest01"),
    )  # fmt: skip


def list_unix_groups():
    for index, name in enumerate(GROUPS):
        yield format_entry(
            f"cn={name},ou=group,{BASE}", objectClass="posixGroup", cn=name, gidNumber=20001 + index,
            memberUid=USERS[index * 10 : index * 10 + 10],
        )  # fmt: skip
    yield format_entry(f"cn=vpn,ou=group,{BASE}", objectClass="posixGroup", cn="vpn", gidNumber=20100, memberUid=USERS[:49])


def list_otp():
    yield format_entry(
        f"cn=totp-params,ou=otp,{BASE}", objectClass=["device", "oathTOTPParams"], cn="totp-params", oathOTPLength=6,
        oathHMACAlgorithm="1.2.840.113549.2.7", oathTOTPTimeStepPeriod=30, oathTOTPTimeStepWindow=1,
    )  # fmt: skip
    for user in OTP_USERS:
        yield format_entry(
            f"cn=totp-{user},ou=otp,{BASE}", objectClass=["device", "oathTOTPToken"], cn=f"totp-{user}",
            oathTOTPParams=f"cn=totp-params,ou=otp,{BASE}", oathSecret=seed_of(user),
        )  # fmt: skip


def list_projects():
    """Research projects are groupOfNames; the memberOf overlay fills in the other side when they are written."""
    for number in range(1, 9):
        members = [user_dn(user) for index, user in enumerate(USERS) if index % 8 == number - 1]
        yield format_entry(
            f"cn=prj{number:03d},ou=project,{BASE}", objectClass="groupOfNames", cn=f"prj{number:03d}", description=f"Project {number}",
            owner=user_dn(USERS[number]), member=members,
        )  # fmt: skip
    groups = {
        "jhub-users": [user_dn(user) for user in [*USERS[:45], "UPPER", "guest01"]],
        "jhub-admins": [user_dn(user) for user in USERS[:2]],
        "nested": [f"cn=prj001,ou=project,{BASE}", user_dn("lim04")],
    }
    for name, members in groups.items():
        yield format_entry(f"cn={name},ou=project,{BASE}", objectClass="groupOfNames", cn=name, member=members)


def list_otp_users():
    for user in OTP_USERS:
        yield (
            f"dn: {user_dn(user)}\nchangetype: modify\nadd: objectClass\nobjectClass: oathTOTPUser\n-\n"
            f"add: oathTOTPToken\noathTOTPToken: cn=totp-{user},ou=otp,{BASE}\n"
        )


def list_radius():
    for user, kind in RADIUS_USERS.items():
        secret = base64.b32encode(seed_of(user).encode()).decode()
        yield f'{user} Cleartext-Password := "Pa55w0rd!{user}", TOTP-Secret := "{secret}", Tmp-String-0 := "{kind}"'


def write_ldif(directory):
    people = [*list_tree(), *list_policies(), *list_services(), *list_people(), *list_odd_people(), *list_unix_groups(), *list_otp()]
    for name, entries in (("people", people), ("groups", list_projects()), ("otp", list_otp_users())):
        Path(directory, f"{name}.ldif").write_text("\n".join(entries) + "\n")


def main():
    if sys.argv[1] == "ldif":
        write_ldif(sys.argv[2])
    elif sys.argv[1] == "radius":
        print("\n".join(list_radius()))
    elif sys.argv[1] == "groups":
        print("\n".join(f"{name} {20001 + index}" for index, name in enumerate(GROUPS)))
    else:
        print("\n".join(f"{name} {UIDS.get(name, 10902)} {group_id(name)} /home/{name.lower()}" for name in ON_NODES))


if __name__ == "__main__":
    main()
