"""Several associations at once: all that goes well, none that does harm."""

import threading

import pytest
from pynetdicom import AE, evt

from dicom_node.errors import PeerRefused
from dicom_node.pacs import Pacs
from dicom_node.setting_tables import PacsSettings
from dicom_node.settings import load_settings
from dicom_node.shipment import Outcome
from dicom_node.slow_start import GOOD_FOR_ONE_MORE
from tests.dicom_node.scripted_peer import Conversation, ScriptedPeer
from tests.dicom_node.sending import (
    accept_and,
    data_set,
    flip,
    make_peer,
    make_shipment,
    outcomes,
    pacs_at,
    say_nothing,
    serve_all,
)

__all__ = ["make_peer", "make_shipment"]

MANY = 4 * GOOD_FOR_ONE_MORE


class Meeting:
    """Holds each instance back until as many associations work as are awaited."""

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._met = threading.Event()
        self._busy = 0
        self._lock = threading.Lock()

    def script(self, talk: Conversation) -> None:
        talk.accept()
        with self._lock:
            self._busy += 1
            if self._busy >= self._parties:
                self._met.set()
        while True:
            if len(talk.stored) >= GOOD_FOR_ONE_MORE * self._parties:
                assert self._met.wait(30)
            talk.serve()


@pytest.mark.parametrize("associations", [1, 2, 3])
def test_it_grows_to_as_many_as_allowed_and_never_more(make_peer, make_shipment, associations):
    peer = make_peer(Meeting(associations).script)
    items = [make_shipment() for _ in range(2 * MANY)]
    found = outcomes(pacs_at(peer.port, associations=associations).send(items))
    assert found == ["stored"] * len(items)
    assert peer.most_open == associations
    assert peer.stored == {item.sop_instance_uid: data_set(item) for item in items}


def test_a_pacs_that_takes_two_and_is_offered_four_loses_nothing(make_shipment):
    """The limit of a real toolkit: it rejects a third association as transient."""
    received, rejected = [], []
    entity = AE(ae_title="LIMITED")
    entity.maximum_associations = 2
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")

    def store(event: evt.Event) -> int:
        received.append(event.request.AffectedSOPInstanceUID)
        return 0

    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_REJECTED, rejected.append)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        items = [make_shipment() for _ in range(MANY)]
        pacs = pacs_at(server.server_address[1], associations=4)
        assert outcomes(pacs.send(items)) == ["stored"] * len(items)
    finally:
        server.shutdown()
    assert sorted(received) == sorted(item.sop_instance_uid for item in items)
    assert len(rejected) <= 1  # asked once too often, then content with what works


def test_a_rejected_second_association_holds_up_nothing(make_peer, make_shipment):
    peer = make_peer(serve_all, Conversation.reject)
    items = [make_shipment() for _ in range(MANY)]
    assert outcomes(pacs_at(peer.port, associations=2).send(items)) == ["stored"] * len(items)
    assert len(peer.conversations) == 2  # not asked again for a while


def test_one_silent_association_leaves_the_rest_to_the_others(make_peer, make_shipment):
    peer = make_peer(serve_all, accept_and(say_nothing), serve_all)
    items = [make_shipment() for _ in range(MANY)]
    pacs = pacs_at(peer.port, associations=2, answer_timeout_s=1.0)
    found = outcomes(pacs.send(items))
    assert found.count("unknown") <= 1
    assert found.count("stored") >= len(items) - 1


def test_a_pacs_that_fills_up_is_left_alone_by_all(make_peer, make_shipment):
    taken = threading.Semaphore(2 * GOOD_FOR_ONE_MORE)

    def serve_until_full(talk: Conversation) -> None:
        while True:
            context_id, message_id, instance, _ = talk.read_message()
            status = 0 if taken.acquire(blocking=False) else 0xA700
            talk.answer(context_id, message_id, instance, status)

    peer = make_peer(accept_and(serve_until_full))
    items = [make_shipment() for _ in range(MANY)]
    found = outcomes(pacs_at(peer.port, associations=3).send(items))
    assert found.count("stored") == 2 * GOOD_FOR_ONE_MORE
    assert 1 <= found.count("refused") <= 3
    assert found.count("not-sent") == len(items) - found.count("stored") - found.count("refused")


def test_damaged_files_between_good_ones_keep_none_of_them(make_peer, make_shipment):
    peer = make_peer(serve_all)
    items = [make_shipment(60_000) for _ in range(12)]
    for item in items[::3]:
        flip(item, -20_000)
    found = list(pacs_at(peer.port, associations=2).send(items))
    bad = {item.delivery_id for item in items[::3]}
    assert {r.delivery_id for r in found if r.outcome is Outcome.UNREADABLE} == bad
    good = {item.sop_instance_uid for item in items if item.delivery_id not in bad}
    assert set(peer.stored) == good


def test_a_pacs_that_takes_nobody_is_told_at_once(make_peer, make_shipment):
    peer = make_peer(Conversation.reject)
    with pytest.raises(PeerRefused):
        list(pacs_at(peer.port, associations=4).send([make_shipment() for _ in range(5)]))
    assert len(peer.conversations) == 1


def test_the_rate_in_the_settings_is_kept(make_peer, make_shipment):
    waits: list[float] = []
    peer: ScriptedPeer = make_peer(serve_all)
    pacs = Pacs(
        PacsSettings(host="127.0.0.1", port=peer.port, max_images_per_s=2, max_mbit_per_s=1),
        "LIFEBOAT",
    )
    now = [0.0]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    pacs._cap._monotonic, pacs._cap._sleep = lambda: now[0], sleep
    for allowance in (pacs._cap._images, pacs._cap._bytes):
        allowance._free_at = 0.0
    items = [make_shipment(125_000) for _ in range(3)]
    assert outcomes(pacs.send(items)) == ["stored"] * 3
    # 3 x 125 kB at 125 kB a second, less what the last PDU still costs and one burst
    assert 2.5 <= sum(waits) <= 3.6


def test_the_keys_are_known_and_checked():
    overrides = ["pacs.host=10.0.0.5", "pacs.associations=4", "pacs.max_images_per_s=7.5"]
    (pacs,) = load_settings(environment={}, overrides=overrides).pacs
    assert (pacs.associations, pacs.max_images_per_s, pacs.max_mbit_per_s) == (4, 7.5, 0)
