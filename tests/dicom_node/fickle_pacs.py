"""A PACS that misbehaves at random, in every way archives were seen to, and remembers how often.

Connections go through a door of its own, which rejects, freezes or cuts some; behind it is the
practice PACS, which refuses, drops, stays silent, and does not commit. The order is that of the
seed; what it did to each instance is in `excuses`.
"""

import contextlib
import random
import selectors
import socket
import struct
import threading
import time
from collections import Counter

from pydicom.dataset import Dataset

from sample_data.commitment import event_report, report_to_address
from sample_data.pacs import COURIER_TIMEOUT_S, PracticePacs, _make_entity
from tests.dicom_node.scripted_peer import Conversation, Ended

REASONS = (0x0110, 0x0112, 0x0119, 0x0122, 0x0131, 0x0213)
OF_CONNECTION = {
    "reject": 0.04,
    "freeze": 0.03,
    "reset": 0.08,
    "wrong AE": 0.02,
    "no context": 0.03,
}
OF_STORE = {"A700": 0.02, "C000": 0.03, "B000": 0.05, "silence": 0.01, "drop": 0.04}
OF_COMMITMENT = {"never answered": 0.15}
COMMITMENT_FAILS = 0.05
"""For each instance, at random for one of `REASONS`."""


class FicklePacs(PracticePacs):
    """Misbehaves as `seed` says; silence lasts `silence_s`, longer than a sender is to wait."""

    def __init__(self, folder, *, seed: int, silence_s: float = 0.0, **options) -> None:
        super().__init__(folder, port=0, **options)
        self.silence_s = silence_s
        self._random = random.Random(seed)
        self._dice = threading.Lock()
        self.did: Counter[str] = Counter()
        self.excuses: Counter[str] = Counter()

    def _make_server_entity(self):
        entity = super()._make_server_entity()
        entity.require_called_aet = True
        return entity

    def behave(self, ways: dict[str, float]) -> str:
        """Choose what to do, '' for nothing wrong."""
        with self._dice:
            at = self._random.random()
            for way, share in ways.items():
                at -= share
                if at < 0:
                    self.did[way] += 1
                    return way
        return ""

    def choose(self, choices):
        """Choose a reason, each as often as the others."""
        with self._dice:
            done = [self.did[f"commitment {reason:04X}"] for reason in choices]
            return self._random.choice(
                [r for r, n in zip(choices, done, strict=True) if n == min(done)]
            )

    def _store(self, event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        way = self.behave(OF_STORE)
        if way in ("A700", "C000"):
            self._holdings.count(uid)
            self.excuses[uid] += 1
            return int(way, 16)
        if way == "drop":
            self._holdings.count(uid)
            self.excuses[uid] += 1
            return 0x0000
        status = super()._store(event)
        if way == "silence":
            self.excuses[uid] += 1
            time.sleep(self.silence_s)
        return 0xB000 if way == "B000" else status

    def _deliver(self, request, asked_on) -> None:
        if self.behave(OF_COMMITMENT):
            return
        _, event = event_report(request, self._class_held, self.ae_title)
        report = self._spoilt(event)
        report_to_address(
            _make_entity(self.ae_title, COURIER_TIMEOUT_S),
            self._return_addresses["LIFEBOAT"],
            "LIFEBOAT",
            report,
            pauses_s=self._retry_pauses_s,
            stopping=self._stopping,
        )

    def _spoilt(self, event: Dataset) -> tuple[int, Dataset]:
        """Let the commitment of some fail."""
        kept, failed = [], list(event.get("FailedSOPSequence") or ())
        for item in event.get("ReferencedSOPSequence") or ():
            if self.behave({"commitment fails": COMMITMENT_FAILS}):
                item.FailureReason = self.choose(REASONS)
                self.did[f"commitment {item.FailureReason:04X}"] += 1
                self.excuses[str(item.ReferencedSOPInstanceUID)] += 1
                failed.append(item)
            else:
                kept.append(item)
        event.ReferencedSOPSequence, event.FailedSOPSequence = kept, failed
        return (2 if failed else 1), event


class Door:
    """Where connections to a `FicklePacs` arrive; a `with` block keeps it open."""

    def __init__(self, pacs: FicklePacs) -> None:
        self._pacs = pacs
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._is_closing = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> "Door":
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        way = self._pacs.behave(OF_CONNECTION)
        with connection, contextlib.suppress(OSError, Ended):
            if way == "reject":
                Conversation(connection, 0).reject()
            elif way == "freeze":
                self._is_closing.wait(self._pacs.silence_s)
            else:
                self._forward(connection, way)

    def _forward(self, connection: socket.socket, way: str) -> None:
        with socket.create_connection(("127.0.0.1", self._pacs.port)) as pacs:
            if way in ("wrong AE", "no context"):
                pacs.sendall(_changed(connection, way))
            # past the association, and within the first instances
            self._pump(connection, pacs, 20_000 if way == "reset" else 1 << 60)

    def _pump(self, connection: socket.socket, pacs: socket.socket, limit: int) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ, pacs)
            selector.register(pacs, selectors.EVENT_READ, connection)
            passed = 0
            while not self._is_closing.is_set():
                for key, _ in selector.select(0.2):
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    if key.fileobj is connection:
                        passed += len(data)
                    if passed > limit:
                        _reset(connection)
                        return
                    key.data.sendall(data)


def _changed(connection: socket.socket, way: str) -> bytes:
    """Return an association request that asks for another AE title, or for nothing it takes."""
    kind, body = Conversation(connection, 0).read_pdu()
    if way == "wrong AE":
        body = body[:4] + b"NOT-THIS-ONE".ljust(16) + body[20:]
    else:
        body = body.replace(b"1.2.840.10008.5.1.4.1.1.2", b"1.2.840.10008.9.9.9.9.9.9")
    return struct.pack(">BBL", kind, 0, len(body)) + body


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
