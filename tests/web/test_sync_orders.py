"""What the page of the return to the PACS shows, orders, and hands out."""

import csv
import json
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa

from dicom_node.clock import stamp
from dicom_node.drain import Pace, pace
from dicom_node.held_reasons import SPLITS, TWO_CONTENTS
from dicom_node.index import IndexReader
from dicom_node.index_writer import Index
from dicom_node.ledger_tables import deliveries
from dicom_node.setting_tables import PacsSettings
from dicom_node.sync_order import OrderKind, SyncOrders
from web.drain import pace_words

WHO = {"by": "A. Jones", "reason": "their migration"}


@pytest.fixture
def settings(settings):
    return replace(settings, pacs=(PacsSettings(name="central", host="10.0.0.5"),))


@pytest.fixture
def drained(make_ledger, clock, keeper, make_instance, settings):
    """One instance that is held, and ten deliveries of which six are proven and one refused."""
    keeper.keep(make_instance(1))
    ledger = make_ledger("central")
    ledger.set_mark("instance_id", "1")
    rows = []
    for number in range(10):
        state = "proven" if number < 6 else "stored" if number < 8 else "queued"
        if number == 9:
            state = "attention"
        sent_at = stamp(clock() + timedelta(minutes=10 + number)) if number < 8 else ""
        rows.append(
            {
                "destination": "central",
                "study_instance_uid": "1.2.3",
                "sop_instance_uid": f"1.2.3.{number}",
                "state": state,
                "queued_at": stamp(clock() + timedelta(minutes=number)),
                "stored_at": sent_at,
                "proven_at": sent_at if state == "proven" else "",
                "last_error": "the PACS refused it: A900" if state == "attention" else "",
            }
        )
    with ledger.change() as connection:
        connection.execute(sa.insert(deliveries), rows)
    ledger.record_event("mode_outage", "", "node: as found", stamp(clock()))
    ledger.record_event("mode_normal", "", "node: as found", stamp(clock() + timedelta(minutes=9)))
    clock.pass_seconds(1800)
    return ledger


def test_the_picture_shows_what_the_ledger_counts(client, drained) -> None:
    [place] = client.get("/api/v1/sync").json["destinations"]
    picture = ElementTree.fromstring(place["picture"])
    assert picture.get("aria-label").startswith("central: 6 of 10 proven at")
    paths = {path.get("class"): path.get("d") for path in picture.iter() if path.get("d")}
    assert paths["owed"].endswith(" 26.0")  # all ten: the top
    assert " 101.2L" in paths["proven"]  # six of ten of the height
    bands = [band for band in picture.iter() if band.get("data-mode")]
    assert [band.get("data-mode") for band in bands] == ["outage"]
    page = client.get("/sync").text
    assert place["picture"] in page


def test_what_needs_a_person_is_listed_with_what_to_do(client, drained) -> None:
    [row] = client.get("/api/v1/sync").json["refused"]
    assert (row["images"], row["reason"]) == ("1 image", "The PACS refused it: A900")
    assert "what that status means" in row["to_do"]
    assert row["can_retry"]
    assert "Needs a person" in client.get("/sync").text


@pytest.mark.parametrize(("reason", "can_retry"), [(SPLITS, True), (TWO_CONTENTS, False)])
def test_what_is_held_for_a_correction_may_be_tried_again(client, drained, reason, can_retry):
    with drained.change() as connection:
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.state == "attention")
            .values(state="held", last_error=reason, correction_id="c1")
        )
    [row] = client.get("/api/v1/sync").json["refused"]
    assert row["can_retry"] is can_retry
    assert ("Undo the correction" in row["to_do"]) is can_retry


def test_a_form_pauses_and_starts_without_scripts(client, drained, settings) -> None:
    orders = SyncOrders(settings.node.data)
    answer = client.post("/sync/orders", data={"kind": "pause", "destination": "central", **WHO})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sync")
    assert orders.pause("central").reason == "their migration"
    [place] = client.get("/api/v1/sync").json["destinations"]
    assert place["pause"].endswith("by A. Jones: their migration")
    assert place["pace"] == "1 image to send once it is started again."
    client.post("/sync/orders", data={"kind": "start", **WHO})
    assert not orders.is_paused("central")


def test_a_form_sends_a_study_once_more(client, drained, settings) -> None:
    form = {"kind": "retry", "destination": "central", "study_instance_uid": "1.2.3"}
    assert client.post("/sync/orders", data=form | WHO).status_code == 303
    [order] = SyncOrders(settings.node.data).all()
    assert (order.kind, order.study_instance_uid) == (OrderKind.RETRY, "1.2.3")


@pytest.mark.parametrize(
    "form",
    [
        {"kind": "pause", "by": "", "reason": "x"},
        {"kind": "pause", "by": "x"},
        {"kind": "stop", **WHO},
        {"kind": "pause", "destination": "far", **WHO},
    ],
)
def test_an_order_that_makes_no_sense_is_refused_in_words(client, drained, settings, form) -> None:
    assert client.post("/sync/orders", data=form).status_code == 400
    assert SyncOrders(settings.node.data).all() == []


def test_an_order_from_a_page_of_another_site_is_refused(client, drained, settings) -> None:
    headers = {"Origin": "http://evil.example"}
    answer = client.post("/sync/orders", data={"kind": "pause", **WHO}, headers=headers)
    assert answer.status_code == 403
    assert SyncOrders(settings.node.data).all() == []


def test_the_report_is_handed_out_in_three_forms(client, drained) -> None:
    found = json.loads(client.get("/sync/report?format=json").text)
    answer = client.get("/sync/report?format=csv")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    rows = list(csv.DictReader(answer.data.decode("utf-8-sig").splitlines()))
    assert len(rows) == found["totals"]["received"] == 11
    assert found["totals"]["proven"] == 6
    page = client.get("/sync/report?outage=1")
    assert page.status_code == 200
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    assert client.get("/sync/report?outage=9").status_code == 404
    assert client.get("/sync/report?format=pdf").status_code == 400


def test_an_outage_with_something_open_is_not_signed(client, drained, settings) -> None:
    answer = client.post("/sync/closings", data={"outage": "1", "by": "A. Jones"})
    assert answer.status_code == 400
    assert "cannot be closed" in answer.text
    with drained.change() as connection:
        connection.exec_driver_sql("DELETE FROM deliveries")
    for leftover in settings.node.data.glob("index.sqlite*"):
        leftover.unlink()
    index = Index(settings.node.data / "index.sqlite")
    index.mark_complete()
    index.close()
    reader = IndexReader(settings.node.data / "index.sqlite")
    drained.set_mark("generation", reader.generation())
    reader.close()
    assert client.post("/sync/closings", data={"outage": "1", "by": "A. Jones"}).status_code == 303
    [outage] = client.get("/api/v1/sync").json["outages"]
    assert outage["signed"].startswith("Signed by A. Jones")


@pytest.mark.parametrize(
    ("sent", "left", "expected"),
    [
        ([0, 0, 0, 30, 60, 120, 60], 6000, (100.0, 50.0, 100.0, 1.33)),
        ([0, 0, 0, 0, 0, 0, 60], 6000, None),
        ([0, 0, 0, 0, 0, 30, 60], 6000, None),
        ([60, 60, 60, 60, 60, 60, 0], 6000, None),
        ([60, 60, 60, 60, 60, 60, 60], 0, None),
        ([], 10, None),
    ],
    ids=["steady", "just begun", "one whole minute", "stopped", "nothing left", "no minutes"],
)
def test_how_long_it_takes_is_said_only_when_minutes_tell(sent, left, expected) -> None:
    if not sent:
        sent = [0]
    found = pace(sent, left)
    if expected is None:
        assert found.left_s is None
    else:
        assert found.fastest_s == left / 2
        assert found.slowest_s == left / 1
        assert found.fastest_s <= found.left_s <= found.slowest_s
        assert round(found.rate, 2) == expected[-1]


def test_no_estimate_is_made_while_nothing_can_be_sent() -> None:
    fast = Pace(10.0, 100.0, 50.0, 200.0)
    assert pace_words(fast, 1000, False, None) == "1000 images to send once it answers."
    assert "between 50 s and 3 min" in pace_words(fast, 1000, True, None).replace(" to ", " and ")
    assert "too early" in pace_words(Pace(1.0), 5, True, None)
    assert pace_words(Pace(0.0), 0, True, None) == "Nothing waits to be sent."
