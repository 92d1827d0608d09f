"""kill -9 at random moments, while four scanners send and somebody looks."""

import random
import threading
import time

from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader, InstanceRecord
from tests.conftest import wait_until
from tests.faults.instances import series
from tests.faults.ledger import Ledger, Senders, audit, whole_digest
from tests.faults.node import FaultyNode

SEED = 20260102
LOOK_EVERY_S = 0.05
PAGE = 2000
RENDER_ONE_IN = 50


class Watcher(threading.Thread):
    """Reads each instance as soon as it is listed, and lets the viewer show some of them."""

    def __init__(self, node: FaultyNode) -> None:
        super().__init__()
        self._node = node
        self._stopping = threading.Event()
        self.seen = 0
        self.broken: list[str] = []

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        reader, last = IndexReader(self._node.data / INDEX_FILE), 0
        while not self._stopping.wait(LOOK_EVERY_S):
            for record in reader.instances_after(last, PAGE):
                last = record.instance_id
                self.seen += 1
                if not self._is_whole(record):
                    self.broken.append(str(record.path))
        reader.close()

    def _is_whole(self, record: InstanceRecord) -> bool:
        if not record.path.exists() or whole_digest(record.path) != record.digest:
            return False
        return self.seen % RENDER_ONE_IN != 0 or self._is_shown(record)

    def _is_shown(self, record: InstanceRecord) -> bool:
        study, series_uid = record.study_instance_uid, record.series_instance_uid
        path = f"/dicom-web/studies/{study}/series/{series_uid}/instances/{record.sop_instance_uid}"
        return self._node.get(path + "/rendered")[0] == 200


def test_nothing_acknowledged_is_lost_by_kill_9_and_nothing_half_is_shown(
    make_faulty_node, size, figure
):
    node = make_faulty_node().start("receive", "web")
    ledger, chance, rounds = Ledger(), random.Random(SEED), size(8, 500)
    with (
        Watcher(node) as watcher,
        Senders(node.dicom_port, ledger, lambda: series(16, 64, 128, 256, length=40)),
    ):
        for _ in range(rounds):
            ledger.wait_for(len(ledger.so_far()) + chance.randint(1, 60))
            time.sleep(chance.random() * 0.01)
            node.kill()
            node.start("receive")
        # the index follows in what time is left over, which may be none between quick kills
        wait_until(lambda: watcher.seen >= rounds, 60)
    found = audit(node.data, ledger.acknowledged)
    total = len(ledger.acknowledged)
    figure(f"P1 kill -9, {rounds} times", f"{len(found.lost)} of {total} lost", "0 lost")
    figure("P1 half files after kill -9", len(found.torn), 0)
    figure("P5 listed and not whole or not shown", f"{len(watcher.broken)} of {watcher.seen}", 0)
    assert total >= rounds
    assert watcher.seen >= rounds
    assert found.lost == []
    assert found.torn == []
    assert watcher.broken == []
    assert ledger.refused == []
