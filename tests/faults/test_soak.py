"""Twenty minutes of good and bad peers: nothing grows."""

import contextlib
import math
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from tests.conftest import wait_until
from tests.faults.instances import make_instances, new_uid
from tests.faults.ledger import Ledger, audit
from tests.faults.node import FaultyNode
from tests.faults.sender import Scu

SEED = 20260102
MINUTES = 20
WARM_UP_S = 240
SAMPLE_EVERY_S = 10
BARS = {"own memory, MB": 1, "threads": 0, "files": 0}
PAUSE_S = 0.2
"""Between two visits of one peer: the leak of a visit is looked for, not the speed."""


class Peers:
    """Every kind of peer, each again and again in a thread of its own."""

    def __init__(self, node: FaultyNode, ledger: Ledger) -> None:
        self._node, self._ledger = node, ledger
        self._stopping = threading.Event()
        kinds = (self._send, self._send, self._cut, self._echo, self._stay_silent, self._babble)
        self._threads = [threading.Thread(target=self._visit, args=(kind,)) for kind in kinds]
        self.visits = 0

    def __enter__(self) -> "Peers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, kind: Callable[[random.Random], None]) -> None:
        chance = random.Random(SEED)
        while not self._stopping.wait(PAUSE_S):
            with contextlib.suppress(ConnectionError):
                kind(chance)
            self.visits += 1

    def _send(self, chance: random.Random) -> None:
        """Send a short series; leave in order, or without a word."""
        with Scu(self._node.dicom_port) as scu:
            for instance in make_instances(chance.randint(1, 8), edge_px=chance.choice((32, 256))):
                self._ledger.answered(instance, scu.store(instance))
            if chance.random() < 0.7:
                scu.release()

    def _cut(self, chance: random.Random) -> None:
        """Break off in the middle of an object."""
        with Scu(self._node.dicom_port) as scu:
            scu.begin_store(new_uid())
            for _ in range(chance.randint(0, 20)):
                scu.send_fragment(bytes(scu.fragment_bytes), is_last=False)

    def _echo(self, chance: random.Random) -> None:
        with Scu(self._node.dicom_port) as scu:
            scu.echo()
            scu.release()

    def _stay_silent(self, chance: random.Random) -> None:
        with socket.create_connection(("127.0.0.1", self._node.dicom_port), 10):
            self._stopping.wait(chance.random() * 8)

    def _babble(self, chance: random.Random) -> None:
        with socket.create_connection(("127.0.0.1", self._node.dicom_port), 10) as connection:
            connection.sendall(chance.randbytes(chance.randint(1, 4000)))


def slope(seconds: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Return the growth per hour and its standard error, by least squares."""
    line = statistics.linear_regression(seconds, values)
    middle = statistics.fmean(seconds)
    spread = sum((second - middle) ** 2 for second in seconds)
    left = [
        (value - line.intercept - line.slope * second) ** 2
        for second, value in zip(seconds, values, strict=True)
    ]
    error = math.sqrt(sum(left) / (len(values) - 2) / spread)
    return line.slope * 3600, error * 3600


@pytest.mark.full_faults
def test_nothing_grows_over_twenty_minutes(make_faulty_node, figure):
    node = make_faulty_node().start("receive")
    ledger, samples = Ledger(), []
    quiet = wait_until(lambda: len(node.threads()) < 12 and len(node.threads()))
    files = node.open_files()
    with Peers(node, ledger) as peers:
        begin = time.monotonic()
        while (now := time.monotonic() - begin) < MINUTES * 60:
            time.sleep(SAMPLE_EVERY_S)
            if now > WARM_UP_S:
                memory_mb = node.memory("RssAnon") / 1e6
                samples.append((now, memory_mb, len(node.threads()), node.open_files()))
    seconds, *columns = (list(column) for column in zip(*samples, strict=True))
    for name, values, bar in zip(BARS, columns, BARS.values(), strict=True):
        growth, error = slope(seconds, values)
        figure(
            f"P20 {MINUTES} min, {peers.visits} visits, {len(ledger.acknowledged)} stored: {name}",
            f"{growth:+.1f} an hour, standard error {error:.1f}, at the end {values[-1]:.0f}",
            f"<= {bar} an hour within 3 standard errors",
        )
        assert growth - 3 * error <= bar, name
    wait_until(lambda: len(node.threads()) <= quiet, what="threads are back to what they were")
    wait_until(lambda: node.open_files() <= files + 2, what="files are back to what they were")
    assert audit(node.data, ledger.acknowledged, 60).lost == []
