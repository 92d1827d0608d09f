"""A small PACS is never asked for more than it can do, by sending, probing, asking or proving."""

import threading
import time

import pytest
from pynetdicom import evt
from pynetdicom.pdu import A_ABORT_RQ, A_RELEASE_RQ

from sample_data.pacs import PracticePacs
from tests.dicom_node.desk import fill

LIMIT = 2
STORE_S = 0.05


class SmallPacs(PracticePacs):
    """Takes two associations, and 50 ms for each instance; counts what it is asked for.

    One that `accepts` more rejects none of those it should not have been asked for, but counts
    them: open is one from when it is accepted until its peer ends it.
    """

    def __init__(self, *arguments, accepts: int = LIMIT, **options) -> None:
        super().__init__(*arguments, **options)
        self._accepts = accepts
        self.most_open = self.rejected = 0
        self._open = set()
        self._counting = threading.Lock()

    def _make_server_entity(self):
        entity = super()._make_server_entity()
        entity.maximum_associations = self._accepts
        return entity

    def _handlers(self):
        return [
            *super()._handlers(),
            (evt.EVT_ACCEPTED, self._count_opened),
            (evt.EVT_PDU_RECV, self._count_ended),
            (evt.EVT_CONN_CLOSE, self._forget),
            (evt.EVT_REJECTED, self._count_rejected),
        ]

    def _count_opened(self, event) -> None:
        with self._counting:
            self._open.add(event.assoc)
            self.most_open = max(self.most_open, len(self._open))

    def _count_ended(self, event) -> None:
        """Count before it is answered: the peer may open the next as soon as it is."""
        if isinstance(event.pdu, A_RELEASE_RQ | A_ABORT_RQ):
            self._forget(event)

    def _forget(self, event) -> None:
        with self._counting:
            self._open.discard(event.assoc)

    def _count_rejected(self, event) -> None:
        with self._counting:
            self.rejected += 1

    def _store(self, event) -> int:
        time.sleep(STORE_S)
        return super()._store(event)


@pytest.mark.peer
@pytest.mark.parametrize("accepts", [LIMIT, 4 * LIMIT])
def test_a_pacs_of_two_associations_is_never_asked_for_a_third(
    room, make_desk, make_instance, node_port, tmp_path, wait, accepts
):
    fill(room, make_instance, count=50)
    returns = {"LIFEBOAT": ("127.0.0.1", node_port)}
    pacs = SmallPacs(tmp_path / "small", port=0, return_addresses=returns, accepts=accepts)
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
