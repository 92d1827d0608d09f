"""The node that bad input is thrown at, and what must stay true of it afterwards."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import Node, wait_until
from tests.faults import wire
from tests.faults.abuse_datasets import MARK, ct, new_uid

BROKEN_EVENTS = {
    "association_failed",
    "commitment_report_failed",
    "inbox_sweep_failed",
    "index_write_failed",
    "request_failed",
    "store_failed",
    "thread_died",
}
"""Log lines which say that something of ours failed in a way nobody foresaw."""
SETTINGS = ("dicom.idle_timeout_s=6", "dicom.maximum_object_bytes=80000000")


class Target:
    """A running node that holds one acknowledged instance.

    Parameters
    ----------
    node : Node
        Started.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.port = node.dicom_port
        self.data = node.data
        self._witness_uid = new_uid()
        self._lines = 0
        self._witness = ct(self._witness_uid)
        assert self.store(self._witness, self._witness_uid) == 0
        self.wait_until_settled()
        self._threads = self._count_threads()

    @contextlib.contextmanager
    def peer(self, timeout_s: float = 30.0) -> Iterator[wire.Peer]:
        with wire.Peer(self.port, timeout_s) as peer:
            yield peer

    @contextlib.contextmanager
    def association(self, *contexts: wire.Context, **facts: Any) -> Iterator[wire.Peer]:
        with self.peer() as peer:
            answer = peer.associate(*contexts, **facts)
            assert answer.kind == wire.ASSOCIATE_AC, answer
            yield peer

    def store(self, data_set: bytes, uid: str | bytes, syntax: str = wire.EXPLICIT) -> int:
        """Send a data set by C-STORE; return the status of the answer."""
        with self.association((3, wire.CT, [syntax])) as peer:
            answer = peer.store(wire.store_request(uid), data_set)
            assert answer.kind == wire.P_DATA, "an abort in the place of a status"
            return answer.status

    def stored(self, uid: str) -> list[bytes]:
        """Return the files the store holds of an instance."""
        found = (self.data / "instances").rglob(f"{uid}[.~]*")
        return [
            path.read_bytes() for path in found if path.name.split("~")[0] in (uid, f"{uid}.dcm")
        ]

    def quarantined(self, data: bytes) -> bool:
        """Tell whether bytes lie in quarantine, with a reason beside them."""
        for path in (self.data / "quarantine").glob("*.bin"):
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                reason = path.with_suffix(".json")  # follows the bytes
                return reason.exists() and bool(json.loads(reason.read_text())["reason"])
        return False

    def check(self) -> None:
        """Check what every bad input must leave as it was."""
        process = self.node.processes["receive"]
        assert process.poll() is None, "the process ended"
        assert wire.is_alive(self.port)
        [witness] = wait_until(lambda: self.stored(self._witness_uid))
        assert witness.endswith(self._witness)
        self.wait_until_settled()
        self.check_log()

    def check_end(self) -> None:
        """Check what may take some seconds to be so again, and is looked at once for all inputs."""
        self.check()
        wait_until(lambda: self._count_threads() <= self._threads, 15, "no thread is left")
        for folder in self.data.iterdir():
            if folder.name.startswith("inbox"):
                continue  # there the names are those of the senders
            assert not [path for path in (folder, *folder.rglob("*")) if MARK in path.name]

    def check_log(self) -> None:
        """Check that the new lines of the log are ours, foreseen, and name no patient."""
        lines = self.node.log.read_text().splitlines()
        new, self._lines = lines[self._lines :], len(lines)
        for line in new:
            assert MARK not in line
            event = json.loads(line)["event"]  # a traceback or a forged line is no JSON
            assert event not in BROKEN_EVENTS, line

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self.node.log.read_text().splitlines()[since:]]

    def wait_until_settled(self) -> None:
        """Wait until nothing half arrived is left, under any name."""
        incoming = self.data / "incoming"
        wait_until(lambda: not os.listdir(incoming), 10, "incoming/ is empty")

    def peak_bytes(self, process: str = "receive", *, forget: bool = False) -> int:
        """Return the largest resident size of a process since it was last forgotten."""
        folder = Path("/proc", str(self.node.processes[process].pid))
        if forget:
            (folder / "clear_refs").write_text("5")
        return int(_field(folder / "status", "VmHWM")) * 1024

    def _count_threads(self) -> int:
        folder = Path("/proc", str(self.node.processes["receive"].pid))
        return int(_field(folder / "status", "Threads"))


def _field(path: Path, name: str) -> str:
    line = next(line for line in path.read_text().splitlines() if line.startswith(name))
    return line.split()[1]


@contextlib.contextmanager
def running_target(
    folder: Path, ports: list[int], *programs: str, settings=SETTINGS
) -> Iterator[Target]:
    """Run a node for a module of tests; what its log and names hold is checked at the end too."""
    node = Node(folder, ports, *settings)
    try:
        target = Target(node.start("receive", *programs))
        yield target
        target.check_end()
    finally:
        node.stop()
    target.check_log()
