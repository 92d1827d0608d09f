"""What a person orders delivery to do is on record, obeyed at once, and done once."""

import json

import pytest

from dicom_node.errors import BadSettings, StorageFailed
from dicom_node.held_reasons import FOR_A_CORRECTION, TWO_CONTENTS
from dicom_node.order_keeper import OrderKeeper
from dicom_node.sync_order import FILE, OrderKind, SyncOrders
from dicom_node.sync_status import count_refused
from tests.dicom_node.desk import START, fill
from tests.dicom_node.report_data import Books

WHO = {"by": "A. Jones", "reason": "the PACS is upgraded"}


@pytest.fixture
def orders(tmp_path) -> SyncOrders:
    return SyncOrders(tmp_path, lambda: START)


@pytest.fixture
def books(tmp_path):
    books = Books(tmp_path / "data", "pacs", "other")
    yield books
    books.close()


def test_a_pause_holds_until_start_and_for_the_named_destination(orders, tmp_path):
    names = {"known": ["pacs", "other"]}
    assert not orders.is_paused("pacs")
    orders.give(OrderKind.PAUSE, destination="pacs", **names, **WHO)
    other_process = SyncOrders(tmp_path)
    assert other_process.pause("pacs").by == "A. Jones"
    assert not other_process.is_paused("other")
    orders.give(OrderKind.PAUSE, **WHO)
    assert other_process.is_paused("other")
    orders.give(OrderKind.START, destination="pacs", **names, **WHO)
    assert not other_process.is_paused("pacs")
    assert other_process.is_paused("other")
    orders.give(OrderKind.START, **WHO)
    assert not other_process.is_paused("other")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": " "}, "say who you are and why"),
        ({"by": ""}, "say who you are and why"),
        ({"destination": "far", "known": ["pacs"]}, "no PACS is called 'far': pacs"),
    ],
)
def test_an_order_without_who_why_or_where_is_refused(orders, changes, words):
    with pytest.raises(BadSettings, match=words):
        orders.give(OrderKind.PAUSE, **(WHO | changes))
    assert orders.all() == []


def test_an_order_that_cannot_be_put_on_record_is_not_given(tmp_path):
    (tmp_path / "audit.jsonl").mkdir()
    orders = SyncOrders(tmp_path)
    with pytest.raises(StorageFailed):
        orders.give(OrderKind.PAUSE, **WHO)
    assert not orders.is_paused("pacs")


def test_every_order_is_in_the_audit(orders, tmp_path):
    orders.give(OrderKind.PAUSE, **WHO)
    orders.give(OrderKind.RETRY, study_instance_uid="1.2", **WHO)
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == [
        "sync_pause_ordered",
        "sync_retry_ordered",
    ]


def test_an_order_cut_off_by_a_crash_is_none_and_hides_no_other(orders, tmp_path):
    orders.give(OrderKind.PAUSE, **WHO)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"kind": "start", "desti')
    assert SyncOrders(tmp_path).is_paused("pacs")
    orders.give(OrderKind.START, **WHO)
    assert not SyncOrders(tmp_path).is_paused("pacs")


def test_retry_puts_back_what_was_refused_and_never_what_is_held(books):
    books.owe("1.2", [0, 1], "attention", attempts=5, last_error="refused", first_failed_at="x")
    books.owe("1.2", [2], "held", last_error="two contents")
    books.owe("1.3", [0], "attention")
    books.owe("1.2", [0], "attention", name="other")
    data = books.settings.node.data
    orders = SyncOrders(data, lambda: START)
    keeper = OrderKeeper(orders, books.ledger, ["pacs", "other"], lambda: START)
    orders.give(
        OrderKind.RETRY, destination="pacs", known=["pacs"], study_instance_uid="1.2", **WHO
    )
    keeper.step()

    def states() -> list[tuple]:
        with books.ledger.change() as connection:
            rows = connection.exec_driver_sql(
                "SELECT destination, study_instance_uid, state, attempts FROM deliveries"
            )
            return [tuple(row) for row in rows]

    assert states() == [
        ("pacs", "1.2", "queued", 0),
        ("pacs", "1.2", "queued", 0),
        ("pacs", "1.2", "held", 0),
        ("pacs", "1.3", "attention", 0),
        ("other", "1.2", "attention", 0),
    ]
    orders.give(OrderKind.RETRY, **WHO)
    keeper.step()
    assert [row[2] for row in states()] == ["queued", "queued", "held", "queued", "queued"]


@pytest.mark.parametrize("reason", FOR_A_CORRECTION)
def test_retry_puts_back_what_is_held_for_a_correction_and_never_two_contents(books, reason):
    books.owe("1.2", [0], "held", last_error=reason, correction_id="c1")
    books.owe("1.2", [1], "held", last_error=TWO_CONTENTS, correction_id="c1")
    orders = SyncOrders(books.settings.node.data, lambda: START)
    orders.give(OrderKind.RETRY, **WHO)
    assert count_refused(books.settings, "", "1.2") == 1
    OrderKeeper(orders, books.ledger, ["pacs"], lambda: START).step()
    with books.ledger.change() as connection:
        rows = connection.exec_driver_sql("SELECT state FROM deliveries ORDER BY delivery_id")
        assert [state for (state,) in rows] == ["queued", "held"]


def test_an_order_is_done_once_also_after_a_restart(books):
    orders = SyncOrders(books.settings.node.data, lambda: START)
    orders.give(OrderKind.RETRY, **WHO)
    OrderKeeper(orders, books.ledger, ["pacs"], lambda: START).step()
    books.owe("1.2", [0], "attention")
    OrderKeeper(orders, books.ledger, ["pacs"], lambda: START).step()
    with books.ledger.change() as connection:
        kinds = connection.exec_driver_sql("SELECT kind, detail FROM events").fetchall()
        state = connection.exec_driver_sql("SELECT state FROM deliveries").scalar()
    assert [tuple(row) for row in kinds] == [
        ("retry_ordered", "A. Jones: the PACS is upgraded (0 sent again)")
    ]
    assert state == "attention"


def test_a_paused_destination_is_probed_and_sent_nothing(room, make_desk, make_pacs, make_instance):
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port)
    fill(room, make_instance)
    desk.sync_orders.give(OrderKind.PAUSE, **WHO)
    desk.step()
    desk.step(30)
    assert desk.counts() == {"queued": 3}
    assert desk.reader.destinations()[0].is_reachable

    desk.sync_orders.give(OrderKind.START, **WHO)
    desk.step(30)
    assert "queued" not in desk.counts()
    kinds = {event.kind for event in desk.reader.events()}
    assert {"pause_ordered", "start_ordered"} <= kinds


def test_a_pause_stops_a_batch_in_its_middle(room, make_desk, make_pacs, make_instance):
    pacs = make_pacs()
    pacs.start()
    desk = make_desk(pacs.port, "pacs.max_images_per_s=5")
    fill(room, make_instance, count=30)
    desk.destination._is_paused = lambda: bool(pacs.received)  # ordered when the first has gone
    desk.step()
    counts = desk.counts()
    assert sum(counts.values()) == 30
    assert counts["queued"] == 30 - len(pacs.received) >= 20
    (study,) = desk.reader.studies()
    left = [
        item for item in desk.reader.deliveries(study.study_instance_uid) if item.state == "queued"
    ]
    # what never left is not taken for what may have arrived
    assert {(item.last_error, item.sent_at, item.attempts) for item in left} == {("", "", 0)}
