"""`lifeboat sync ...`: what it prints, writes and exits with."""

import csv
import json

import pytest
from click.testing import CliRunner, Result

from dicom_node.sync_command import sync
from dicom_node.sync_order import SyncOrders
from tests.dicom_node.report_data import Books


@pytest.fixture
def books(tmp_path):
    books = Books(tmp_path / "data", "pacs")
    yield books
    books.close()


@pytest.fixture
def run(books):
    def run(*arguments: str) -> Result:
        options = [f"--data={books.settings.node.data}"]
        options += [f"--set=pacs.{key}" for key in ("host=127.0.0.1", "ae_title=PACS")]
        return CliRunner().invoke(sync, [*arguments, *options])

    return run


def test_status_exits_0_when_all_is_proven_and_1_while_something_is_open(run, books):
    books.receive("1.2", range(2))
    result = run("status", "--json")
    assert (result.exit_code, json.loads(result.stdout)["not_queued_yet"]) == (1, 2)
    books.ledger.set_mark("instance_id", "2")
    books.prove("1.2", [0])
    books.owe("1.2", [1], "stored")
    result = run("status")
    assert result.exit_code == 1
    assert "1 of 2 proven" in result.output
    with books.ledger.change() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'proven'")
    assert run("status").exit_code == 0
    waited = run("status", "--wait", "--json")
    assert waited.exit_code == 0
    assert "Proven: 2 of 2" in waited.stderr


def test_pause_and_start_are_orders_others_obey(run, books):
    orders = SyncOrders(books.settings.node.data)
    assert run("pause", "--reason", "their migration").exit_code == 0
    assert orders.pause("pacs").reason == "their migration"
    assert "Paused since" in run("status").output
    assert json.loads(run("status", "--json").stdout)["pauses"]["pacs"]["kind"] == "pause"
    assert run("start", "--pacs", "pacs", "--reason", "done").exit_code == 0
    assert not orders.is_paused("pacs")


def test_an_order_without_a_reason_or_to_an_unknown_pacs_is_refused(run, books):
    assert "say who you are and why" in str(run("pause").exception)
    result = run("pause", "--pacs", "far", "--reason", "x")
    assert "no PACS is called 'far': pacs" in str(result.exception)
    assert SyncOrders(books.settings.node.data).all() == []


def test_retry_says_how_many(run, books):
    books.owe("1.2", [0, 1], "attention")
    books.owe("1.3", [0], "attention")
    result = run("retry", "--study", "1.2", "--reason", "they take it now")
    assert result.output == "2 refused or held deliveries are tried once more\n"


@pytest.mark.parametrize("form", ["text", "html", "csv", "json"])
def test_a_report_exits_by_what_is_open_and_is_written_whole(run, books, tmp_path, form):
    books.receive("1.2", range(3))
    books.prove("1.2", range(2))
    file = tmp_path / "report"
    result = run("report", "--format", form, "--output", str(file))
    assert result.exit_code == 1
    assert file.read_bytes()
    assert list(tmp_path.glob("*.new")) == []
    books.prove("1.2", [2])
    again = run("report", "--format", form)
    assert again.exit_code == 0
    if form == "csv":
        rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
        assert [row["standing"] for row in rows] == ["proven", "proven", "waiting"]
    if form == "json":
        assert json.loads(again.stdout)["totals"]["proven"] == 3


def test_closing_is_refused_while_something_is_open_and_then_signed(run, books):
    books.modes("suspect", "outage", "normal")
    books.receive("1.2", [0], seconds=10)
    books.owe("1.2", [0], "attention")
    result = run("close", "--name", "A. Jones")
    assert result.exit_code == 1
    assert "not closed: 1 in need of a person" in result.stderr
    with books.ledger.change() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'proven'")
    assert run("close", "--name", "A. Jones").output.startswith("closed by A. Jones at")
    assert "Closed by A. Jones" in run("report", "--outage", "last").output


def test_every_command_explains_itself_with_an_example():
    for name, command in sync.commands.items():
        words = CliRunner().invoke(sync, [name, "--help"]).output
        assert f"Example: lifeboat sync {name}" in words, name
        assert command.help
