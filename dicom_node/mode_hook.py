"""Telling others that the mode changed: a command, a web address. Nobody waits for either."""

import json
import logging
import os
import queue
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from dicom_node.setting_tables import ModeSettings

_log = logging.getLogger(__name__)

_MOST_WAITING: Final = 100
_STANDARD_ERROR: Final = 2
"""Where our log goes."""


@dataclass(frozen=True, slots=True)
class ModeChange:
    """One change; times are ISO 8601 in UTC. Nothing here is of a patient."""

    node: str
    mode: str
    before: str
    at: str
    by: str
    reason: str


class ModeHook:
    """Tells each change in turn, in a thread of its own.

    Parameters
    ----------
    settings : ModeSettings
    """

    def __init__(self, settings: ModeSettings) -> None:
        self._command = settings.hook_command
        self._url = settings.hook_url
        self._timeout_s = settings.hook_timeout_s
        self._changes: queue.Queue[ModeChange | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="mode-hook", daemon=True)
        self._is_wanted = bool(self._command or self._url)

    def start(self) -> None:
        """Begin to tell."""
        if self._is_wanted:
            self._thread.start()

    def stop(self) -> None:
        """Tell no more; what is being told gets its time."""
        if self._thread.is_alive():
            self._put(None)
            self._thread.join(self._timeout_s)

    def announce(self, change: ModeChange) -> None:
        """Have a change told; returns at once."""
        if self._is_wanted:
            self._put(change)

    def _put(self, change: ModeChange | None) -> None:
        try:
            self._changes.put_nowait(change)
        except queue.Full:
            _log.error("mode_hook_behind")

    def _run(self) -> None:
        while (change := self._changes.get()) is not None:
            if self._command:
                self._try("mode_hook_command_failed", run_command, self._command, change)
            if self._url:
                self._try("mode_hook_url_failed", post_change, self._url, change)

    def _try(self, event: str, tell: object, *arguments: object) -> None:
        try:
            tell(*arguments, self._timeout_s)  # type: ignore[operator]  # one of the two below
        except Exception:  # noqa: BLE001 - a hook of the site may fail in any way; others still run
            _log.warning(event, exc_info=True)


def run_command(command: Sequence[str], change: ModeChange, timeout_s: float) -> None:
    """Run a program with the change in its environment; what it prints goes to our log.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; no shell reads them.
    change : ModeChange
        Each field as `LIFEBOAT_MODE`, `LIFEBOAT_MODE_BEFORE`, `LIFEBOAT_MODE_AT` and so on.
    timeout_s : float
        After it the program and all it started are killed.

    Raises
    ------
    OSError
        There is no such program.
    subprocess.SubprocessError
        It took too long, or ended with another code than 0.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=_STANDARD_ERROR,
        env={**os.environ, **environment_of(change)},
        start_new_session=True,
    )
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code:
        raise subprocess.CalledProcessError(code, command[0])


def environment_of(change: ModeChange) -> dict[str, str]:
    """Return the variables that tell a program of a change."""
    facts = asdict(change)
    return {
        "LIFEBOAT_NODE": facts.pop("node"),
        "LIFEBOAT_MODE": facts.pop("mode"),
        **{f"LIFEBOAT_MODE_{name.upper()}": value for name, value in facts.items()},
    }


def post_change(url: str, change: ModeChange, timeout_s: float) -> None:
    """Send a change as JSON to a web address.

    Raises
    ------
    OSError
        It does not answer, or answers with an error.
    """
    request = urllib.request.Request(
        url,
        json.dumps(asdict(change)).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=timeout_s):
        pass
