"""strace on a running node: which system calls it makes, and faults put into them."""

import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import require_program

SYNCS: Final = ("fsync", "fdatasync", "sync_file_range", "msync", "syncfs")
WRITES: Final = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
NAMES: Final = ("link", "linkat", "rename", "renameat", "renameat2")
CHANGES: Final = (
    *SYNCS,
    *WRITES,
    *NAMES,
    *("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "ftruncate", "truncate", "fallocate"),
    *("copy_file_range", "sendfile", "symlink", "symlinkat"),
)
"""Every call by which a program changes what a disk holds, short of opening a new file."""

_CALL: Final = re.compile(r"^(\d+) +(\w+)\(")


class Strace:
    """strace attached to some threads of a process.

    Parameters
    ----------
    threads : iterable of int
    log : Path
        Where the calls are listed.
    calls : sequence of str
        Those to list, and to put a fault into.
    fault : str
        What to inject, as `-e inject` takes it, e.g. `error=EIO`; '' only lists.
    follow : bool
        Take in threads that begin later; the threads given must be all there are.
    """

    def __init__(
        self,
        threads: Iterable[int],
        log: Path,
        calls: Sequence[str],
        fault: str = "",
        *,
        follow: bool = False,
    ) -> None:
        self._threads = list(threads)
        self._log = log
        self._follow = follow
        names = ",".join(calls)
        self._command = [require_program("strace"), "-q", "-o", str(log), "-e", f"trace={names}"]
        self._command += ["-e", f"inject={names}:{fault}"] if fault else []
        self._command += ["-f"] if follow else []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Strace":
        named = self._threads[:1] if self._follow else self._threads
        attach = [option for thread in named for option in ("-p", str(thread))]
        self._process = subprocess.Popen(
            [*self._command, *attach], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 20
        while not all(map(_is_traced, self._threads)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._give_up()
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)  # it lets go of the threads before it ends
        self._process.wait(30)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _give_up(self) -> None:
        assert self._process is not None
        self._process.kill()
        _, errors = self._process.communicate()
        if b"not permitted" in errors:
            pytest.skip(f"strace is forbidden here: {errors.decode().strip()}")
        raise RuntimeError(f"strace cannot attach: {errors.decode().strip()}")

    def seen(self) -> list[tuple[str, str]]:
        """List the calls as (thread, name), in their order."""
        calls = map(_CALL.match, self._log.read_text(errors="replace").splitlines())
        return [(call[1], call[2]) for call in calls if call]


def known_calls(names: Iterable[str]) -> list[str]:
    """Return those that strace knows on this machine; some exist on some processors only."""
    known = []
    for name in names:
        command = [require_program("strace"), "-o", "/dev/null", "-e", f"trace={name}", "true"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            known.append(name)
    return known


def _is_traced(thread: int) -> bool:
    try:
        status = Path(f"/proc/{thread}/status").read_text()
    except OSError:
        return True  # it ended, as threads do
    return "TracerPid:\t0\n" not in status
