"""The only thing of ours that is root: a small process with a fixed list of verbs, on a unix socket.

    python -m jupyterhub_backendai.helper --socket /run/jupyterhub-backendai/helper.sock --allow-user jupyterhub

One JSON object in a line comes in (:mod:`.requests` says which), one goes out: ``{"ok": true, …}`` or a problem as
:meth:`jupyterhub_backendai.errors.BackendAIError.to_problem` makes it. Only the allowed account is served (``SO_PEERCRED``).

Each request is a process of its own that becomes the user first and touches the user's files after, so that root never opens a
path that a user can change and a hung ``sbatch`` or file server of one user delays nobody else.
"""
