from datetime import timedelta

import sqlalchemy as sa

from dicom_node.ledger import DestinationState
from dicom_node.ledger_tables import deliveries
from dicom_node.quarantine import Quarantine
from web.sync import blank_rows, quarantine_row, summary


def place(**counts: int) -> DestinationState:
    return DestinationState("far", "AE", "h", 1, True, "", "", "", counts, "")


def test_the_summary_counts_what_is_proven(clock) -> None:
    assert summary([], 0, clock()) == "Nothing to return yet."
    assert summary([place(proven=2)], 2, clock()) == "All 2 images returned and proven."
    assert summary([place(proven=2, queued=1)], 3, clock()) == "2 of 3 images returned and proven."


def test_of_several_pacs_images_and_deliveries_are_told_apart(client, make_ledger) -> None:
    """Three images, one of which only the second PACS is owed: five deliveries."""
    ledger = make_ledger("east", "west")
    owed = {"east": range(2), "west": range(3)}
    rows = [
        {
            "destination": name,
            "study_instance_uid": "1.2",
            "sop_instance_uid": f"1.2.{number}",
            "digest": f"{number:064x}",
            "state": "proven" if name == "east" else "queued",
        }
        for name, numbers in owed.items()
        for number in numbers
    ]
    with ledger.change() as connection:
        connection.execute(sa.insert(deliveries), rows)
    said = client.get("/api/v1/sync").json["summary"]
    assert said == "3 images: 2 of 5 deliveries to 2 PACS proven."
    with ledger.change() as connection:
        connection.execute(sa.update(deliveries).values(state="proven"))
    said = client.get("/api/v1/sync").json["summary"]
    assert said == "All 3 images returned and proven: 5 deliveries to 2 PACS."


def test_an_outage_says_since_when(client, make_ledger, clock) -> None:
    ledger = make_ledger("central")
    ledger.record_probe("central", is_reachable=False, detail="no route", now=clock().isoformat())
    clock.pass_seconds(7200)
    sync = client.get("/api/v1/sync").json
    [destination] = sync["destinations"]
    assert destination["state"] == "unreachable"
    assert destination["since"].endswith("2 h now. No route")
    assert sync["events"][0]["kind_words"] == "Unreachable"
    assert "central" in client.get("/sync").text


def test_what_was_refused_is_listed_with_its_reason(client, settings, clock) -> None:
    quarantine = Quarantine(settings.node.data / "quarantine")
    for seconds, code in ((0, "bad-dataset"), (1, "unsafe-uid")):
        quarantine.keep(
            b"GIF89a",
            now=clock() + timedelta(seconds=seconds),
            code=code,
            reason="not a data set",
            calling_ae_title="OLD-CR",
            door="c-store",
        )
    rows = client.get("/api/v1/sync").json["quarantine"]
    assert [row["code"] for row in rows] == ["unsafe-uid", "bad-dataset"]
    assert (rows[0]["source"], rows[0]["size"]) == ("sent by OLD-CR", "6 bytes")
    assert "not a data set" in client.get("/sync").text
    assert quarantine_row.__doc__


def test_the_page_has_a_row_for_the_script_to_copy() -> None:
    kinds = {"destination", "study", "event", "mode_change", "quarantine", "door", "refusal"}
    kinds |= {"refused", "outage"}
    assert set(blank_rows()) == kinds
