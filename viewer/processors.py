"""Which processors a thread may work on, where the system does not place it well by itself."""

import ctypes
import os
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from functools import cache


@contextmanager
def kept_apart(thread_ids: Sequence[int]) -> Iterator[None]:
    """Keep this thread on the processor it is on, and others off that, for as long as it takes.

    Threads of Python wake one another all the time to hand over its lock, and Linux likes to wake
    a thread where the one that woke it runs. So two that could work at once were seen to take
    turns on one processor while the other stood still, for milliseconds.

    Parameters
    ----------
    thread_ids : sequence of int
        As `threading.get_native_id` gives them, of this process; they stay off that processor.
        With none nothing is done, nor where the system does not say which processor this is.
    """
    allowed = allowed_processors() if thread_ids else frozenset()
    here = _this_processor() if len(allowed) > 1 else -1
    if here not in allowed:
        yield
        return
    for thread_id in thread_ids:
        allow(thread_id, allowed - {here})
    allow(0, {here})
    try:
        yield
    finally:
        allow(0, allowed)


def allowed_processors() -> Set[int]:
    """Return the processors this thread may be on; none where the system has no such notion."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else frozenset()


def allow(thread_id: int, processors: Set[int]) -> None:
    """Let a thread of this process, 0 for this one, be on some processors alone, if that can be."""
    # a thread that has ended, a processor that was taken away, a system without the notion
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(thread_id, processors)


def _this_processor() -> int:
    return int(_c_library().sched_getcpu())


@cache
def _c_library() -> ctypes.PyDLL:
    # called without giving up the interpreter's lock, which takes longer than the call
    return ctypes.PyDLL(None)
