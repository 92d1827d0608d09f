"""The report: received = proven + waiting + needs a person, and never more than the evidence."""

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pytest
import sqlalchemy as sa

from dicom_node.closing import Closings, closing_words
from dicom_node.delivery_report import Scope, open_report
from dicom_node.errors import BadSettings
from dicom_node.index_writer import Index
from dicom_node.ledger_tables import identity_difference
from dicom_node.report_files import COLUMNS, csv_pieces, harmless, json_pieces, text_pieces
from dicom_node.report_page import page_pieces
from tests.dicom_node.report_data import BEGAN, Books, at


@pytest.fixture
def make_books(tmp_path: Path):
    made = []

    def make(*names: str) -> Books:
        made.append(Books(tmp_path / "data", *names))
        return made[-1]

    yield make
    for books in made:
        books.close()


def totals_of(books: Books, **scope: str):
    with open_report(books.settings, Scope(**scope), lambda: BEGAN) as report:
        for _ in report.studies():
            pass
        return report.totals


def counts(tally) -> tuple[int, int, int, int]:
    return tally.received, tally.proven, tally.waiting, tally.needs_a_person


def test_every_instance_counts_once_where_it_stands(make_books):
    books = make_books("pacs")
    books.receive("1.2", range(10))
    books.prove("1.2", range(3))
    for number, state in enumerate(("queued", "sending", "stored", "held", "attention"), 3):
        books.owe("1.2", [number], state)

    totals = totals_of(books)

    assert counts(totals.tally) == (10, 3, 5, 2)  # two are not queued yet
    assert totals.faults == []
    assert not totals.is_closable


def test_an_instance_is_proven_only_when_every_required_pacs_proved_it(make_books):
    books = make_books("east", "west")
    books.receive("1.2", range(4))
    books.prove("1.2", range(4), "east")
    books.prove("1.2", range(2), "west")
    books.owe("1.2", [2], "attention", "west")

    totals = totals_of(books)

    assert counts(totals.tally) == (4, 2, 1, 1)
    assert counts(totals.at["east"]) == (4, 4, 0, 0)
    assert counts(totals.at["west"]) == (4, 2, 1, 1)


def test_a_pacs_that_is_not_required_holds_nothing_up(make_books):
    books = make_books("east", "west")
    east, west = books.settings.pacs
    books.receive("1.2", range(2))
    books.prove("1.2", range(2), "east")
    books.owe("1.2", range(2), "queued", "west")
    assert counts(totals_of(books).tally) == (2, 0, 2, 0)

    from dataclasses import replace

    books.settings = replace(books.settings, pacs=(east, replace(west, required=False)))

    assert counts(totals_of(books).tally) == (2, 2, 0, 0)


def test_without_a_pacs_nothing_is_proven(make_books):
    books = make_books()
    books.receive("1.2", range(2))
    assert counts(totals_of(books).tally) == (2, 0, 2, 0)


def test_what_the_pacs_keeps_under_another_identity_needs_a_person(make_books):
    books = make_books("pacs")
    books.receive("1.2", range(2))
    books.prove("1.2", [0])
    books.prove("1.2", [1], identity_state="differs")
    with books.ledger.change() as connection:
        connection.execute(
            sa.insert(identity_difference).values(
                destination="pacs", study_instance_uid="1.2", found_at=at(9), state="differs"
            )
        )

    totals = totals_of(books)

    assert counts(totals.tally) == (2, 1, 0, 1)
    assert totals.identity_differences == 1
    assert totals.faults == []


def enter_difference(books: Books, study: str, state: str) -> None:
    values = {"destination": "pacs", "study_instance_uid": study, "state": state}
    with books.ledger.change() as connection:
        connection.execute(sa.insert(identity_difference).values(**values))


def test_a_study_whose_identity_was_not_verified_is_named_and_counted(make_books):
    books = make_books("pacs")
    for study, identity_state in (("1.2", ""), ("1.3", "same")):
        books.receive(study, [0])
        books.prove(study, [0], identity_state=identity_state)
    enter_difference(books, "1.2", "unanswered")

    with open_report(books.settings, Scope(), lambda: BEGAN) as report:
        text = "".join(text_pieces(report, None))
    with open_report(books.settings, Scope(), lambda: BEGAN) as report:
        page = "".join(page_pieces(report))

    assert "1.2: proven, its identity not verified" in text
    assert "1.3" not in text
    assert "identity not verified: 1" in page
    assert "<td>not verified</td>" in page
    assert report.totals.is_closable


@pytest.mark.parametrize("state", ["kept", "split", "there-before"])
def test_an_outage_is_not_signed_while_a_pacs_keeps_another_identity(make_books, state):
    books = make_books("pacs")
    books.modes("suspect", "outage", "normal")
    books.receive("1.2", [0], seconds=30)
    books.prove("1.2", [0], identity_state="same")
    enter_difference(books, "1.2", state)
    with pytest.raises(BadSettings, match="1 studies under another identity"):
        read_last_outage(books, sign_as="A. Jones")


def test_a_damaged_file_needs_a_person_until_it_is_proven(make_books):
    books = make_books("pacs")
    books.receive("1.2", range(2), damaged_at=at(3))
    books.owe("1.2", [0], "queued")
    books.prove("1.2", [1])
    assert counts(totals_of(books).tally) == (2, 1, 0, 1)


def test_what_only_the_ledger_knows_is_counted_too(make_books):
    books = make_books("pacs")
    books.receive("1.2", [0])
    books.prove("1.2", [0, 1])
    books.owe("1.7", [0], "attention")

    totals = totals_of(books)

    assert counts(totals.tally) == (3, 2, 0, 1)
    assert totals.faults == []


def test_without_a_list_nobody_says_that_none_is_missing(make_books):
    books = make_books("pacs")
    books.receive("1.2", [0])
    books.prove("1.2", [0])
    with open_report(books.settings, Scope(), lambda: BEGAN) as report:
        assert json.loads("".join(json_pieces(report)))["totals"]["missing"] == (
            "no list from a scanner"
        )
    with open_report(books.settings, Scope(), lambda: BEGAN) as report:
        assert "never arrived: no list from a scanner" in "".join(text_pieces(report, None))


def test_the_oldest_unsent_is_the_oldest_some_pacs_lacks(make_books):
    books = make_books("pacs")
    books.receive("1.2", [0], seconds=0)
    books.receive("1.2", [1], seconds=100)
    books.receive("1.3", [0], seconds=50)
    books.owe("1.2", [0], "stored", stored_at=at(3))
    books.owe("1.3", [0], "queued")
    assert totals_of(books).unsent_since == at(50)


def test_an_outage_counts_its_studies_and_what_came_late_for_them(make_books):
    books = make_books("pacs")
    books.receive("1.1", [0], seconds=-900)
    books.prove("1.1", [0], queued_at=at(-899), proven_at=at(-890))
    books.receive("1.2", [0], seconds=90)
    books.prove("1.2", [0], proven_at=at(95))
    books.receive("1.2", [1], seconds=9000)
    books.receive("1.3", [0], seconds=9000)
    books.modes("suspect", "normal", "suspect", "outage", "recovering", "normal", "drill")
    assert totals_of(books).studies == 3
    assert counts(totals_of(books, outage="1").tally)[0] == 0  # the first suspicion was none

    books.receive("1.4", [0], seconds=130)
    totals = totals_of(books, outage="1")

    assert totals.studies == 1
    with pytest.raises(BadSettings, match="there are: 1, 2"):
        totals_of(books, outage="7")


def test_an_outage_is_signed_only_when_nothing_is_open_and_opens_again(make_books):
    books = make_books("pacs")
    books.modes("suspect", "outage", "normal")
    books.receive("1.2", [0], seconds=30)
    books.owe("1.2", [0], "queued")
    closings = Closings(books.settings.node.data, lambda: BEGAN)

    def look(sign_as: str = "") -> str:
        with open_report(books.settings, Scope(outage="last"), lambda: BEGAN) as report:
            for _ in report.studies():
                pass
            if sign_as:
                closings.sign(report, sign_as)
            return closing_words(report, closings.last(report.outage.began_at))

    with pytest.raises(BadSettings, match="1 waiting"):
        look(sign_as="A. Jones")
    assert look() == "Open: 1 waiting."
    with books.ledger.change() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'proven'")
    assert look() == "Ready to be closed."
    with pytest.raises(BadSettings, match="with your name"):
        look(sign_as=" ")
    assert look(sign_as="A. Jones") == f"Closed by A. Jones at {at(0)}."

    books.receive("1.2", [1], seconds=7000)
    assert look().startswith("Open again: 1 waiting. It was closed by A. Jones")
    books.prove("1.2", [1])
    assert look().startswith("Open again: 1 images arrived after")
    audit = (books.settings.node.data / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in audit] == ["outage_closed"]


def read_last_outage(books: Books, sign_as: str = "") -> tuple[int, str]:
    closings = Closings(books.settings.node.data, lambda: BEGAN)
    with open_report(books.settings, Scope(outage="last"), lambda: BEGAN) as report:
        for _ in report.studies():
            pass
        if sign_as:
            closings.sign(report, sign_as)
        return report.totals.tally.open, closing_words(report, None)


def test_an_outage_is_not_signed_while_the_index_is_missing_or_another(make_books):
    books = make_books("pacs")
    books.modes("suspect", "outage", "normal")
    books.receive("1.2", range(10), seconds=30)
    books.owe("1.2", range(10), "attention", queued_at=at(31))
    (books.settings.node.data / "index.sqlite").unlink()
    (books.settings.node.data / "index.sqlite-wal").unlink()

    assert read_last_outage(books)[0] == 10
    with books.ledger.change() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'proven', proven_at = 'x'")
    with pytest.raises(BadSettings, match="the index is missing"):
        read_last_outage(books, sign_as="A. Jones")

    books.index.close()
    books.index = Index(books.settings.node.data / "index.sqlite")
    with pytest.raises(BadSettings, match="the index is being rebuilt"):
        read_last_outage(books, sign_as="A. Jones")
    books.index.mark_complete()
    with pytest.raises(BadSettings, match="delivery has not read the index anew"):
        read_last_outage(books, sign_as="A. Jones")


def test_what_was_queued_before_an_outage_and_not_proven_by_then_is_of_it(make_books):
    books = make_books("pacs")
    books.modes("suspect", "outage", "normal")
    books.receive("1.2", range(3), seconds=-20)
    books.owe("1.2", [0], "attention", queued_at=at(-19))
    books.prove("1.2", [1], queued_at=at(-19), proven_at=at(7000))
    books.prove("1.2", [2], queued_at=at(-19), proven_at=at(-5))
    books.receive("1.7", [0], seconds=-20)  # not queued at all

    totals = totals_of(books, outage="last")

    assert (totals.studies, counts(totals.tally)) == (2, (3, 1, 1, 1))
    with pytest.raises(BadSettings, match="1 waiting, 1 in need of a person"):
        read_last_outage(books, sign_as="A. Jones")


def test_an_outage_that_lasts_cannot_be_signed(make_books):
    books = make_books("pacs")
    books.modes("suspect", "outage")
    with open_report(books.settings, Scope(outage="last"), lambda: BEGAN) as report:
        for _ in report.studies():
            pass
        with pytest.raises(BadSettings, match="the outage lasts"):
            Closings(books.settings.node.data).sign(report, "A. Jones")


@pytest.mark.parametrize("text", ["=1+1", "+44", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_taken_for_a_formula(text):
    assert harmless(text) == "'" + text


def test_csv_and_json_say_the_same_of_every_instance(make_books):
    books = make_books("pacs")
    books.receive("1.2", range(3))
    books.prove("1.2", [0])
    books.owe("1.2", [1], "attention", last_status=0xA900, last_error="=cmd|' /C calc'!A0")

    with open_report(books.settings, Scope(), lambda: BEGAN) as report:
        text = "".join(csv_pieces(report))
    with open_report(books.settings, Scope(), lambda: BEGAN) as report:
        found = json.loads("".join(json_pieces(report)))

    assert text.startswith("\ufeffstudy_instance_uid,")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    [study] = found["studies"]
    assert [row["standing"] for row in rows] == ["proven", "needs a person", "waiting"]
    assert [row["standing"] for row in study["instances"]] == [row["standing"] for row in rows]
    assert set(rows[0]) == set(study["instances"][0]) == set(COLUMNS)
    assert (rows[0]["sha256"], rows[0]["last_status"]) == (f"{0:064x}", "0000")
    assert rows[1]["last_status"] == "A900"
    assert rows[1]["last_error"].startswith("'=cmd")
    assert rows[0]["accession_number"] == "'=HYPERLINK(1)"
    assert (found["totals"]["received"], found["totals"]["adds_up"]) == (3, True)


def test_the_page_shows_the_sum_and_takes_no_text_for_markup(make_books):
    books = make_books("pacs")
    books.modes("outage", "normal")
    books.receive("1.2", range(2), seconds=10, calling_ae_title="<b>")
    books.prove("1.2", [0])
    books.owe("1.2", [1], "attention", last_error="<script>alert(1)</script>")
    for scope in (Scope(), Scope(outage="1"), Scope(study_instance_uid="1.2")):
        with open_report(books.settings, scope, lambda: BEGAN) as report:
            page = "".join(page_pieces(report))
        assert "2 received = 1 proven + 0 waiting + 1 in need of a person" in page
        assert ("equals the ledger" in page) == (scope == Scope())
        assert "<script>" not in page
        assert page.count("<table>") == page.count("</table>")
    assert "A9" not in page


def test_a_report_is_of_one_moment_however_long_it_takes(make_books):
    books = make_books("pacs")
    books.receive("1.2", [0])
    books.receive("1.3", [0], seconds=5)
    with open_report(books.settings, Scope(), lambda: BEGAN) as report:
        studies = report.studies()
        next(studies)
        books.receive("1.3", [1], seconds=6)
        books.prove("1.3", [0, 1])
        assert [counts(study.tally) for study in studies] == [(1, 0, 1, 0)]
        assert report.totals.faults == []


def test_an_empty_node_has_an_empty_report(make_books):
    books = make_books("pacs")
    totals = totals_of(books)
    assert counts(totals.tally) == (0, 0, 0, 0)


def test_a_large_report_takes_no_more_memory_than_its_largest_study(make_books):
    books = make_books("pacs")
    peaks = []
    for studies in (2, 16):
        for study in range(studies // 2, studies):
            books.receive(f"1.{study}", range(100))
            books.prove(f"1.{study}", range(100))
        tracemalloc.start()
        with open_report(books.settings, Scope(), lambda: BEGAN) as report:
            rows = sum(piece.count("\r\n") for piece in csv_pieces(report))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert rows > 800
    assert peaks[1] < 1.5 * peaks[0]
