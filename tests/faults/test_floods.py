"""A flood of connections that say nothing costs the node little, and no scanner its place."""

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.peer

SEND_WITHIN_S = 3.0
CALM_WITHIN_S = 30.0
MEMORY_GROWTH_BYTES = 100e6
HELLO = struct.pack(">BBL", 1, 0, 60_000) + bytes(60_000)


@dataclass
class Flood:
    """Holds so many connections open all the time: each that is closed is opened anew."""

    port: int
    silent: int
    dripping: int
    opened: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _sent: dict[socket.socket, int] = field(default_factory=dict)

    def run(self) -> None:
        selector = selectors.DefaultSelector()
        for number in range(self.silent + self.dripping):
            self._open(selector, is_dripping=number < self.dripping)
        next_drip = time.monotonic() + 1
        while not self._stopping.is_set():
            for key, _ in selector.select(0.2):
                self._open_anew(selector, key.fileobj)
            if time.monotonic() >= next_drip:
                next_drip += 1
                self._drip()
        for key in list(selector.get_map().values()):
            key.fileobj.close()
        selector.close()

    def stop(self) -> None:
        self._stopping.set()

    def _open(self, selector: selectors.BaseSelector, *, is_dripping: bool) -> None:
        connection = socket.create_connection(("127.0.0.1", self.port), 10)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
        self.opened += 1
        if is_dripping:
            self._sent[connection] = 0

    def _open_anew(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if connection.recv(4096):
                return  # a word of farewell; the end follows
        selector.unregister(connection)
        connection.close()
        self._open(selector, is_dripping=self._sent.pop(connection, None) is not None)

    def _drip(self) -> None:
        for connection, sent in self._sent.items():
            with contextlib.suppress(OSError):
                connection.send(HELLO[sent : sent + 1])
            self._sent[connection] = sent + 1


@contextlib.contextmanager
def flooding(port: int, silent: int, dripping: int) -> Iterator[Flood]:
    flood = Flood(port, silent, dripping)
    thread = threading.Thread(target=flood.run)
    thread.start()
    try:
        yield flood
    finally:
        flood.stop()
        thread.join()


def size_of(pid: int) -> tuple[int, int, int]:
    """Return resident bytes, threads and open files of a process."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return int(status["VmRSS"].split()[0]) * 1024, int(status["Threads"]), files


def check_flood(node, storescu, paths, wait, *, silent: int, dripping: int, every_s: float) -> None:
    """Send one instance after the other through a flood; all must arrive, soon."""
    node.start("receive")
    pid = node.processes["receive"].pid
    assert storescu(node.dicom_port, paths[:1]).returncode == 0
    wait((node.data / "journal").exists)  # a file that stays open
    base = size_of(pid)
    times, sizes = [], []
    with flooding(node.dicom_port, silent, dripping) as flood:
        wait(lambda: flood.opened >= silent + dripping)
        for path in paths[1:]:
            began = time.monotonic()
            result = storescu(node.dicom_port, [path])
            times.append(time.monotonic() - began)
            assert result.returncode == 0, result.stderr
            sizes.append(size_of(pid))
            time.sleep(max(0.0, began + every_s - time.monotonic()))  # the pace of the scanner
    ended = time.monotonic()
    wait(
        # SQLite opens its log a second time when it feels like it
        lambda: size_of(pid)[1] <= base[1] and size_of(pid)[2] <= base[2] + 1,
        CALM_WITHIN_S,
        f"threads and files are back where they were: {base[1:]}",
    )
    most = [max(values) for values in zip(*sizes, strict=True)]
    print(
        f"\n{silent} silent + {dripping} dripping, {flood.opened} opened: slowest of {len(times)}"
        f" sends {max(times):.2f} s; memory +{(most[0] - base[0]) / 1e6:.0f} MB, threads {base[1]}"
        f" -> {most[1]}, files {base[2]} -> {most[2]}; calm after {time.monotonic() - ended:.1f} s"
    )
    assert max(times) <= SEND_WITHIN_S
    assert most[0] - base[0] <= MEMORY_GROWTH_BYTES
    assert most[1] <= base[1] + 10


def test_a_flood_locks_out_no_scanner(make_node, make_series, storescu, wait):
    check_flood(make_node(), storescu, make_series(6), wait, silent=300, dripping=20, every_s=3.0)


@pytest.mark.full_faults
@pytest.mark.timeout(600)
def test_a_large_flood_for_minutes_locks_out_no_scanner(make_node, make_series, storescu, wait):
    check_flood(make_node(), storescu, make_series(61), wait, silent=1000, dripping=50, every_s=5.0)
