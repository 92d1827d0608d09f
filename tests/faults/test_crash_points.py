"""SIGKILL at each system call by which an instance becomes durable, one after the other."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.faults.instances import make_instances
from tests.faults.ledger import Ledger, audit, indexed_digests
from tests.faults.node import FaultyNode
from tests.faults.sender import Gone, Scu
from tests.faults.strace import CHANGES, Strace, known_calls

SEED = 20260102
INSTANCES = 3
QUIET_S = 0.4
SAMPLE = 5

Point = tuple[int, str, int]
"""Thread, system call, and which call of that thread it is.

Threads are told apart by their age: those of the process count from 0, those of the association
from `OF_ASSOCIATION`.
"""
OF_ASSOCIATION = 100


class CommitPath:
    """Sends a few instances of a new series under strace, as often as there are points."""

    def __init__(self, node: FaultyNode, folder: Path) -> None:
        self._node = node
        self._log = folder / "strace.log"
        self._calls = known_calls(CHANGES)
        self.ledger = Ledger()
        self.reached: Counter[str] = Counter()

    def discover(self) -> Counter[tuple[int, str]]:
        """Return how often each thread makes each call for these instances."""
        with self._association() as (scu, threads):
            with Strace(threads.values(), self._log, self._calls) as strace:
                self._send(scu)
            places = {str(thread): place for place, thread in threads.items()}
            return Counter((places[thread], call) for thread, call in strace.seen())

    def crash(self, point: Point) -> bool:
        """Kill the node at one point, and start it again; False when it was not reached."""
        place, call, number = point
        with self._association() as (scu, threads):
            if place in threads:
                fault = f"signal=KILL:when={number}"
                with Strace([threads[place]], self._log, [call], fault):
                    self._send(scu)
        if self._node.receiver.poll() is None:
            return False
        assert self._node.is_dead()
        self.reached[call] += 1
        self._node.start_and_echo()
        return True

    @contextlib.contextmanager
    def _association(self) -> Iterator[tuple[Scu, dict[int, int]]]:
        """Associate; give the threads by their place."""
        self._wait_for_quiet()
        older = self._node.threads()
        with Scu(self._node.dicom_port) as scu:
            self._store(scu, 1)  # whatever is made once, is made
            self._wait_for_quiet()
            threads = self._node.threads()
            newer = [thread for thread in threads if thread not in older]
            yield scu, dict(enumerate(older)) | dict(enumerate(newer, OF_ASSOCIATION))

    def _send(self, scu: Scu) -> None:
        self._store(scu, INSTANCES)
        self._wait_for_quiet()

    def _store(self, scu: Scu, count: int) -> None:
        for instance in make_instances(count, edge_px=32):
            try:
                self.ledger.answered(instance, scu.store(instance))
            except Gone:
                self.ledger.broke(instance)
                return

    def _wait_for_quiet(self) -> None:
        """Wait until all is entered and nothing more changes, or the node is dead."""
        deadline, quiet_since, before = time.monotonic() + 20, time.monotonic(), None
        while time.monotonic() < min(quiet_since + QUIET_S, deadline):
            if self._node.receiver.poll() is not None:
                return
            now = self._state()
            if now is None or now != before:
                quiet_since, before = time.monotonic(), now
            time.sleep(0.05)

    def _state(self) -> object:
        """Return what stands still when all is done; None while something is to do."""
        data = self._node.data
        with contextlib.suppress(OSError):  # files come and go while they are counted
            files = sorted(data.rglob("*"))
            names = {path.stem for path in files} & set(indexed_digests(data))
            if set(self.ledger.acknowledged) <= names:
                sizes = [entry.stat().st_size for entry in data.iterdir() if entry.is_file()]
                return files, sizes, self._node.threads()
        return None


def sample(seen: Counter[tuple[int, str]], count: int) -> list[Point]:
    """Choose points by chance, one of each kind before a second of any."""
    chance, firsts, others = random.Random(SEED), [], []
    for kind, times in sorted(seen.items()):
        first, *rest = chance.sample(range(1, times + 1), times)
        firsts.append((*kind, first))
        others += [(*kind, number) for number in rest]
    chance.shuffle(firsts)
    chance.shuffle(others)
    return (firsts + others)[:count]


def test_every_crash_point_of_the_commit_path_is_safe(make_faulty_node, tmp_path, size, figure):
    node = make_faulty_node().start("receive")
    path = CommitPath(node, tmp_path)
    seen = path.discover()
    assert any(call in ("fsync", "fdatasync") for _, call in seen), seen
    if points := sample(seen, size(SAMPLE, 0)):
        reached = sum(path.crash(point) for point in points)
        assert reached >= len(points) / 2, path.reached
    else:
        for place, call in sorted(seen):
            number = 1
            while path.crash((place, call, number)):
                number += 1
    found = audit(node.data, path.ledger.acknowledged)
    total = len(path.ledger.acknowledged)
    calls = ", ".join(f"{name} {count}" for name, count in sorted(path.reached.items()))
    figure(f"P3 SIGKILL at {calls}", f"{len(found.lost)} of {total} lost", "0 lost")
    figure("P3 half files after a kill at a system call", len(found.torn), 0)
    assert found.lost == []
    assert found.torn == []
    assert set(path.ledger.acknowledged) <= set(indexed_digests(node.data))
    assert path.ledger.refused == []
    assert list(node.data.glob("*damaged*")) == []  # no kill damaged the index
