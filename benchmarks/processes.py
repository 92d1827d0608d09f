"""Programs on this machine: found, started, waited for, and always stopped."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_ADMINISTRATION: Final = "/usr/sbin"
"""Where distributions put Orthanc; not on everybody's PATH."""
_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.02


class BenchmarkError(Exception):
    """A measurement could not be made; says in words why."""


def find_program(name: str) -> str | None:
    """Return the path of a program, None when it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}{os.pathsep}{_ADMINISTRATION}")


def require_program(name: str) -> str:
    """Return the path of a program.

    Raises
    ------
    BenchmarkError
        It is not installed.
    """
    path = find_program(name)
    if path is None:
        raise BenchmarkError(f"{name} is not installed")
    return path


def free_ports(count: int) -> list[int]:
    """Return loopback ports nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind((LOOPBACK, 0))
        return [int(item.getsockname()[1]) for item in sockets]


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    ports: Sequence[int],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    ports : sequence of int
        Loopback ports it opens when it is ready.
    log : Path
        Where its output goes.
    environment : mapping, optional
        Its environment; None = ours.
    folder : Path, optional
        Its working folder; None = ours.

    Raises
    ------
    BenchmarkError
        It ended, or did not open its ports in time.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
            start_new_session=True,  # so that what it forks is stopped with it
        )
    try:
        wait_until(lambda: _is_ready(process, ports, log), f"{command[0]} opens its ports")
        yield process
    finally:
        stop(process)


def _is_ready(process: subprocess.Popen[bytes], ports: Sequence[int], log: Path) -> bool:
    if process.poll() is not None:
        last_words = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise BenchmarkError(f"the program ended at its start: {''.join(last_words)}")
    return all(_is_open(port) for port in ports)


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
        return True
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program of ours that leads its own session, and whatever it left behind."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(
    condition: Callable[[], bool], what: str, timeout_s: float = _START_TIMEOUT_S
) -> None:
    """Poll until a condition holds.

    Raises
    ------
    BenchmarkError
        It did not within the time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(_POLL_S)


def first_line(command: Sequence[str]) -> str:
    """Return the first line a program prints, '' when it is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return ""
    return next(iter((done.stdout + done.stderr).splitlines()), "")
