#!/bin/sh
# The job script of every session: the same bytes for every user and every request. It knows three paths, which the helper made
# from its own options and the session's id; all that a user chose is in the session file, which belongs to the user.
# `exec` keeps the process, so that the signal which ends the job reaches the server itself.
umask 077
session=$BACKENDAI_SESSION_FILE python=$BACKENDAI_PYTHON wrapper=$BACKENDAI_WRAPPER
unset BACKENDAI_SESSION_FILE BACKENDAI_PYTHON BACKENDAI_WRAPPER
exec "$python" "$wrapper" --session "$session"
