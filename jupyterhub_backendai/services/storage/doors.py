"""Whether folders are everybody's own, by way of the helper, or all of them this account's."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

LOOK_S = 2.0  # a file server that does not answer holds up no start


class HelperDoor:
    """The helper's socket, and whether work goes that way.

    It does once the socket was seen, for as long as this process lives: the helper may be restarting. It also does where a storage
    host's directory is somebody else's (root's), because then a helper belongs to it and is only not there yet; what is asked
    meanwhile is refused for now, and nothing is done as this account that would have to be undone.
    """

    def __init__(self, socket_path: str = "", directories: Iterable[str] = ()) -> None:
        self.socket_path = socket_path
        self._is_needed = bool(socket_path) and not _are_ours(list(directories))

    @property
    def is_needed(self) -> bool:
        """Whether the helper does it, be it there at this moment or not."""
        if not self._is_needed and self.socket_path:
            self._is_needed = Path(self.socket_path).is_socket()
        return self._is_needed


def as_door(helper: HelperDoor | str, directories: Iterable[str] = ()) -> HelperDoor:
    """The door of a socket's path, or the one that is given."""
    return helper if isinstance(helper, HelperDoor) else HelperDoor(helper, directories)


def _are_ours(directories: list[str]) -> bool:
    """Whether this account has them, or would make them. One that does not answer is taken for somebody else's."""
    found: list[bool] = []
    look = threading.Thread(target=lambda: found.append(all(map(_is_ours, directories))), daemon=True)
    look.start()
    look.join(LOOK_S)
    return found == [True]


def _is_ours(directory: str) -> bool:
    try:
        return Path(directory).stat().st_uid == os.geteuid()
    except FileNotFoundError:
        return True
    except OSError:
        return False
