"""A small PACS is never asked for more than it can do, by sending, probing, asking or proving."""

import threading
import time

import pytest
from pynetdicom import evt

from sample_data.pacs import PracticePacs
from tests.dicom_node.desk import fill

LIMIT = 2
STORE_S = 0.05


class SmallPacs(PracticePacs):
    """Takes two associations, and 50 ms for each instance; counts what it is asked for."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.open = self.most_open = self.asked = self.rejected = 0
        self._counting = threading.Lock()

    def _make_server_entity(self):
        entity = super()._make_server_entity()
        entity.maximum_associations = LIMIT
        return entity

    def _handlers(self):
        return [
            *super()._handlers(),
            (evt.EVT_ACCEPTED, lambda event: self._count(1)),
            (evt.EVT_RELEASED, lambda event: self._count(-1)),
            (evt.EVT_ABORTED, lambda event: self._count(-1)),
            (evt.EVT_REJECTED, self._count_rejected),
        ]

    def _count(self, change: int) -> None:
        with self._counting:
            self.asked += change > 0
            self.open += change
            self.most_open = max(self.most_open, self.open)

    def _count_rejected(self, event) -> None:
        with self._counting:
            self.rejected += 1

    def _store(self, event) -> int:
        time.sleep(STORE_S)
        return super()._store(event)


@pytest.mark.peer
def test_a_pacs_of_two_associations_is_never_asked_for_a_third(
    room, make_desk, make_instance, node_port, tmp_path, wait
):
    fill(room, make_instance, count=50)
    pacs = SmallPacs(
        tmp_path / "small", port=0, return_addresses={"LIFEBOAT": ("127.0.0.1", node_port)}
    )
    pacs.start()
    try:
        desk = make_desk(pacs.port, "pacs.answer_timeout_s=10", "pacs.connect_timeout_s=5")
        begin = time.monotonic()
        desk.step()
        took_s = time.monotonic() - begin
        wait(lambda: desk.step(10) or desk.counts() == {"proven": 50})
    finally:
        pacs.stop()
    assert pacs.most_open == LIMIT
    assert pacs.rejected == 0
    assert set(pacs.received.values()) == {1}
    assert took_s > 50 * STORE_S / LIMIT
