"""What the senders were told, and whether the node kept it."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dicom_node.errors import BadDataset
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, read_head
from tests.faults.instances import Instance
from tests.faults.sender import SUCCESS, Aborted, Answer, Scu

_PAGE = 20_000


@dataclass
class Ledger:
    """Acknowledgements as they arrive, from any number of threads.

    `acknowledged` maps SOP Instance UID to digest; an instance without an answer is in `unknown`
    until it is sent again.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    refused: list[Answer] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    aborts: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def answered(self, instance: Instance, answer: Answer) -> None:
        """Enter an answer at the moment it came."""
        with self._changed:
            self.unknown.pop(instance.sop_instance_uid, None)
            if answer.status == SUCCESS:
                self.acknowledged[instance.sop_instance_uid] = instance.digest
            else:
                self.refused.append(answer)
            self._changed.notify_all()

    def broke(self, instance: Instance | None, *, by_abort: bool = False) -> None:
        """Enter that a connection ended, with the instance that was under way."""
        with self._changed:
            if instance is not None:
                self.unknown[instance.sop_instance_uid] = instance.digest
            self.aborts += by_abort

    def so_far(self) -> dict[str, str]:
        """Return what is acknowledged until now."""
        with self._changed:
            return dict(self.acknowledged)

    def wait_for(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait until that many are acknowledged."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= count, timeout_s), (
                f"{len(self.acknowledged)} of {count} acknowledged within {timeout_s} s; "
                f"refused: {self.refused[-1:]}"
            )


class Senders:
    """Scanners that send side by side, and send again what got no answer, until they are stopped.

    Parameters
    ----------
    port : int
    ledger : Ledger
    instances : callable
        Makes what one scanner sends.
    count : int
    """

    def __init__(
        self, port: int, ledger: Ledger, instances: Callable[[], Iterator[Instance]], count: int = 4
    ) -> None:
        self._port = port
        self._ledger = ledger
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(instances(),)) for _ in range(count)
        ]

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish what is under way."""
        self._stopping.set()
        self.join()

    def join(self) -> None:
        """Wait until all is sent, where `instances` ends."""
        for thread in self._threads:
            thread.join()

    def _run(self, instances: Iterator[Instance]) -> None:
        left = next(instances, None)
        while left is not None and not self._stopping.is_set():
            try:
                with Scu(self._port) as scu:
                    while left is not None and not self._stopping.is_set():
                        self._ledger.answered(left, scu.store(left))
                        left = next(instances, None)
                    scu.release()
            except OSError as exc:
                self._ledger.broke(left, by_abort=isinstance(exc, Aborted))
                self._stopping.wait(0.02)


@dataclass(frozen=True)
class Findings:
    """Acknowledged instances not whole in store and index, and visible files not whole."""

    lost: list[str]
    torn: list[str]


def audit(data: Path, acknowledged: Mapping[str, str], timeout_s: float = 20.0) -> Findings:
    """Compare store and index of a running node with what it acknowledged.

    It may take a moment to enter what it took over; what is missing at the end of it is lost.
    """
    deadline = time.monotonic() + timeout_s
    while not set(acknowledged) <= set(indexed_digests(data)) and time.monotonic() < deadline:
        time.sleep(0.05)
    while True:
        rows, files = indexed_digests(data), stored_digests(data)
        torn = [uid for uid, digests in files.items() if "" in digests]
        lost = [
            uid
            for uid, digest in acknowledged.items()
            if digest not in files.get(uid, ()) or digest not in rows.get(uid, ())
        ]
        if not (lost or torn) or time.monotonic() > deadline:
            return Findings(lost, torn)
        time.sleep(0.05)


def indexed_digests(data: Path) -> dict[str, set[str]]:
    """Return the digests the index has for each SOP Instance UID."""
    reader, last = IndexReader(data / INDEX_FILE), 0
    found: dict[str, set[str]] = {}
    try:
        while records := reader.instances_after(last, _PAGE):
            last = records[-1].instance_id
            for record in records:
                found.setdefault(record.sop_instance_uid, set()).add(record.digest)
    finally:
        reader.close()
    return found


def stored_digests(data: Path) -> dict[str, set[str]]:
    """Return the digests of the stored files of each SOP Instance UID; '' for a torn one."""
    found: dict[str, set[str]] = {}
    for path in (data / "instances").rglob("*.dcm"):
        uid = path.stem.partition("~")[0]
        found.setdefault(uid, set()).add(whole_digest(path))
    return found


def whole_digest(path: Path) -> str:
    """Return the digest of a file's data set, '' where it is not the one its head tells."""
    content = path.read_bytes()
    try:
        head = read_head(content[:MAXIMUM_HEAD_BYTES])
    except BadDataset:
        return ""
    digest = hashlib.sha256(memoryview(content)[head.dataset_offset :]).hexdigest()
    return digest if digest == head.digest else ""
