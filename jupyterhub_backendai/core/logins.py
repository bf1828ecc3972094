"""Logins on browsers: what stands for one, and how people recognise theirs."""

from __future__ import annotations

import hashlib

# In this order: Edge and Opera call themselves Chrome too, Chrome calls itself Safari.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Whale/", "Whale"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def hash_session(session_id: str) -> str:
    """What stands for the login of a browser with this session id of the hub's; "" for a browser without any."""
    return hashlib.sha256(session_id.encode("utf-8", "replace")).hexdigest() if session_id else ""


def describe_agent(text: str) -> tuple[str, str]:
    """Browser and system of a ``User-Agent``, "" for what it does not say; a program's own name stands for an unknown browser."""
    browser = next((name for mark, name in _BROWSERS if mark in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    return browser or text.partition("/")[0].partition(" ")[0][:32], system
