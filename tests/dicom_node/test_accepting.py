"""A PACS keeps a study under another identity, and a person says that it may."""

import json

import pytest
from click.testing import CliRunner

from dicom_node.accepting import Accepting, only_one
from dicom_node.closing import Closings
from dicom_node.delivery_report import Scope, open_report
from dicom_node.errors import BadSettings
from dicom_node.eviction import judge_instances
from dicom_node.identity import Difference, Identity, Kind
from dicom_node.identity_decisions import decisions_of
from dicom_node.kept_identity import COMPARED, Finding, Kept, find_identity
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_proofs import LedgerProofs
from dicom_node.order_keeper import OrderKeeper
from dicom_node.report_files import json_pieces, text_pieces
from dicom_node.report_page import page_pieces
from dicom_node.study_answer import StudyAnswer
from dicom_node.sync_command import sync
from dicom_node.sync_order import OrderKind, SyncOrders
from tests.dicom_node.desk import START
from tests.dicom_node.report_data import BEGAN, Books, at
from tests.dicom_node.rest_orthanc import RestOrthanc
from tests.dicom_node.test_eviction import LATER
from web.reconcile_answers import accepted_marks

STUDY = "1.2"
NAME = Difference("patient_name", "DOE^JANE", "ROE^JANE", Kind.DIFFERENT)
NUMBER = Difference("patient_id", "P1", "P2", Kind.DIFFERENT)


def shown(kept: Kept, *found: Difference, **more: str) -> Finding:
    """What a PACS lists, `more` of it where we have nothing to compare with."""
    values = {item.attribute: item.theirs for item in found} | more
    return Finding(kept, found, (StudyAnswer(Identity.of(values), frozenset(values)),))


BEFORE = shown(Kept.THERE_BEFORE, NAME)
WHO = {"by": "A. Smith", "reason": "maiden name"}


class Case:
    """A study of two images, of which one PACS proved one and keeps the study otherwise."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.data = books.settings.node.data
        self.ledger = LedgerReader(self.data / "ledger.sqlite")
        self.accepting = Accepting(self.data, self.ledger)
        self.keeper = OrderKeeper(SyncOrders(self.data), books.ledger, ["pacs"])
        books.modes("suspect", "outage", "normal")
        books.receive(STUDY, range(2), seconds=30)
        books.prove(STUDY, [0])
        books.owe(STUDY, [1], "stored")

    def find(self, finding: Finding) -> bool:
        """Enter what the PACS was found to keep; return whether that is news to be told."""
        found, is_news = LedgerProofs(self.books.ledger, "pacs").record_finding(
            STUDY, finding, at(60)
        )
        return is_news and found.state == "differs"

    def accept(self, meaning: str = "same-person") -> None:
        (one,) = self.accepting.open()
        self.accepting.accept(one, one.code, meaning, **WHO, retyped_patient_id=one.id_to_type)
        self.keeper.step()

    def undo(self) -> None:
        (one,) = self.accepting.accepted()
        self.accepting.undo(one, by="B. Jones", reason="the other Smith")
        self.keeper.step()

    def states(self) -> list[tuple[str, str]]:
        return [(one.state, one.identity_state) for one in self.ledger.deliveries(STUDY)]

    def totals(self):
        with open_report(self.books.settings, Scope(), lambda: BEGAN) as report:
            list(report.studies())
        return report.totals


@pytest.fixture
def case(tmp_path):
    case = Case(Books(tmp_path / "data", "pacs"))
    yield case
    case.ledger.close()
    case.books.close()


def test_what_was_accepted_is_no_difference_any_more_and_proves_nothing(case):
    assert case.find(BEFORE)
    assert case.states() == [("proven", "differs"), ("stored", "")]
    assert case.totals().identity_differences == 1

    case.accept()

    assert case.states() == [("proven", "accepted"), ("stored", "")]
    totals = case.totals()
    assert (totals.identity_differences, totals.identities_accepted) == (0, 1)
    assert (totals.tally.proven, totals.tally.waiting, totals.tally.needs_a_person) == (1, 1, 0)
    assert not totals.is_closable
    reasons = [one.reason for one in judge_instances(case.books.settings, lambda: LATER)]
    assert reasons == ["", "pacs: not proven: stored"]
    assert case.accepting.open() == []


def test_the_same_difference_is_not_raised_again_in_whatever_order_it_is_answered(case):
    case.find(shown(Kept.SPLIT, NAME, NUMBER))
    case.accept()
    assert not case.find(shown(Kept.SPLIT, NUMBER, NAME))
    assert not case.find(Finding(Kept.UNANSWERED))
    assert not case.find(shown(Kept.SPLIT, NAME, NUMBER))
    assert case.states()[0] == ("proven", "accepted")


@pytest.mark.parametrize(
    "finding",
    [
        shown(Kept.THERE_BEFORE, NAME, NUMBER),
        shown(Kept.THERE_BEFORE, NUMBER),
        shown(Kept.SPLIT, NAME),
        shown(Kept.KEPT, Difference("patient_name", "DOE^J", "ROE^JANE", Kind.DIFFERENT)),
    ],
)
def test_any_other_difference_is_raised(case, finding):
    case.find(BEFORE)
    case.accept()
    assert case.find(finding)
    assert case.states()[0] == ("proven", "differs")
    assert case.totals().identity_differences == 1
    assert len(case.accepting.open()) == 1


OURS = Identity(patient_name="UNKNOWN^MALE", patient_id="TEMP1")
SMITH = {"patient_name": "SMITH^JOHN", "patient_id": "123"}


def listed(*patients: dict[str, str], ours: Identity = OURS) -> Finding:
    """What is found where a PACS lists these patients, and says nothing of the accession number."""
    returned = frozenset(COMPARED) - {"accession_number"}
    answers = [StudyAnswer(Identity.of(values), returned) for values in patients]
    return find_identity(ours, answers, was_there_before=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"patient_birth_date": "20100505"},
        {"patient_sex": "F"},
        {"patient_birth_date": ""},
        {"issuer_of_patient_id": "HOSP2"},
    ],
)
def test_what_only_the_pacs_knows_of_the_patient_is_accepted_with_the_rest(case, changed):
    man = SMITH | {"patient_birth_date": "19500101", "patient_sex": "M"}
    case.find(listed(man))
    (before,) = case.accepting.open()
    case.accept()
    assert not case.find(listed(man))
    assert case.find(listed(man | changed))
    assert case.states()[0] == ("proven", "differs")
    (after,) = case.accepting.open()
    assert after.code != before.code
    (reason, _) = [one.reason for one in judge_instances(case.books.settings, lambda: LATER)]
    assert reason != ""


def test_what_the_pacs_has_is_shown_also_where_nothing_here_differs_from_it(case):
    case.find(listed(SMITH | {"patient_birth_date": "19500101"}))
    (one,) = case.accepting.open()
    (lines,) = one.compared(OURS)
    assert [(line.theirs, line.words) for line in lines] == [
        ("SMITH^JOHN", "different"),
        ("123", "different"),
        ("", "unknown to both"),
        ("19500101", "only in the PACS"),
        ("", "unknown to both"),
        ("", "not compared: the PACS does not say"),
    ]


def test_a_split_by_issuer_is_of_the_patient_and_holds_for_this_patient_alone(case):
    def split(issuer: str) -> Finding:
        other = SMITH | {"issuer_of_patient_id": issuer, "patient_birth_date": "20100505"}
        return listed(SMITH, other, ours=Identity.of(SMITH))

    case.find(split("HOSP2"))
    (one,) = case.accepting.open()
    assert (one.is_of_the_patient, one.id_to_type) == (True, "123")
    issuers = [lines[2].theirs for lines in one.compared(Identity.of(SMITH))]
    assert issuers == ["", "HOSP2"]
    with pytest.raises(BadSettings, match="type the patient ID"):
        case.accepting.accept(one, one.code, "same-person", **WHO)
    case.accept()
    assert not case.find(split("HOSP2"))
    assert case.find(split("HOSP9"))
    assert case.states()[0] == ("proven", "differs")


def test_nothing_is_accepted_while_what_the_pacs_has_is_not_known(case):
    case.find(Finding(Kept.SPLIT))
    (one,) = case.accepting.open()
    with pytest.raises(BadSettings, match="let it be asked again"):
        case.accepting.accept(one, one.code, "same-person", **WHO)
    SyncOrders(case.data).give(
        OrderKind.ACCEPT, study_instance_uid=STUDY, **WHO, meaning="same-person", seen=one.code
    )
    case.keeper.step()
    assert case.states()[0] == ("proven", "differs")


def test_what_an_older_ledger_accepted_without_all_that_was_there_is_raised_again(case):
    case.find(BEFORE)
    case.accept()
    with case.books.ledger.change() as connection:
        found = '[{"attribute": "patient_name", "ours": "DOE^JANE", "theirs": "ROE^JANE", '
        for table in ("identity_decisions", "identity_difference"):
            connection.exec_driver_sql(
                f"UPDATE {table} SET differences = ?", (found + '"kind": "different"}]',)
            )
    assert case.find(BEFORE)
    assert case.states()[0] == ("proven", "differs")


@pytest.mark.parametrize("kept", [Kept.UNANSWERED, Kept.UNLISTED])
def test_a_question_without_an_answer_closes_no_difference(case, kept):
    case.find(BEFORE)
    assert not case.find(Finding(kept))
    assert case.states()[0] == ("proven", "differs")
    totals = case.totals()
    assert (totals.identity_differences, totals.is_closable) == (1, False)
    assert len(case.accepting.open()) == 1
    assert not case.find(BEFORE)  # no news


@pytest.mark.parametrize("kept", [Kept.UNANSWERED, Kept.UNLISTED])
def test_a_question_without_an_answer_takes_no_mark_away_and_verifies_nothing(case, kept):
    case.find(BEFORE)
    case.accept("pacs-is-right")
    marks = accepted_marks(case.ledger, [STUDY])
    case.find(Finding(kept))
    assert accepted_marks(case.ledger, [STUDY]) == marks
    assert marks[STUDY].startswith("Wrong identity: pacs has name ROE, Jane")
    assert case.states()[0] == ("proven", "")
    assert len(case.accepting.accepted()) == 1
    case.undo()
    assert case.states()[0] == ("proven", "differs")
    assert accepted_marks(case.ledger, [STUDY]) == {}


def test_a_wrong_identity_stays_marked_when_the_pacs_has_something_else_by_then(case):
    case.find(BEFORE)
    case.accept("pacs-is-right")
    case.find(Finding(Kept.SAME))
    (mark,) = accepted_marks(case.ledger, [STUDY]).values()
    assert mark.startswith("Wrong identity: pacs has name ROE, Jane")
    assert mark.endswith("pacs has something else since")
    (one,) = case.accepting.decided()
    case.accepting.undo(one, **WHO)
    case.keeper.step()
    assert accepted_marks(case.ledger, [STUDY]) == {}
    assert case.states()[0] == ("proven", "same")


def test_of_another_archive_behind_the_same_name_nothing_is_accepted(case):
    from dataclasses import replace

    case.find(BEFORE)
    case.accept()
    (pacs,) = case.books.settings.pacs
    case.books.ledger.record_destinations([replace(pacs, port=105)])
    with case.books.ledger.change() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'proven'")
    assert case.find(BEFORE)


def test_undone_the_difference_is_open_again(case):
    case.find(BEFORE)
    case.accept()
    case.undo()
    assert case.states()[0] == ("proven", "differs")
    assert case.totals().identity_differences == 1
    decided = decisions_of(case.ledger, STUDY)
    assert [(one.decision, one.by) for one in decided] == [
        ("accepted", "A. Smith"),
        ("undone", "B. Jones"),
    ]
    assert not case.find(BEFORE)
    case.accept()
    assert case.states()[0] == ("proven", "accepted")


def sign_last_outage(case: Case) -> None:
    with case.books.ledger.change() as connection:
        connection.exec_driver_sql(
            "UPDATE deliveries SET proven_at = ?, state = 'proven' WHERE state = 'stored'", (at(9),)
        )
    with open_report(case.books.settings, Scope(outage="last"), lambda: BEGAN) as report:
        list(report.studies())
        Closings(case.data).sign(report, "C. Brown")


def test_after_an_outage_was_signed_with_it_it_stands(case):
    case.find(BEFORE)
    case.accept()
    sign_last_outage(case)
    (one,) = case.accepting.accepted()
    with pytest.raises(BadSettings, match=r"C\. Brown signed"):
        case.accepting.undo(one, **WHO)


def test_the_signature_of_an_outage_without_the_study_keeps_nobody_from_undoing(case):
    case.find(BEFORE)
    case.accept()
    for seconds, mode in ((1000, "outage"), (1100, "normal")):
        case.books.ledger.record_event(f"mode_{mode}", "", "node: as found", at(seconds))
    case.books.receive("1.3", range(1), seconds=1010)
    case.books.prove("1.3", [0], queued_at=at(1010), proven_at=at(1020), identity_state="same")
    sign_last_outage(case)
    case.undo()
    assert case.states()[0] == ("proven", "differs")


def test_what_was_looked_at_must_still_be_so_when_it_is_entered(case):
    case.find(BEFORE)
    (seen,) = case.accepting.open()
    case.accepting.accept(seen, seen.code, "same-person", **WHO)
    (waiting,) = case.accepting.open()
    assert waiting.pending is not None
    case.find(shown(Kept.THERE_BEFORE, NAME, NUMBER))
    case.keeper.step()
    (now,) = case.accepting.open()
    assert now.pending is None
    assert decisions_of(case.ledger) == []
    assert "otherwise than was seen" in case.ledger.events()[0].detail


def test_nothing_to_look_at_is_nothing_to_accept(case):
    for kept in (Kept.UNLISTED, Kept.UNANSWERED, Kept.SAME):
        case.find(Finding(kept))
        with pytest.raises(BadSettings, match="there is nothing to accept"):
            only_one(case.accepting.open())
    case.find(BEFORE)
    (one,) = case.accepting.open()
    for code, meaning, who in (
        ("00000000", "same-person", WHO),
        (one.code, "", WHO),
        (one.code, "same-person", WHO | {"reason": ""}),
    ):
        with pytest.raises(BadSettings):
            case.accepting.accept(one, code, meaning, **who)
    assert SyncOrders(case.data).all() == []


def test_an_order_written_by_hand_without_a_code_accepts_nothing(case):
    case.find(BEFORE)
    SyncOrders(case.data).give(
        OrderKind.ACCEPT, destination="", study_instance_uid=STUDY, **WHO, meaning="same-person"
    )
    case.keeper.step()
    assert case.states()[0] == ("proven", "differs")


def test_the_report_says_who_accepted_what_and_names_no_patient(case):
    case.find(BEFORE)
    case.accept("pacs-is-right")
    said = []
    for pieces in (lambda it: text_pieces(it, None), page_pieces, json_pieces):
        with open_report(case.books.settings, Scope(), lambda: BEGAN) as report:
            said.append("".join(pieces(report)))
    words = "other patient name at pacs: accepted, what the PACS names is right"
    assert words in said[0]
    assert words in said[1]
    (study,) = json.loads(said[2])["studies"]
    assert study["identity_decisions"][0]["attributes"] == ["patient_name"]
    assert all("A. Smith" in one and "maiden name" in one for one in said)
    assert not any("DOE" in one or "ROE" in one for one in said)


@pytest.fixture
def run(case):
    def run(*arguments: str, answer: str = ""):
        options = [f"--data={case.data}", "--set=pacs.host=127.0.0.4", "--set=pacs.ae_title=PACS"]
        return CliRunner().invoke(sync, ["accept", *arguments, *options], input=answer)

    return run


def test_the_command_shows_both_identities_and_wants_the_code(case, run, monkeypatch):
    monkeypatch.setattr("dicom_node.accept_command._ENTERED_WITHIN_S", 0.0)
    assert (run().exit_code, run().output) == (0, "0 to be looked at\n")
    case.find(shown(Kept.SPLIT, NAME, NUMBER))
    listed = run()
    assert listed.exit_code == 1
    (one,) = case.accepting.open()
    for words in ("DOE^JANE", "ROE^JANE", "P2", "more than one patient", one.code):
        assert words in listed.output
    how = ("--study", STUDY, "--meaning", "same-person", "--reason", "x")
    wrong = run(*how, answer="P2\nno\n")
    assert "the code is not that of these differences" in str(wrong.exception)
    for typed in ("P3", ""):
        wrong = run(*how, answer=f"{typed}\n{one.code}\n")
        assert "type the patient ID the PACS has" in str(wrong.exception)
    assert SyncOrders(case.data).all() == []
    right = run(*how, answer=f"P2\n{one.code.lower()}\n")
    assert right.exit_code == 1
    assert "on record, and not entered" in right.stderr
    case.keeper.step()
    assert "accepted by" in run().output
    monkeypatch.setattr("time.sleep", lambda seconds: case.keeper.step())
    monkeypatch.setattr("dicom_node.accept_command._ENTERED_WITHIN_S", 60.0)
    undone = run("--study", STUDY, "--undo", "--reason", "the other Smith")
    assert (undone.exit_code, undone.output) == (0, "undone: the difference is open again\n")
    again = run(*how, "--code", one.code, "--patient-id", "P2")
    assert again.exit_code == 0
    assert again.output.endswith("accepted\n")
    assert "nothing to accept" in str(run(*how).exception)


def test_the_command_wants_to_know_what_it_means(case, run):
    case.find(BEFORE)
    (one,) = case.accepting.open()
    said = run("--study", STUDY, "--reason", "x", "--code", one.code)
    assert said.exit_code == 2
    assert "--meaning same-person or --meaning pacs-is-right" in said.stderr
    assert SyncOrders(case.data).all() == []


def test_the_command_waits_for_this_acceptance_and_says_when_it_is_refused(case, run, monkeypatch):
    case.find(BEFORE)
    case.accept()
    case.find(shown(Kept.THERE_BEFORE, NAME, NUMBER))
    (one,) = case.accepting.open()
    assert "accepted by" not in run().output  # it is not so in the PACS now
    how = ("--study", STUDY, "--meaning", "same-person", "--reason", "maiden name")
    how = (*how, "--code", one.code, "--patient-id", "P2")
    monkeypatch.setattr("dicom_node.accept_command._ENTERED_WITHIN_S", 0.0)
    waits = run(*how)
    assert (waits.exit_code, "on record, and not entered" in waits.stderr) == (1, True)

    def meanwhile(seconds: float) -> None:
        case.find(shown(Kept.THERE_BEFORE, NUMBER))
        case.keeper.step()

    monkeypatch.setattr("time.sleep", meanwhile)
    monkeypatch.setattr("dicom_node.accept_command._ENTERED_WITHIN_S", 60.0)
    refused = run(*how)
    assert (refused.exit_code, "keeps it otherwise than was shown" in refused.stderr) == (1, True)
    assert not refused.output.endswith("accepted\n")
    assert len(case.accepting.open()) == 1


@pytest.mark.peer
def test_what_orthanc_had_before_is_accepted_once_and_a_newer_name_is_raised(
    room, make_orthanc, node_port, make_desk, make_instance, wait, tmp_path
):
    ds = make_instance()
    orthanc = make_orthanc(node_port).start()
    rest = RestOrthanc(orthanc.http_port)

    def put_in_orthanc(name: str) -> None:
        old = make_instance(
            StudyInstanceUID=ds.StudyInstanceUID, SeriesInstanceUID=ds.SeriesInstanceUID
        )
        old.SOPInstanceUID = old.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        old.PatientName = name
        old.save_as(tmp_path / "old.dcm", enforce_file_format=True)
        rest.call("POST", "/instances", (tmp_path / "old.dcm").read_bytes())

    put_in_orthanc("MAIDEN^NAME")
    room.accept(ds)
    room.settle()
    desk = make_desk(orthanc.dicom_port, "pacs.ae_title=ORTHANC")
    wait(
        lambda: (
            desk.step(30) or (desk.counts(), desk.identity_states()) == ({"proven": 1}, {"differs"})
        )
    )
    accepting = Accepting(room.data, desk.reader, lambda: desk.now)
    (one,) = accepting.open()
    assert one.id_to_type == ds.PatientID
    accepting.accept(one, one.code, "same-person", **WHO, retyped_patient_id=one.id_to_type)
    desk.step(1)
    assert desk.identity_states() == {"accepted"}

    desk.step(90000)
    assert (desk.counts(), desk.identity_states()) == ({"proven": 1}, {"accepted"})
    assert len(desk.events("identity_differs")) == 1

    rest.call("DELETE", f"/instances/{rest.instances()[0]}")
    put_in_orthanc("ANOTHER^NAME")
    desk.step(90000)
    assert desk.identity_states() == {"differs"}
    assert len(desk.events("identity_differs")) == 2
    assert desk.events("instances_missing") == []
    assert orthanc.stores_received() == 0
    assert desk.now > START
