"""What is found and what is ordered become one mode, on record, told to others."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.errors import BadSettings, StorageFailed
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_writer import Ledger
from dicom_node.mode_keeper import ModeKeeper
from dicom_node.mode_order import FILE as ORDER_FILE
from dicom_node.mode_order import ModeOrders
from dicom_node.mode_state import FILE, read_mode
from dicom_node.outage_mode import Mode, Proof
from dicom_node.settings import load_settings
from dicom_node.unknown_switch import AUDIT_FILE
from dicom_node.verdict import Condition, Layer, Verdict

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
ECHOES = Verdict(Condition.HEALTHY, Layer.ECHO, "it answers C-ECHO")
FROZEN = Verdict(Condition.FROZEN, Layer.ASSOCIATION, "it stays silent")


class Node:
    """The part of a node that keeps the mode, for two archives of which one decides."""

    def __init__(self, data) -> None:
        self.data = data
        self.now = NOON
        overrides = [f"pacs.{name}.host=127.0.0.1" for name in ("main", "far")]
        self.settings = load_settings(environment={}, data=data, overrides=overrides)
        self.orders = ModeOrders(data, lambda: self.now)
        self.changes = []
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(self.data / "ledger.sqlite")
        self.reader = LedgerReader(self.data / "ledger.sqlite")
        self.keeper = ModeKeeper(
            self.settings,
            self.ledger,
            self.changes.append,
            lambda: self.now,
            lambda: (self.now - NOON).total_seconds(),
        )

    def close(self) -> None:
        self.reader.close()
        self.ledger.close()

    def find(self, name: str, *verdicts: Verdict) -> None:
        for verdict in verdicts:
            self.now += timedelta(seconds=10)
            self.keeper.judge(name, verdict)

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.keeper.step()

    def mode(self) -> Mode:
        return read_mode(self.data, lambda: self.now).mode

    def history(self) -> list[tuple[str, str, str]]:
        changes = reversed(self.reader.mode_changes())
        return [(change.mode, change.by, change.reason) for change in changes]


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path)
    yield node
    node.close()


def test_only_the_archive_that_decides_makes_an_outage(node):
    node.find("far", *[FROZEN] * 10)
    assert node.mode() is Mode.NORMAL
    assert node.keeper.standing("far").mode is Mode.OUTAGE
    state = read_mode(node.data)
    assert (state.pacs["far"].mode, state.pacs["far"].condition) == (Mode.OUTAGE, "frozen")
    node.find("main", *[FROZEN] * 5)
    assert node.mode() is Mode.OUTAGE
    assert node.history()[-1] == ("outage", "node", "main: it stays silent; far: it stays silent")


def test_of_several_the_first_decides_unless_it_is_said_otherwise():
    def deciding(*extra: str) -> list[str]:
        overrides = ["pacs.a.host=h", "pacs.b.host=h", *extra]
        settings = load_settings(environment={}, overrides=overrides)
        return [pacs.name for pacs in settings.pacs if pacs.decides_mode]

    assert deciding() == ["a"]
    assert deciding("pacs.b.decides_mode=true") == ["a", "b"]
    with pytest.raises(BadSettings, match="decides_mode"):
        deciding("pacs.a.decides_mode=false")


def test_an_order_counts_at_once_even_while_nobody_delivers(node):
    node.orders.give(Mode.OUTAGE, by="anna", reason="PACS update")
    assert node.mode() is Mode.OUTAGE
    state = read_mode(node.data, lambda: node.now)
    assert (state.by, state.reason, state.until) == ("anna", "PACS update", "")
    assert node.history() == []
    node.keeper.step()
    assert node.history() == [("outage", "anna", "PACS update")]
    assert read_mode(node.data, lambda: node.now).since == state.since


def test_an_order_is_taken_back_with_who_and_why(node):
    node.orders.give(Mode.OUTAGE, by="anna", reason="PACS update")
    node.keeper.step()
    node.find("main", *[ECHOES] * 5)
    assert node.mode() is Mode.OUTAGE
    node.orders.withdraw(by="ben", reason="update is done")
    assert node.mode() is Mode.NORMAL
    node.keeper.step()
    assert node.history()[-1] == ("normal", "ben", "update is done")
    assert [change.mode for change in node.changes] == ["outage", "normal"]


def test_a_drill_ends_by_itself(node):
    node.orders.give(Mode.DRILL, by="anna", reason="rehearsal")
    node.keeper.step()
    assert node.mode() is Mode.DRILL
    node.pass_seconds(4 * 3600 + 1)
    assert node.mode() is Mode.NORMAL
    assert node.history()[-1] == ("normal", "node", "the time that was set for it is over")


def test_a_real_outage_ends_the_drill(node):
    node.orders.give(Mode.DRILL, by="anna", reason="rehearsal")
    node.keeper.step()
    node.find("main", *[FROZEN] * 5)
    assert node.mode() is Mode.OUTAGE
    assert node.history()[-1] == ("outage", "node", "main: it stays silent")
    assert node.orders.current() is None
    assert [change.mode for change in node.changes] == ["drill", "outage"]


def test_another_order_of_the_same_mode_is_another_change(node):
    for reason in ("first", "second"):
        node.now += timedelta(seconds=1)
        node.orders.give(Mode.OUTAGE, by="anna", reason=reason)
        node.keeper.step()
    assert [reason for _, _, reason in node.history()] == ["first", "second"]


def test_nothing_is_told_twice_after_a_restart(node):
    node.find("main", *[FROZEN] * 5)
    node.orders.give(Mode.OUTAGE, by="anna", reason="all agree")
    node.keeper.step()
    told = len(node.changes)
    node.close()
    node.open()
    node.keeper.step()
    node.find("main", FROZEN, FROZEN)
    assert len(node.changes) == told
    assert node.keeper.standing("main").mode is Mode.OUTAGE


@pytest.mark.parametrize("content", ["", "[]", "{", '{"mode": 1}', '{"pacs": 3}', "null"])
def test_a_damaged_file_is_normal_until_the_next_finding(node, content):
    node.find("main", *[FROZEN] * 5)
    (node.data / FILE).write_text(content)
    assert read_mode(node.data).mode is Mode.NORMAL
    node.find("main", FROZEN)
    node.keeper.prove("main", Proof.STORE)
    assert node.keeper.standing("main").mode is Mode.OUTAGE


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"mode": "outage"}',
        '{"mode":"x","at":"2026","until":"","by":"","reason":""}',
    ],
)
def test_a_damaged_order_is_none(node, content):
    (node.data / ORDER_FILE).write_text(content)
    assert node.orders.current() is None
    assert node.mode() is Mode.NORMAL


@pytest.mark.parametrize(
    ("mode", "reason", "duration_s"),
    [
        (Mode.NORMAL, "why", 0),
        (Mode.SUSPECT, "why", 0),
        (Mode.OUTAGE, " ", 0),
        (Mode.OUTAGE, "why", -1),
        (Mode.DRILL, "why", 25 * 3600),
        (Mode.DRILL, "why", float("nan")),
    ],
)
def test_what_cannot_be_ordered_is_refused(node, mode, reason, duration_s):
    with pytest.raises(BadSettings):
        node.orders.give(mode, by="anna", reason=reason, duration_s=duration_s)
    assert node.orders.current() is None


def test_every_order_is_on_record_before_it_counts(node):
    node.orders.give(Mode.OUTAGE, by="anna", reason="why")
    node.orders.withdraw(by="ben", reason="")
    lines = [json.loads(line) for line in (node.data / AUDIT_FILE).read_text().splitlines()]
    assert [(line["event"], line["by"]) for line in lines] == [
        ("mode_ordered", "anna"),
        ("mode_order_withdrawn", "ben"),
    ]
    (node.data / AUDIT_FILE).unlink()
    (node.data / AUDIT_FILE).mkdir()
    with pytest.raises(StorageFailed):
        node.orders.give(Mode.OUTAGE, by="anna", reason="why")
    assert node.orders.current() is None
