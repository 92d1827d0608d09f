"""The life of one process of the node: run until told to stop, and never outlive the supervisor."""

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

SUPERVISED: Final = "LIFEBOAT_SUPERVISED"
"""Set in the environment of a supervised process: its standard input ends with the supervisor."""

SWITCH_INTERVAL_S: Final = 0.0005
BEHIND_RECEPTION: Final = 10
"""Nice level of what can wait while a scanner cannot: a tenth of the processor, or what is left."""

_AUTOGROUP: Final = Path("/proc/self/autogroup")


def run_until_stopped(start: Callable[[], object], stop: Callable[[], None]) -> None:
    """Start, wait for SIGTERM or SIGINT, stop.

    Parameters
    ----------
    start, stop : callable
        `stop` may take as long as draining takes.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    # a thread that answers a peer must not wait the default 5 ms for one that keeps accounts
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    stop_with_supervisor()
    start()
    keep_what_stands()
    try:
        stopping.wait()
    finally:
        stop()


def keep_what_stands() -> None:
    """Take what is in memory now for what stays: no search for garbage looks through it again.

    To look through all modules takes tens of milliseconds, in the middle of whatever goes on.
    """
    gc.collect()
    gc.freeze()


def stand_behind_reception() -> None:
    """Give this process, and those it starts, the processor only after those who receive."""
    os.nice(BEHIND_RECEPTION)
    if os.getsid(0) != os.getpid():
        return  # others share our session: a shell, or those who receive
    # the supervisor gives each process a session, and between sessions only this counts (sched(7))
    with contextlib.suppress(OSError):  # not offered here
        _AUTOGROUP.write_text(str(BEHIND_RECEPTION), "ascii")


def stop_with_supervisor() -> None:
    """Send this process SIGTERM when its supervisor is gone, however it went."""
    if SUPERVISED in os.environ:
        threading.Thread(target=_wait_for_end_of_input, name="supervised", daemon=True).start()


def _wait_for_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
