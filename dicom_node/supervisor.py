"""Starts the processes of the node, watches them, and starts again the one that dies."""

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final

from dicom_node.process import SUPERVISED

_log = logging.getLogger(__name__)

EXIT_BAD_SETTINGS: Final = 2
RESTART_MIN_S: Final = 1.0
RESTART_MAX_S: Final = 30.0
HEALTHY_S: Final = 60.0
"""A process that lived this long is restarted at once when it dies, seconds."""
_POLL_S: Final = 0.2


class Child:
    """One supervised process.

    Parameters
    ----------
    name : str
    command : sequence of str
    monotonic : callable
        A clock that never jumps, seconds.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: IO[bytes] | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._monotonic = monotonic
        self._delay_s = RESTART_MIN_S
        self._started_at = 0.0
        self._restart_at: float | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches only us."""
        self._started_at, self._restart_at = self._monotonic(), None
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,  # ends when we end, however that happens
            stderr=self._log,
            env={**os.environ, SUPERVISED: "1"},
            start_new_session=True,
        )

    def exit_code(self) -> int | None:
        """Return the exit code of an ended process, None while it runs or waits for its restart."""
        if self.process is None or self._restart_at is not None:
            return None
        return self.process.poll()

    def plan_restart(self) -> float:
        """Say when a dead process is started again; return the delay in seconds."""
        now = self._monotonic()
        if now - self._started_at > HEALTHY_S:
            self._delay_s = RESTART_MIN_S
        delay_s, self._delay_s = self._delay_s, min(RESTART_MAX_S, 2 * self._delay_s)
        self._restart_at = now + delay_s
        return delay_s

    def restart_if_due(self) -> None:
        """Start a dead process whose time has come."""
        if self._restart_at is not None and self._monotonic() >= self._restart_at:
            self.start()

    def terminate(self) -> None:
        """Ask the process to finish."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def join(self, timeout_s: float) -> None:
        """Wait for the end, and force it when it does not come."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, timeout_s))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


class Supervisor:
    """Runs several processes until told to stop.

    Parameters
    ----------
    commands : mapping of str to sequence of str
        Command line of each process by name; started in this order, stopped in reverse.
    drain_timeout_s : float
        How long all of them together may take to finish, seconds.
    log : binary file, optional
        Where their standard error goes; ours when None.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        drain_timeout_s: float,
        log: IO[bytes] | None = None,
    ) -> None:
        self.children = [Child(name, command, log) for name, command in commands.items()]
        self._drain_timeout_s = drain_timeout_s
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    def run(self, is_ready: Callable[[], bool], on_ready: Callable[[], None]) -> int:
        """Run until `stop`.

        Parameters
        ----------
        is_ready : callable
            Tells whether all processes do their work.
        on_ready : callable
            Called once, when they first do.

        Returns
        -------
        int
            0 after `stop`; 2 when a process could not start with these settings.
        """
        announced = False
        for child in self.children:
            child.start()
        try:
            while not self._stopping.wait(_POLL_S):
                if any(self._has_bad_settings(child, announced) for child in self.children):
                    return EXIT_BAD_SETTINGS
                for child in self.children:
                    self._revive(child)
                if not announced and is_ready():
                    announced = True
                    on_ready()
            return 0
        finally:
            self._drain()

    @staticmethod
    def _has_bad_settings(child: Child, announced: bool) -> bool:
        # once everything ran, the same code has a passing cause: keep trying
        return not announced and child.exit_code() == EXIT_BAD_SETTINGS

    @staticmethod
    def _revive(child: Child) -> None:
        code = child.exit_code()
        if code is not None:
            delay_s = child.plan_restart()
            facts = {"child": child.name, "exit_code": code, "ms": int(delay_s * 1000)}
            _log.error("process_died", extra=facts)
        try:
            child.restart_if_due()
        except OSError:
            _log.exception("process_not_started", extra={"child": child.name})
            child.plan_restart()

    def _drain(self) -> None:
        deadline = time.monotonic() + self._drain_timeout_s
        for child in reversed(self.children):
            child.terminate()
        for child in reversed(self.children):
            child.join(deadline - time.monotonic())
