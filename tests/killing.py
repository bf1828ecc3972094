"""Runs something in a child that is killed at one line of it, so that a test can do so at every line."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

NEVER = 1 << 30


def run_and_kill(work: Callable[[], object], at: int, modules: tuple[str, ...]) -> bool:
    """Do it in a child that ends by SIGKILL before the ``at``-th line of the modules (name parts); whether it was killed."""
    child = os.fork()
    if not child:
        _count_lines(at, modules, lambda: os.kill(os.getpid(), signal.SIGKILL))
        _end(work)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed"
    return False


def count_lines(work: Callable[[], object], modules: tuple[str, ...]) -> int:
    """How many lines of the modules it runs, in a child."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        counter = _count_lines(NEVER, modules, lambda: None)

        def count() -> None:
            work()
            sys.settrace(None)
            os.write(writer, str(counter[0]).encode())

        _end(count)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    assert text, "the work failed"
    return int(text)


def choose_lines(work: Callable[[], object], modules: tuple[str, ...], most: int) -> Iterator[int]:
    """The lines to kill it at: every one, or as many as ``most`` spread over all."""
    total = count_lines(work, modules)
    step = max(1, -(-total // most))
    yield from range(1, total + 1, step)


def _end(work: Callable[[], object]) -> None:
    try:
        work()
    except BaseException as exc:
        os.write(2, f"{type(exc).__name__}: {exc}\n".encode())
        os._exit(1)
    os._exit(0)


def _count_lines(at: int, modules: tuple[str, ...], reached: Callable[[], None]) -> list[int]:
    counter = [0]

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.endswith(modules):
            return None
        if event == "line":
            counter[0] += 1
            if counter[0] == at:
                reached()
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    return counter
