"""Acts of the audit log in words: ``resource_group.update`` is kept, "Resource group: changed" is read."""

from __future__ import annotations

from ... import i18n
from ...core.nouns import NOUNS
from ...errors import N_

VERBS = {
    "create": N_("made"),
    "update": N_("changed"),
    "delete": N_("deleted"),
    "terminate": N_("ended"),
    "start": N_("start"),
    "add": N_("added"),
    "remove": N_("taken away"),
    "sync": N_("followed its source"),
    "rescan": N_("read anew"),
    "discover": N_("found at the engine"),
    "rotate": N_("renewed"),
    "reset-otp": N_("one-time password reset"),
    "end-idle": N_("ended because it was idle"),
    "end-lifetime": N_("ended because its time was over"),
    "end-credit": N_("ended because its credit was used up"),
    "extend": N_("given more time"),
    "keep": N_("kept although nobody used it"),
}
# What is no verb of a noun's.
ACTS = {
    "login": N_("Log in"),
    "change-password": N_("Change the password"),
    "reset-password": N_("Set a forgotten password anew"),
    "enrol-otp": N_("Set up the one-time password"),
    "otp.reset": N_("Reset the one-time password"),
    "use-recovery-code": N_("Use a recovery code"),
    "renew-recovery-codes": N_("Renew the recovery codes"),
    "prove": N_("Prove who it is"),
    "end-login": N_("End logins"),
    "sign-up": N_("Sign up"),
    "verify-email": N_("Confirm the mail address"),
    "profile.update": N_("Change the profile"),
    "ssh-key.set": N_("Set the SSH key"),
    "ssh-key.remove": N_("Take the SSH key away"),
    "node.drain": N_("Take a node out"),
    "node.resume": N_("Use a node again"),
    "setting.update": N_("Change a setting"),
    "usage.recalculate": N_("Recalculate the use"),
    "ledger.credit": N_("Change somebody's credit"),
    "ledger.mend": N_("Put balances right"),
    "configuration.import": N_("Apply a configuration document"),
    "storage_host.close": N_("Close a storage host that is configured no more"),
    "storage_host.grant": N_("Open a new storage host to everybody"),
    "quota_scope.set": N_("Set the limit of a quota"),
    "quota_scope.unset": N_("Take the own limit of a quota away"),
    "upload-file": N_("Upload a file"),
    "make-directory": N_("Make a directory"),
    "move-file": N_("Move or rename files"),
    "delete-files": N_("Delete files"),
    "write-file": N_("Change the text of a file"),
    "vfolder.create": N_("Make a folder"),
    "vfolder.rename": N_("Rename a folder"),
    "vfolder.options": N_("Change the options of a folder"),
    "vfolder.clone": N_("Copy a folder"),
    "vfolder.trash": N_("Move a folder to the trash"),
    "vfolder.restore": N_("Restore a folder"),
    "vfolder.purge": N_("Delete a folder for good"),
    "vfolder.purged": N_("A folder is deleted for good"),
    "vfolder.give-up": N_("Give up a folder that was never finished"),
    "vfolder.invite": N_("Invite somebody to a folder"),
    "vfolder.accept": N_("Accept an invitation to a folder"),
    "vfolder.decline": N_("Decline an invitation to a folder"),
    "vfolder.cancel-invitation": N_("Take an invitation to a folder back"),
    "vfolder.change-invitation": N_("Change an invitation to a folder"),
    "vfolder.change-share": N_("Change what somebody may do with a folder"),
    "vfolder.share": N_("Give a member a permission of their own in a folder"),
    "vfolder.unshare": N_("Take a folder back from somebody"),
    "vfolder.leave": N_("Leave a shared folder"),
    "vfolder.change-ownership": N_("Give a folder to another owner"),
}
RESULTS = {"ok": N_("done"), "refused": N_("refused"), "failed": N_("failed"), "step": N_("goes on"), "abandoned": N_("given up")}
_NOUNS = {noun.singular: noun for noun in NOUNS.values()}


def show_act(language: str, action: str) -> str:
    """An act in words, and as it is kept, which is what filters and programs want."""
    words = name_act(language, action)
    return action if words == action else f"{words} ({action})"


def name_act(language: str, action: str) -> str:
    """An act in words; one that nobody gave words to as it is kept."""
    known = ACTS.get(action)
    if known:
        return i18n.translate(language, known)
    subject, _, verb = action.partition(".")
    if subject == "login":
        return i18n.translate(language, ACTS["login"])
    if subject in _NOUNS and verb in VERBS:
        return f"{i18n.translate(language, _NOUNS[subject].one)}: {i18n.translate(language, VERBS[verb])}"
    return action
