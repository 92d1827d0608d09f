from datetime import UTC, datetime, timedelta

from dicom_node.ledger import DestinationState
from web.studies import Chip, delivery, delivery_of_counts, destination_chip, received

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


def test_a_study_is_receiving_then_quiet_and_never_complete() -> None:
    assert received(ago(4), NOW, 60) == Chip("receiving", "Receiving · last 4 s ago")
    assert received(ago(60), NOW, 60) == Chip("quiet", "No new images for 60 s")
    assert received("", NOW, 60).state == "quiet"


def test_the_chip_tells_the_least_certain_truth() -> None:
    states = [
        delivery_of_counts(counts, 3)
        for counts in (
            {"queued": 3},
            {"queued": 2, "sending": 1},
            {"queued": 2, "stored": 1},
            {"stored": 2, "proven": 1},
            {"proven": 3},
            {"proven": 2, "held": 1},
            {"proven": 2, "attention": 1},
            {"proven": 2},
        )
    ]
    assert [chip.state for chip in states] == [
        "waiting",
        "sending",
        "sending",
        "stored",
        "proven",
        "attention",
        "attention",
        "sending",
    ]
    assert states[4].words == "Proven 3 of 3"


def test_of_several_pacs_the_one_behind_is_named() -> None:
    chip = delivery({"near": {"proven": 2}, "far": {"queued": 2}}, 2, has_pacs=True)
    assert chip == Chip("waiting", "far: Waiting for PACS · 0 of 2")


def test_without_a_pacs_nothing_is_promised() -> None:
    assert delivery({}, 2, has_pacs=False) == Chip("none", "No PACS set up")
    assert delivery({}, 2, has_pacs=True).state == "waiting"


def test_a_pacs_that_was_never_tried_is_neither_reachable_nor_not() -> None:
    def place(is_reachable: bool | None) -> DestinationState:
        return DestinationState("far", "AE", "h", 1, is_reachable, "", "", "", {}, "")

    states = [destination_chip(place(value)).state for value in (None, True, False)]
    assert states == ["waiting", "reachable", "unreachable"]
