"""Every page says how the node stands to the PACS, and says nothing while all is normal."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect
from pydicom.dataset import FileDataset

from dicom_node.mode_order import ModeOrders
from dicom_node.mode_state import ModeState, PacsState, write_recorded
from dicom_node.outage_mode import Mode
from dicom_node.settings import Settings
from web.mode import mode_words

SINCE = "2026-01-02T11:00:00.000+00:00"
OUTAGE = ModeState(
    Mode.OUTAGE,
    SINCE,
    "it accepts connections but stays silent",
    found=Mode.OUTAGE,
    pacs={"central": PacsState("central", Mode.OUTAGE, "frozen", "association", "silent")},
)


@pytest.fixture
def orders(settings: Settings, clock: Any) -> ModeOrders:
    return ModeOrders(settings.node.data, clock)


def test_a_normal_day_has_no_banner(client: FlaskClient) -> None:
    assert 'id="mode" data-state="normal" role="status" hidden>' in client.get("/").text


def test_an_outage_is_on_every_page(
    client: FlaskClient, settings: Settings, held: FileDataset
) -> None:
    write_recorded(settings.node.data, OUTAGE)
    for path in ("/", "/sync", "/display", f"/studies/{held.StudyInstanceUID}", "/nowhere"):
        page = client.get(path).text
        assert 'id="mode" data-state="outage" role="status">' in page, path
        assert "PACS outage since" in page
        assert "stays silent" in page
        assert "icons.svg#outage" in page


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.NORMAL])
def test_the_words_say_what_since_when_by_whom_and_what_to_do(mode: Mode) -> None:
    words = mode_words(ModeState(mode, SINCE, "why.", "anna", "2026-01-02T15:00:00.000+00:00"))
    what, _, to_do = words.partition(" (why). ")
    assert "02-Jan" in what
    assert "until" in what
    assert what.endswith(", by anna")
    assert len(to_do) > 20
    assert mode_words(ModeState(mode)).count("()") == 0


def test_a_reason_is_only_text(client: FlaskClient, orders: ModeOrders) -> None:
    orders.give(Mode.DRILL, by="anna", reason="<script>alert(1)</script>")
    page = client.get("/").text
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page


def test_machines_are_told_too(
    client: FlaskClient, settings: Settings, make_ledger: Callable[..., Any], clock: Any
) -> None:
    ledger = make_ledger("central")
    ledger.record_probe("central", is_reachable=False, detail="silent", now=clock().isoformat())
    ledger.record_event("mode_outage", "", "node: it stays silent", SINCE)
    ledger.record_event("mode_drill", "", "anna: rehearsal: theatre 3", SINCE)
    write_recorded(settings.node.data, OUTAGE)
    health = client.get("/healthz").json
    assert (health["mode"], health["mode_since"]) == ("outage", SINCE)
    assert client.get("/api/v1/changes").json["mode"]["mode"] == "outage"
    sync = client.get("/api/v1/sync").json
    assert sync["mode"]["reason"] == OUTAGE.reason
    assert [(row["mode"], row["who"], row["reason"]) for row in sync["mode_changes"]] == [
        ("drill", "anna", "rehearsal: theatre 3"),
        ("outage", "Lifeboat", "it stays silent"),
    ]
    [place] = sync["destinations"]
    assert (place["state"], place["words"], place["mode"]) == ("unreachable", "Frozen", "outage")
    page = client.get("/sync").text
    assert "rehearsal: theatre 3" in page
    assert "Frozen" in page


def test_a_pacs_that_echoes_but_cannot_store_is_not_called_reachable(
    client: FlaskClient, settings: Settings, make_ledger: Callable[..., Any], clock: Any
) -> None:
    ledger = make_ledger("central")
    ledger.record_probe("central", is_reachable=True, detail="A700", now=clock().isoformat())
    pacs = PacsState("central", Mode.RECOVERING, "cannot-store", "store", "A700", "store")
    write_recorded(settings.node.data, ModeState(pacs={"central": pacs}))
    [place] = client.get("/api/v1/sync").json["destinations"]
    assert (place["state"], place["words"]) == ("attention", "Cannot store")
    assert place["since"].endswith("Still to be proven since the outage: store")


def test_an_order_and_its_end_move_the_revision(
    client: FlaskClient, orders: ModeOrders, clock: Any
) -> None:
    def revision() -> str:
        return str(client.get("/api/v1/changes").json["revision"])

    revisions = [revision()]
    orders.give(Mode.DRILL, by="anna", reason="rehearsal", duration_s=600)
    revisions.append(revision())
    clock.pass_seconds(601)
    assert revision() == revisions[0] != revisions[1]


@pytest.mark.browser
def test_a_page_that_is_open_tells_the_outage_and_its_end(orders: ModeOrders, page: Page) -> None:
    page.goto("/")
    banner = page.locator("#mode")
    expect(banner).to_be_hidden()
    orders.give(Mode.OUTAGE, by="anna", reason="PACS update")
    expect(banner).to_contain_text("by anna (PACS update)", timeout=8000)
    expect(banner).to_have_attribute("data-state", "outage")
    orders.withdraw(by="ben", reason="")
    expect(banner).to_be_hidden(timeout=8000)
