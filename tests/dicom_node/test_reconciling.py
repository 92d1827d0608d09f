"""A correction is refused wherever the PACS may hold an image under its old identity."""

from dataclasses import replace

import pytest

from dicom_node.blame import Blame
from dicom_node.errors import CorrectionRefused
from dicom_node.ledger import Delivery, LedgerReader, State
from dicom_node.reconciling import check_ledger, may_be_there
from dicom_node.setting_tables import SyncSettings
from dicom_node.shipment import Outcome, Receipt
from tests.dicom_node.desk import START, fill
from tests.dicom_node.report_data import Books

AT = "2026-01-02T03:04:05.678+00:00"
BLAME = Blame(SyncSettings(), lambda: 0.5)


@pytest.fixture
def books(tmp_path):
    books = Books(tmp_path / "data", "pacs")
    yield books
    books.close()


def deliveries(books) -> list[Delivery]:
    reader = LedgerReader(books.settings.node.data / "ledger.sqlite")
    found = reader.deliveries("1.2")
    reader.close()
    return found


def delivery(books) -> Delivery:
    (item,) = deliveries(books)
    return item


@pytest.fixture
def stored(books) -> Delivery:
    """Return what a PACS answered success for."""
    books.owe("1.2", [1], "stored", sent_at=AT, stored_at=AT, last_status=0)
    return delivery(books)


def test_what_was_stored_may_be_there_also_while_the_pacs_does_not_list_it(stored):
    item = stored._replace(**BLAME.after_loss(stored, "it does not list it", START))
    assert item.state == State.QUEUED
    assert may_be_there(item)


@pytest.mark.parametrize("code", [0x0110, 0x0112, 0x0119])
def test_what_was_stored_may_be_there_also_where_it_was_not_committed(stored, code):
    item = stored
    while item.state != State.ATTENTION:
        item = item._replace(**BLAME.after_failed_commitment(item, code, START))
        assert may_be_there(item)


def test_what_was_refused_once_and_then_not_answered_may_be_there(books):
    books.owe("1.2", [1], "queued", sent_at=AT, last_status=0xA700)
    assert not may_be_there(delivery(books))
    books.ledger.take([1], AT)
    assert delivery(books).last_status is None
    books.ledger.requeue_unknown("pacs")
    assert may_be_there(delivery(books))


def test_what_was_on_its_way_when_an_older_version_was_killed_may_be_there(books):
    books.owe("1.2", [1], "sending", sent_at=AT, last_status=0xA700)
    books.ledger.requeue_unknown()
    assert may_be_there(delivery(books))


def test_what_was_never_sent_is_not_there(books):
    books.owe("1.2", [1], "queued")
    assert not may_be_there(delivery(books))


def test_what_was_stored_before_the_address_was_changed_may_be_there(books, stored):
    (pacs,) = books.settings.pacs
    books.ledger.record_destinations([replace(pacs, port=pacs.port + 1)])
    item = delivery(books)
    assert item.state == State.QUEUED
    assert may_be_there(item)


@pytest.mark.parametrize("outcome", ["not-covered", "no-context", "unreadable", "not-sent"])
def test_what_certainly_did_not_leave_is_not_taken_for_sent(books, outcome):
    before = (("", None), (AT, 0xA700), (AT, None))
    for number, (sent_at, status) in enumerate(before, 1):
        books.owe("1.2", [number], "queued", sent_at=sent_at, last_status=status)
    items = books.ledger.due("pacs", "2027", "2028", 10)
    books.ledger.take([1, 2, 3], "2027")
    receipts = [Receipt(item.delivery_id, Outcome(outcome)) for item in items]
    books.ledger.record_attempts(
        [
            BLAME.after_sending(receipt, item, START, lambda moment: False)
            for receipt, item in zip(receipts, items, strict=True)
        ]
    )
    books.ledger.requeue_unknown("pacs")
    found = deliveries(books)
    assert [(item.sent_at, item.last_status) for item in found] == list(before)
    assert [may_be_there(item) for item in found] == [False, False, True]


def test_what_no_association_was_opened_for_may_still_be_corrected(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance)
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    send = desk.pacs.send_in_groups

    def go_down_first(shipments):
        pacs.stop()
        return send(shipments)

    desk.pacs.send_in_groups = go_down_first
    desk.step()
    assert desk.events("delivery_paused")
    assert desk.counts() == {"queued": 3}
    assert not any(map(may_be_there, of_desk(desk)))


def test_what_was_not_its_turn_when_the_pacs_was_full_may_still_be_corrected(
    room, make_pacs, make_desk, make_instance
):
    fill(room, make_instance)
    pacs = make_pacs()
    pacs._store = lambda event: 0xA700
    pacs.start()
    desk = make_desk(pacs.port)
    desk.step()
    assert sorted(item.sent_at != "" for item in of_desk(desk)) == [False, False, True]
    assert not any(map(may_be_there, of_desk(desk)))


def of_desk(desk) -> list[Delivery]:
    (study,) = desk.reader.studies()
    return desk.reader.deliveries(study.study_instance_uid)


def test_a_damaged_ledger_is_not_taken_for_an_empty_one(tmp_path):
    check_ledger(tmp_path)  # there is none
    (tmp_path / "ledger.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(CorrectionRefused, match="try again in a minute"):
        check_ledger(tmp_path)
