"""kill -9 at random moments, while four scanners send."""

import random
import threading
import time
from pathlib import Path

from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from tests.faults.instances import series
from tests.faults.ledger import Ledger, Senders, audit, whole_digest

SEED = 20260102


class Watcher(threading.Thread):
    """Reads each instance as soon as the index lists it, as a viewer does."""

    def __init__(self, data: Path) -> None:
        super().__init__()
        self._data = data
        self._stopping = threading.Event()
        self.seen = 0
        self.broken: list[str] = []

    def run(self) -> None:
        last, generation = 0, ""
        while not self._stopping.wait(0.05):
            reader = IndexReader(self._data / INDEX_FILE)
            if reader.generation() != generation:
                last, generation = 0, reader.generation()
            for record in reader.instances_after(last, 2000):
                last = record.instance_id
                self.seen += 1
                if not record.path.exists() or whole_digest(record.path) != record.digest:
                    self.broken.append(str(record.path))
            reader.close()

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def test_nothing_acknowledged_is_lost_by_kill_9_and_nothing_half_is_listed(
    make_faulty_node, size, figure
):
    node = make_faulty_node("dicom.drain_timeout_s=5").start("receive")
    ledger, moments, rounds = Ledger(), random.Random(SEED), size(25, 500)
    watcher = Watcher(node.data)
    watcher.start()
    try:
        with Senders(node.dicom_port, ledger, lambda: series(16, 64, 128, 256, length=40)):
            for _ in range(rounds):
                ledger.wait_for(len(ledger.so_far()) + moments.randint(1, 60))
                time.sleep(moments.random() * 0.01)
                node.kill()
                node.start("receive")
    finally:
        watcher.stop()
    found = audit(node.data, ledger.acknowledged)
    total = len(ledger.acknowledged)
    figure(f"P1 kill -9, {rounds} times", f"{len(found.lost)} of {total} lost", "0 lost")
    figure("P1 half files after kill -9", len(found.torn), 0)
    figure(f"P5 listed and not whole, of {watcher.seen}", len(watcher.broken), 0)
    assert total >= rounds
    assert found.lost == []
    assert found.torn == []
    assert watcher.broken == []
    assert watcher.seen > total / 2
