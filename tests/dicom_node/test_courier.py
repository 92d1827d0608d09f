"""Sending by the child process: what it said counts, what it did not say is unknown."""

import threading
from datetime import UTC, datetime

import pytest

from dicom_node.courier import Courier
from dicom_node.errors import PeerUnreachable
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_writer import Ledger
from dicom_node.mode_keeper import ModeKeeper
from dicom_node.mode_order import ModeOrders
from dicom_node.pacs import Pacs
from dicom_node.setting_tables import PacsSettings
from dicom_node.settings import load_settings
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

    def make(port: int) -> Courier:
        couriers.append(Courier(PacsSettings(host="127.0.0.1", port=port), "LIFEBOAT"))
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
    is_killed = threading.Event()

    def serve_five_then_wait(talk: Conversation) -> None:
        talk.accept()
        for _ in range(5):
            talk.serve()
        courier._process.kill()
        is_killed.set()
        talk.serve_all()

    peer = make_peer(serve_five_then_wait)
    items = [make_shipment() for _ in range(12)]
    courier = courier_to(peer.port)
    receipts = []
    with pytest.raises(PeerUnreachable):
        receipts.extend(courier.send(items))  # what came before the error is kept
    assert is_killed.is_set()
    assert len(receipts) <= 5
    assert {receipt.outcome.value for receipt in receipts} == {"stored"}
    assert courier._process is None


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
