"""What a session printed, as a page may show it: no codes of terminals, no line that was drawn over, nothing that hides text."""

from __future__ import annotations

import re

# CSI and OSC sequences, and other two-character escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_a-z=>])")
# Controls but tab and line end, and marks that turn the direction of the text around.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean_log(text: str) -> str:
    """The text of a log for people. A progress bar that draws itself over and over is shown as it was last."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    lines = (_last_drawn(line) for line in text.split("\n"))
    # A window of the log's end may begin within a character.
    return "\n".join(_UNSEEN.sub("", line) for line in lines).lstrip("\ufffd")


def _last_drawn(line: str) -> str:
    if "\r" not in line:
        return line
    return next((part for part in reversed(line.split("\r")) if part.strip()), "")
