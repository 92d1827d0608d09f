"""Starting with much in the store: at once, also when the index is damaged or gone."""

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from dicom_node.errors import DatabaseFailed
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from tests.conftest import REPOSITORY, wait_until
from tests.faults.instances import as_file, series
from tests.faults.ledger import Ledger, Senders, audit
from tests.faults.node import FaultyNode

SEED = 20260102
ECHO_S = 5.0
LIST_S = 10.0
READY_S = 10.0
REBUILD_PER_S = 1500
SERIES_LENGTH = 200
PAGE_BYTES = 4096


class FullStore:
    """A data folder with many small instances, written as the node would have, and indexed.

    Parameters
    ----------
    node : FaultyNode
    count : int
    """

    def __init__(self, node: FaultyNode, count: int) -> None:
        self.node = node
        self.index = node.data / INDEX_FILE
        self.expected: dict[str, str] = {}
        for instance in islice(series(8, length=SERIES_LENGTH), count):
            folder = node.data / "instances" / instance.study_instance_uid
            folder /= instance.series_instance_uid
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{instance.sop_instance_uid}.dcm").write_bytes(as_file(instance))
            self.expected[instance.sop_instance_uid] = instance.digest
        begin = time.monotonic()
        subprocess.run(node.command("reindex"), cwd=REPOSITORY, check=True, capture_output=True)
        self.reindex_s = time.monotonic() - begin

    def indexed(self) -> int:
        """Return how many instances the index holds; 0 while it cannot be read."""
        reader = IndexReader(self.index)
        try:
            return reader.counts()["instances"]
        except DatabaseFailed:
            return 0
        finally:
            reader.close()


@pytest.fixture
def full_store(make_faulty_node, size) -> FullStore:
    return FullStore(make_faulty_node(), size(5_000, 100_000))


def test_the_node_is_ready_soon_after_kill_9_with_a_full_store(full_store, figure):
    node, count = full_store.node, len(full_store.expected)
    node.start("receive", "web")
    ledger = Ledger()
    with Senders(node.dicom_port, ledger, lambda: series(64, length=SERIES_LENGTH)):
        ledger.wait_for(50)
        node.kill("receive")
        node.kill("web")
        begin = time.monotonic()
        with node.log.open("ab") as log:
            node.processes["web"] = subprocess.Popen(node.command("web"), stdout=log, stderr=log)
        echo_s = node.start_and_echo()
        wait_until(lambda: is_listed(node), what="studies are listed")
        list_s = time.monotonic() - begin
    figure(f"P4 first C-ECHO after kill -9, {count} instances", f"{echo_s:.1f} s", f"{ECHO_S} s")
    figure(f"P4 first list after kill -9, {count} instances", f"{list_s:.1f} s", f"{LIST_S} s")
    found = audit(node.data, full_store.expected | ledger.acknowledged, timeout_s=60)
    assert echo_s <= ECHO_S
    assert list_s <= LIST_S
    assert found.lost == []
    assert found.torn == []


def is_listed(node: FaultyNode) -> bool:
    with contextlib.suppress(OSError):
        return node.get("/dicom-web/studies?limit=50")[0] == 200
    return False


def delete(index: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        index.with_name(index.name + suffix).unlink(missing_ok=True)


def zero_header(index: Path) -> None:
    with index.open("r+b") as file:
        file.write(bytes(100))


def truncate(index: Path) -> None:
    os.truncate(index, index.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)


def damage_a_page(index: Path) -> None:
    chance = random.Random(SEED)
    with index.open("r+b") as file:
        file.seek(chance.randrange(2, index.stat().st_size // PAGE_BYTES) * PAGE_BYTES)
        file.write(chance.randbytes(PAGE_BYTES))


def test_a_lost_index_is_rebuilt_while_the_node_receives(full_store, figure):
    figure(
        f"P9 reindex of {len(full_store.expected)} with the node stopped",
        f"{len(full_store.expected) / full_store.reindex_s:.0f}/s with its start",
        f">= {REBUILD_PER_S}/s",
    )
    full_store.node.start("receive")
    full_store.node.stop()
    for damage in (delete, zero_header, truncate, damage_a_page):
        damage(full_store.index)
        ready_s, rate, ledger = rebuild(full_store)
        full_store.expected |= ledger.acknowledged
        found = audit(full_store.node.data, full_store.expected, timeout_s=30)
        name = damage.__name__.replace("_", " ")
        figure(f"P9 ready, index: {name}", f"{ready_s:.1f} s", f"{READY_S} s")
        figure(
            f"P9 rebuild of {len(full_store.expected)} beside reception, index: {name}",
            f"{rate:.0f}/s, {len(found.lost)} missing, {len(ledger.refused)} refused",
            f">= {REBUILD_PER_S}/s, 0 missing, 0 refused",
        )
        assert ready_s <= READY_S
        assert found.lost == []
        assert ledger.acknowledged
        assert ledger.refused == []
        full_store.node.stop()


def rebuild(store: FullStore) -> tuple[float, float, Ledger]:
    """Start, receive meanwhile; return seconds to ready, instances a second, and the ledger."""
    ready_s, begin, ledger = store.node.start_and_echo(), time.monotonic(), Ledger()
    at_start = store.indexed()
    with Senders(store.node.dicom_port, ledger, slowly, count=1):
        target = len(store.expected)
        wait_until(lambda: restarted(store.node) and store.indexed() >= target, timeout_s=600)
        seconds = time.monotonic() - begin
    return ready_s, (store.indexed() - at_start) / seconds, ledger


def slowly() -> Iterator:
    for instance in series(64):
        time.sleep(0.1)
        yield instance


def restarted(node: FaultyNode) -> bool:
    """Start the node again if it ended by itself, as its supervisor does."""
    if node.receiver.poll() is not None and node.is_dead():
        node.start_and_echo()
    return True
