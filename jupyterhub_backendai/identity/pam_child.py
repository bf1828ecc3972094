"""One conversation with PAM, in a process of its own: modules may block, crash or leak, and this one can be ended.

Reads ``{"service", "name", "answers", "source"}`` as JSON from its input, writes ``{"code"}``: PAM's own number, 0 for yes. It is run as
a file, by the interpreter alone, so that it starts fast: it imports nothing of ours.
"""

import json
import sys

import pamela


def main() -> int:
    """Ask PAM once."""
    question = json.load(sys.stdin)
    conversation = pamela.new_simple_password_conv(tuple(question["answers"]), "utf-8")
    try:
        handle = pamela.pam_start(question["service"], question["name"], conv_func=conversation)
    except pamela.PAMError as exc:
        json.dump({"code": exc.errno or -1}, sys.stdout)
        return 0
    if question["source"]:
        handle.set_item(pamela.PAM_RHOST, question["source"])
    # The second one, because an expired or closed account still has a code that works.
    code = pamela.PAM_AUTHENTICATE(handle, 0) or pamela.PAM_ACCT_MGMT(handle, 0)
    pamela.PAM_END(handle, code)
    json.dump({"code": code}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
