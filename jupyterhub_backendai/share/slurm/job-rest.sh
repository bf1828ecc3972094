#!/bin/sh
# The job script of every session that slurmrestd submits: the same bytes for every user and every request. Nobody but the job itself
# can make the user's directories or write into them then, so the program that it becomes does that first, and fetches the session
# from the hub for the one ticket that it has.
umask 077
exec "$BACKENDAI_PYTHON" -I "$BACKENDAI_PROGRAMS/remote.py"
