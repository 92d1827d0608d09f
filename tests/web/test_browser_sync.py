"""The page of the return to the PACS in a real browser: the picture, an order, the report."""

import csv
import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from dicom_node.clock import stamp, utc_now
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_tables import deliveries
from dicom_node.sync_order import SyncOrders

pytestmark = pytest.mark.browser


@pytest.fixture
def served(start_web) -> int:
    return start_web("pacs.central.host=10.0.0.5").port


def test_the_report_that_is_downloaded_says_what_the_ledger_says(
    make_ledger, settings, page: Page, tmp_path: Path
) -> None:
    ledger = make_ledger("central")
    now = stamp(utc_now())
    states = ["proven"] * 5 + ["queued"] * 3 + ["attention"] * 2
    rows = [
        {
            "destination": "central",
            "study_instance_uid": f"1.2.{number % 2}",
            "sop_instance_uid": f"1.2.{number % 2}.{number}",
            "state": state,
            "queued_at": now,
            "last_error": "the PACS refused it: A900" if state == "attention" else "",
        }
        for number, state in enumerate(states)
    ]
    with ledger.change() as connection:
        connection.execute(sa.insert(deliveries), rows)
    page.goto("/sync")
    expect(page.locator(".destination .drain")).to_be_visible()

    found = {}
    for name in ("CSV", "JSON"):
        with page.expect_download() as download:
            page.locator(".links.all").get_by_text(name, exact=True).click()
        found[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(found[name])

    reader = LedgerReader(settings.node.data / "ledger.sqlite")
    [place] = reader.destinations()
    reader.close()
    totals = json.loads(found["JSON"].read_text())["totals"]
    assert totals["received"] == sum(place.counts.values()) == 10
    assert totals["proven"] == place.counts["proven"]
    assert totals["waiting"] == place.counts["queued"]
    assert totals["needs_a_person"] == place.counts["attention"]
    with found["CSV"].open(encoding="utf-8-sig", newline="") as file:
        states_of_file = sorted(row["state"] for row in csv.DictReader(file))
    assert states_of_file == sorted(states)
    page.locator(".links.all").get_by_text("Report to print").click()
    expect(page.locator(".sum")).to_have_text(
        "10 received = 5 proven + 3 waiting + 2 in need of a person"
    )


def test_a_pause_is_ordered_with_a_name_and_a_reason(make_ledger, settings, page: Page) -> None:
    make_ledger("central")
    page.goto("/sync")
    page.get_by_text("Pause…").click()
    form = page.locator(".order[open] form")
    form.get_by_text("Pause sending").click()
    assert SyncOrders(settings.node.data).all() == []  # the browser asks for name and reason
    form.locator("[name=by]").fill("A. Jones")
    form.locator("[name=reason]").fill("their migration")
    form.get_by_text("Pause sending").click()
    expect(page.locator(".paused")).to_contain_text("by A. Jones: their migration")
    expect(page.get_by_text("Start…")).to_be_visible()
    expect(page.get_by_text("Pause…")).to_be_hidden()
    assert SyncOrders(settings.node.data).is_paused("central")
