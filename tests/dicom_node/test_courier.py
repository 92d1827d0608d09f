"""Sending by the child process: what it said counts, what it did not say is unknown."""

import multiprocessing
import threading
from datetime import UTC, datetime

import pytest
from pydicom import dcmread

from dicom_node.corrected_copy import CopyOrder
from dicom_node.correction import Correction
from dicom_node.courier import Courier, _converse, _Voice
from dicom_node.errors import ConversationLost, PeerUnreachable
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_writer import Ledger
from dicom_node.mode_keeper import ModeKeeper
from dicom_node.mode_order import ModeOrders
from dicom_node.pacs import Pacs
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, read_head
from dicom_node.setting_tables import PacsSettings
from dicom_node.settings import load_settings
from dicom_node.shipment import Outcome
from dicom_node.stored_identity import identity_of
from dicom_node.sync import Adopter, Destination
from dicom_node.trial import new_trial
from sample_data.pacs import PracticePacs
from tests.dicom_node.scripted_peer import Conversation
from tests.dicom_node.sending import make_peer, make_shipment, serve_all

__all__ = ["make_peer", "make_shipment"]

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def courier_to():
    couriers = []

    def make(port: int, **options) -> Courier:
        couriers.append(Courier(PacsSettings(host="127.0.0.1", port=port, **options), "LIFEBOAT"))
        return couriers[-1]

    yield make
    for courier in couriers:
        courier.close()


def test_every_receipt_comes_once_however_they_are_grouped(make_peer, make_shipment, courier_to):
    peer = make_peer(serve_all)
    items = [make_shipment() for _ in range(30)]
    groups = list(courier_to(peer.port).send_in_groups(items))
    found = sorted(receipt.delivery_id for group in groups for receipt in group)
    assert found == sorted(item.delivery_id for item in items)
    assert {receipt.outcome.value for group in groups for receipt in group} == {"stored"}
    assert set(peer.stored) == {item.sop_instance_uid for item in items}


def test_what_was_said_before_the_child_died_counts(make_peer, make_shipment, courier_to):
    is_heard, is_killed = threading.Event(), threading.Event()

    def serve_five_then_wait(talk: Conversation) -> None:
        talk.accept()
        for _ in range(5):
            talk.serve()
        assert is_heard.wait(30)
        courier._process.kill()
        is_killed.set()
        talk.serve_all()

    peer = make_peer(serve_five_then_wait)
    items = [make_shipment() for _ in range(12)]
    courier = courier_to(peer.port)
    receipts = []

    def hear_all() -> None:
        for receipt in courier.send(items):
            receipts.append(receipt)
            is_heard.set()

    with pytest.raises(PeerUnreachable):
        hear_all()
    assert is_killed.is_set()
    assert 1 <= len(receipts) <= 5
    assert {receipt.outcome.value for receipt in receipts} == {"stored"}
    assert courier._process is None


def test_the_instance_in_hand_is_known_when_the_child_dies_with_the_receipts_of_others(
    make_peer, make_shipment, courier_to
):
    def serve_29_and_die_of_the_next(talk: Conversation) -> None:
        talk.accept()
        for _ in range(29):
            talk.serve()
        talk.read_message()
        courier._process.kill()
        talk.wait_for_end()

    items = [make_shipment() for _ in range(60)]
    courier = courier_to(make_peer(serve_29_and_die_of_the_next).port, associations=1)
    with pytest.raises(ConversationLost) as caught:
        list(courier.send(items))
    assert caught.value.in_hand == (items[29].delivery_id,)


def test_the_copies_of_a_child_go_with_it(make_peer, make_shipment, courier_to):
    """They hold the images of patients, and a PACS can freeze many times before the next start."""
    item = make_shipment()
    ds = dcmread(item.path)
    folder = item.path.parent / "outgoing"
    new = {"patient_id": "PH-2"}
    with item.path.open("rb") as file:
        who = identity_of(file, read_head(file.read(MAXIMUM_HEAD_BYTES)))
    words = {"at": "2026-01-02T03:04:05.678+00:00", "by": "A. Smith", "reason": "a twin"}
    correction = Correction("c1", str(ds.StudyInstanceUID), new, (who,), **words)
    order = CopyOrder(correction, folder, "Lifeboat")
    seen = []

    def kill_it_in_mid_object(talk: Conversation) -> None:
        talk.accept()
        talk.read_message()
        seen.extend(folder.iterdir())
        courier._process.kill()
        talk.wait_for_end()

    courier = courier_to(make_peer(kill_it_in_mid_object).port)
    with pytest.raises(PeerUnreachable):
        list(courier.send([item._replace(copy_order=order)]))
    assert len(seen) == 1
    assert not list(folder.iterdir())


def test_what_was_not_begun_when_it_was_halted_was_surely_not_sent(
    make_peer, make_shipment, courier_to
):
    is_halted = threading.Event()

    def serve_one_until_halted(talk: Conversation) -> None:
        talk.accept()
        talk.serve()
        assert is_halted.wait(60)  # however long the order takes
        talk.serve_all()

    peer = make_peer(serve_one_until_halted)
    items = [make_shipment() for _ in range(40)]
    courier = courier_to(peer.port, max_images_per_s=5, answer_timeout_s=60)
    found = []
    for group in courier.send_in_groups(items):
        found += group
        courier.halt()
        is_halted.set()
    assert len(found) == len(items)
    stored = {r.delivery_id for r in found if r.outcome is Outcome.STORED}
    assert {r.outcome.value for r in found} == {"stored", "not-sent"}
    assert set(peer.stored) == {i.sop_instance_uid for i in items if i.delivery_id in stored}
    courier.halt()  # it sends nothing now: that changes nothing
    assert [r.outcome.value for r in courier.send(items[:1])] == ["stored"]


class Hasty:
    """Sends at once, and counts how often it is interrupted."""

    halted = 0

    def send_in_groups(self, shipments):
        yield from ([item] for item in shipments)

    def halt(self):
        self.halted += 1


@pytest.mark.parametrize("halts", [0, 1])
def test_what_is_asked_right_after_the_last_receipt_is_answered_and_interrupts_nothing(halts):
    ours, theirs = multiprocessing.Pipe()
    voice, pacs, question = _Voice(theirs), Hasty(), ("accepted_contexts", ([],))
    for _ in range(halts):
        ours.send(("halt", ()))
    ours.send(question)  # there before the child looks whether it is told to halt
    _converse(voice, pacs, "send", ([1, 2, 3],))
    assert pacs.halted == halts
    assert [ours.recv()[0] for _ in range(3)] == [[1], [2], [3]]
    ours.send(("probe", (None,)))
    assert voice.next_request() == question
    assert voice.next_request() == ("probe", (None,))
    ours.close()
    theirs.close()


def test_a_delivery_over_several_associations_owes_and_sends_nothing_twice(
    room, make_instance, tmp_path
):
    first = make_instance()
    uids = {
        "StudyInstanceUID": first.StudyInstanceUID,
        "SeriesInstanceUID": first.SeriesInstanceUID,
    }
    sent = [make_instance(number + 1, **uids) for number in range(60)]
    for ds in sent:
        room.accept(ds)
    room.settle()
    with PracticePacs(tmp_path / "pacs", port=0, commitment=False) as practice:
        overrides = ["pacs.host=127.0.0.1", f"pacs.port={practice.port}", "pacs.associations=3"]
        settings = load_settings(environment={}, data=room.data, overrides=overrides)
        ledger = Ledger(room.data / "ledger.sqlite")
        reader = LedgerReader(room.data / "ledger.sqlite")
        ledger.record_destinations(settings.pacs)
        Adopter(settings, ledger, room.reader, lambda: START).step()
        there = settings.pacs[0]
        pacs, modes = Pacs(there, "LIFEBOAT"), ModeKeeper(settings, ledger)
        trial = new_trial(there, settings, pacs, ModeOrders(room.data), room.reader)
        Destination(there, settings, ledger, pacs, modes, trial, lambda: START).step()
        (state,) = reader.destinations()
        reader.close()
        ledger.close()
        assert dict(practice.received) == {str(ds.SOPInstanceUID): 1 for ds in sent}
    assert {name: n for name, n in state.counts.items() if n} == {"proven": 60}
