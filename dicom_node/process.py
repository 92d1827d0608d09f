"""The life of one process of the node: run until told to stop, and never outlive the supervisor."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

SUPERVISED: Final = "LIFEBOAT_SUPERVISED"
"""Set in the environment of a supervised process: its standard input ends with the supervisor."""

SWITCH_INTERVAL_S: Final = 0.0005


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
    try:
        stopping.wait()
    finally:
        stop()


def stop_with_supervisor() -> None:
    """Send this process SIGTERM when its supervisor is gone, however it went."""
    if SUPERVISED in os.environ:
        threading.Thread(target=_wait_for_end_of_input, name="supervised", daemon=True).start()


def _wait_for_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
