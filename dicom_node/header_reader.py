"""Reads headers: quickly and strictly first, and what is odd once more in a caged process."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from dicom_node.errors import BadDataset, BeyondLimits
from dicom_node.header import EncodedDataset, Header, finish_header, open_dataset, read_header
from dicom_node.parse_worker import READY, REPLY, REQUEST

_log = logging.getLogger(__name__)

TIMEOUT_S: Final = 30.0
"""How long one parse may take by the clock before its process is killed."""
START_TIMEOUT_S: Final = 60.0
"""How long its process may take to begin: it reads its libraries from a disk that may be busy."""
USES: Final = 1000
"""Parses after which the process is replaced, whatever it may have gathered by then."""
START_BYTES: Final = 16 * 1024**2
"""How much of a data set is handed over; pixel data must begin within it."""
_REPLY_BYTES: Final = 1024**2
_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "LANG", "VIRTUAL_ENV")
_SOP_INSTANCE_UID: Final = 0x00080018


@dataclass(frozen=True, slots=True)
class Reading:
    """What pydicom made of the start of a data set: from `offset` on it is still unread."""

    found: dict[int, bytes]
    offset: int
    is_explicit: bool


class HeaderReader:
    """Reads the header of anything that arrives.

    Nearly everything is read here and now. What breaks the standard goes to a worker process, which
    may die of it: that costs this one data set and nothing else.

    Parameters
    ----------
    worker : ParseWorker, optional
    """

    def __init__(self, worker: "ParseWorker | None" = None) -> None:
        self._worker = worker or ParseWorker()

    def read(self, dataset: bytes | memoryview, transfer_syntax_uid: str) -> Header:
        """Read what we index and check that the data set is whole.

        Parameters
        ----------
        dataset, transfer_syntax_uid
            As `dicom_node.header.open_dataset`.

        Raises
        ------
        BadDataset
            Neither we nor pydicom can read it, or it is cut off.
        """
        try:
            return read_header(dataset, transfer_syntax_uid)
        except BeyondLimits:
            raise
        except BadDataset as error:
            header = self._read_leniently(dataset, transfer_syntax_uid)
            if header is None:
                raise
            _log.warning("odd_data_set_read", extra={"error_code": error.code})
            return header

    def close(self) -> None:
        """End the worker process."""
        self._worker.close()

    def _read_leniently(
        self, dataset: bytes | memoryview, transfer_syntax_uid: str
    ) -> Header | None:
        try:
            encoded = open_dataset(dataset, transfer_syntax_uid)
            reading = self._worker.parse(encoded)
            if reading is None or _SOP_INSTANCE_UID not in reading.found:
                return None
            # what pydicom did not look at, the pixels first of all, must be whole by our own rules
            rest = EncodedDataset(
                encoded.data, encoded.order, reading.is_explicit, encoded.is_whole
            )
            return replace(finish_header(rest, reading.found, reading.offset), is_odd=True)
        except BadDataset:
            return None


class ParseWorker:
    """A caged process that reads with pydicom: started when first needed, replaced when it ends.

    Parameters
    ----------
    timeout_s : float
    uses : int
        As the constants above.
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S, uses: int = USES) -> None:
        self._timeout_s = timeout_s
        self._uses = uses
        self._left = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def parse(self, encoded: EncodedDataset) -> Reading | None:
        """Read a data set up to its pixels; None when it cannot be, whatever the reason."""
        with self._lock:
            process = self._running()
            if process is None:
                return None
            try:
                with _killed_after(process, self._timeout_s):
                    _send(process, encoded)
                    reply = _receive(process)
            except (OSError, EOFError):
                self._end()
                _log.warning("parse_worker_died", extra={"exit_code": process.returncode})
                return None
        return _reading(reply, len(encoded.data))

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes] | None:
        if self._left <= 0:
            self._end()
        if self._process is None:
            try:
                self._process = _start()
                with _killed_after(self._process, START_TIMEOUT_S):
                    _await_ready(self._process)
            except (OSError, EOFError):
                self._end()
                _log.exception("parse_worker_not_started")
                return None
            self._left = self._uses
        self._left -= 1
        return self._process

    def _end(self) -> None:
        process, self._process, self._left = self._process, None, 0
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
            process.wait()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dicom_node.parse_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the library quotes data sets
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,  # Ctrl-C is for us: what is being received is finished first
    )


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """Bound every wait for a process: the kill ends them."""
    deadline = threading.Timer(seconds, process.kill)
    deadline.daemon = True
    deadline.start()
    try:
        yield
    finally:
        deadline.cancel()


def _await_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None  # a pipe was asked for
    if process.stdout.read(len(READY)) != READY:
        raise EOFError


def _send(process: subprocess.Popen[bytes], encoded: EncodedDataset) -> None:
    assert process.stdin is not None  # a pipe was asked for
    start = encoded.data[:START_BYTES]
    head = REQUEST.pack(len(encoded.data), encoded.order == "<", len(start))
    process.stdin.write(head)
    process.stdin.write(start)
    process.stdin.flush()


def _receive(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None  # a pipe was asked for
    head = process.stdout.read(REPLY.size)
    if len(head) < REPLY.size or REPLY.unpack(head)[0] > _REPLY_BYTES:
        raise EOFError
    (length,) = REPLY.unpack(head)
    reply = process.stdout.read(length)
    if len(reply) < length:
        raise EOFError
    return reply


def _reading(reply: bytes, total_bytes: int) -> Reading | None:
    """Take the answer for what it is: the word of a process that read hostile bytes."""
    try:
        answer = json.loads(reply)
        found = {int(tag): bytes.fromhex(value) for tag, value in answer["values"].items()}
        offset = int(answer["offset"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not 0 <= offset <= total_bytes:
        return None
    return Reading(found, offset, is_explicit=answer.get("is_explicit") is True)
