import json
from datetime import UTC, datetime

from dicom_node.association_request import printable
from dicom_node.refusals import FILE, FLUSH_INTERVAL_S, MAXIMUM_ENTRIES, Refusals, read_refusals

AT = "2026-01-02T03:04:05.000+00:00"


def clock() -> datetime:
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_same_caller_is_one_entry_with_a_count(tmp_path):
    refusals = Refusals(tmp_path, clock)
    for reason in ("unknown-caller", "unknown-caller", "no-right-to-store"):
        refusals.add("CT1", "10.0.0.1", reason)
    refusals.flush()
    latest, first = read_refusals(tmp_path)
    assert (latest.reason, latest.count) == ("no-right-to-store", 1)
    assert (first.calling_ae_title, first.address, first.count) == ("CT1", "10.0.0.1", 2)
    assert (first.first_at, first.last_at) == (AT, AT)


def test_counts_go_on_after_a_restart(tmp_path):
    for _ in range(3):
        refusals = Refusals(tmp_path, clock)
        refusals.add("CT1", "10.0.0.1", "unknown-caller")
        refusals.stop()
    (entry,) = read_refusals(tmp_path)
    assert entry.count == 3


def test_the_least_recent_is_forgotten(tmp_path):
    refusals = Refusals(tmp_path, clock)
    for number in range(MAXIMUM_ENTRIES):
        refusals.add(f"AE{number}", "10.0.0.1", "unknown-caller")
    refusals.add("AE0", "10.0.0.1", "unknown-caller")
    refusals.add("NEW", "10.0.0.1", "unknown-caller")
    refusals.flush()
    titles = [entry.calling_ae_title for entry in read_refusals(tmp_path)]
    assert len(titles) == MAXIMUM_ENTRIES
    assert titles[:2] == ["NEW", "AE0"]
    assert "AE1" not in titles


def test_a_flood_writes_few_lines_to_the_log(tmp_path, caplog):
    refusals = Refusals(tmp_path, clock)
    for _ in range(12_345):
        refusals.add("", "10.0.0.1", "silent")
    assert len(caplog.records) == 5  # at 1, 10, 100, 1000, 10000


def test_hostile_titles_are_shown_as_text(tmp_path, capsys):
    from dicom_node.report import print_status

    title = printable(b"\x1b[31m<b>[red]\xff")
    refusals = Refusals(tmp_path, clock)
    refusals.add(title, "10.0.0.1", "bad-calling-ae-title")
    refusals.flush()
    entries = json.loads((tmp_path / FILE).read_text())
    status = {
        "troubles": [],
        "modalities": 0,
        "accept_unknown": None,
        "certificate": None,
        "refusals": entries,
    }
    print_status(status)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert r"\x1b[31m<b>[red]\xff at 10.0.0.1: bad-calling-ae-title, 1 x" in printed


def test_counts_are_written_while_it_runs(tmp_path, wait):
    refusals = Refusals(tmp_path, clock)
    refusals.start()
    refusals.add("CT1", "10.0.0.1", "silent")
    wait(lambda: read_refusals(tmp_path), FLUSH_INTERVAL_S + 5)
    refusals.stop()


def test_a_damaged_or_absent_file_is_an_empty_one(tmp_path):
    assert read_refusals(tmp_path) == []
    for content in ("{", '[{"unexpected": 1}]', "[1]", "null"):
        (tmp_path / FILE).write_text(content)
        assert read_refusals(tmp_path) == []
        Refusals(tmp_path, clock).add("CT1", "10.0.0.1", "silent")
