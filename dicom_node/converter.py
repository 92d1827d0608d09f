"""Another form of an instance for a PACS that does not take the one we hold, made by a program."""

import contextlib
import hashlib
import json
import selectors
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dicom_node.errors import BadDataset, PeerUnreachable
from dicom_node.outgoing_file import Damaged
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, read_head
from dicom_node.shipment import Shipment

FOLDER: Final = "outgoing"
"""Holds what is made, in the data folder, until it was sent."""
TIMEOUT_S: Final = 300.0
"""How long one instance may take, seconds."""
_BLOCK: Final = 1 << 20


class CannotConvert(Exception):
    """There is no such form of this instance; says why, for people."""


class Converter:
    """Makes other forms, one at a time.

    Parameters
    ----------
    command : sequence of str
        A program that reads lines of JSON (source, target, transfer syntax UID) and answers each
        with a line: '' or why it cannot.
    folder : Path
        Emptied now: whatever is in it was left behind.
    timeout_s : float
        How long one may take, seconds.
    """

    def __init__(self, command: Sequence[str], folder: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._command = list(command)
        self._folder = folder
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        for left in folder.glob("*.dcm") if folder.is_dir() else ():
            left.unlink(missing_ok=True)

    def convert(self, item: Shipment, transfer_syntax_uid: str) -> Shipment:
        """Make another form of an instance.

        Parameters
        ----------
        item : Shipment
        transfer_syntax_uid : str

        Returns
        -------
        Shipment
            To be given to `discard` in the end.

        Raises
        ------
        CannotConvert
        Damaged
            Our file is not what was stored: it is given to nobody, in no form.
        """
        _check(item)
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"{item.delivery_id}.dcm"
        words = self._ask([item.file, str(target), str(transfer_syntax_uid)])
        if words:
            self._remove(target)
            raise CannotConvert(words)
        try:
            digest = _digest(target)
        except (OSError, BadDataset) as exc:
            raise CannotConvert("what was made cannot be read again") from exc
        return item._replace(
            file=str(target), transfer_syntax_uid=str(transfer_syntax_uid), digest=digest
        )

    def discard(self, item: Shipment) -> None:
        """Remove what was made; of anything else nothing is touched."""
        if item.path.parent == self._folder:
            self._remove(item.path)

    def close(self) -> None:
        """End the program, and start no other."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process.wait()
        self._process = None

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

    def _ask(self, request: Sequence[str]) -> str:
        try:
            process = self._running()
            assert process.stdin is not None  # asked for
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            return str(json.loads(self._line(process)))
        except (OSError, ValueError) as exc:
            self._end()
            if self._is_closed:  # it was we who ended it
                raise PeerUnreachable("delivery is being stopped") from exc
            raise CannotConvert("the program that decompresses ended or hung") from exc

    def _line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None  # asked for
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(self._timeout_s):
                raise TimeoutError
        return process.stdout.readline()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            if self._is_closed:
                raise OSError("closed")
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        return self._process


def _check(item: Shipment) -> None:
    try:
        is_good = not item.digest or _digest(item.path) == item.digest
    except (OSError, BadDataset) as exc:
        raise Damaged("the file cannot be read") from exc
    if not is_good:
        raise Damaged("the data set is not what was stored")


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file's data set in hex."""
    with path.open("rb") as file:
        offset = read_head(file.read(MAXIMUM_HEAD_BYTES)).dataset_offset
        file.seek(offset)
        found = hashlib.sha256()
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
