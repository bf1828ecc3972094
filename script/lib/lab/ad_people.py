"""The people of the lab's Active Directory: ``ad_people.py SMB_CONF SAM_DATABASE``.

Run by the system's Python, which has Samba's modules.
"""

import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

PASSWORD = "First-Pass1"


def main():
    settings = LoadParm()
    settings.load(sys.argv[1])
    people = SamDB(url=sys.argv[2], session_info=system_session(), lp=settings)
    people.newuser("hub", "Hub-Secret1")
    people.newuser(
        "Kim01", PASSWORD, mailaddress="kim01@ad.example", uid="kim01", uidnumber="20001", gidnumber="20002", unixhome="/home/kim01",
        loginshell="/bin/bash", nisdomain="ad",
    )  # fmt: skip
    for name in ("lee01", "must", "off", "ended"):
        people.newuser(name, PASSWORD)
    people.disable_account("(sAMAccountName=off)")
    people.setexpiry("(sAMAccountName=ended)", 0)
    for group in ("inner", "outer"):
        people.newgroup(group)
    for group, member in (("inner", "Kim01"), ("outer", "inner"), ("inner", "outer")):
        people.add_remove_group_members(group, [member])


if __name__ == "__main__":
    main()
