"""A reissue step by step: it can be undone, counts each image once, and says what is left to do."""

from dataclasses import replace
from time import monotonic
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    KeyObjectSelectionDocumentStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from dicom_node.correction_desk import CorrectionDesk, CorrectionReader
from dicom_node.delivery_report import Scope, open_report
from dicom_node.errors import BadCorrection, CorrectionRefused, ReissueRefused
from dicom_node.eviction import judge_instances
from dicom_node.reconciling import take_back
from dicom_node.reissue import ReissueState, reissues_of
from dicom_node.reissued_uids import new_uid
from dicom_node.reissuing import Reissuing, draft
from dicom_node.rejecter import TRIES
from dicom_node.report_files import text_pieces
from dicom_node.sync_command import sync
from dicom_node.sync_order import OrderKind
from tests.conftest import wait_until
from tests.dicom_node.desk import START

WHO = {"by": "A. Smith", "reason": "the wrong worklist entry"}
LEVELS = {"STUDY": "StudyInstanceUID", "IMAGE": "SOPInstanceUID"}


class OnlyImages:
    """An archive that stores CT and lists it, and takes no documents, or breaks off at one."""

    def __init__(self) -> None:
        self.held: dict[str, Dataset] = {}
        self.notes = 0
        entity = AE(ae_title="PRACTICE-PACS")
        for uid in (CTImageStorage, StudyRootQueryRetrieveInformationModelFind, Verification):
            entity.add_supported_context(uid)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find)]
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self._server.server_address[1]

    def _store(self, event) -> int:
        ds = event.dataset
        if ds.Modality == "KO":
            self.notes += 1
            event.assoc.abort()
            return 0x0000
        self.held.setdefault(str(ds.SOPInstanceUID), ds)
        return 0x0000

    def _find(self, event):
        asked = event.identifier
        key = LEVELS.get(asked.QueryRetrieveLevel, "SeriesInstanceUID")
        answers = {}
        for ds in self.held.values():
            if ds.StudyInstanceUID != asked.StudyInstanceUID:
                continue
            answer = Dataset()
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                setattr(answer, keyword, ds[keyword].value)
            for keyword in ("PatientName", "PatientID", "AccessionNumber"):
                setattr(answer, keyword, ds.get(keyword, ""))
            answer.QueryRetrieveLevel = asked.QueryRetrieveLevel
            answers[ds[key].value] = answer
        for answer in answers.values():
            yield 0xFF00, answer

    def take_notes(self) -> None:
        self._server.ae.add_supported_context(KeyObjectSelectionDocumentStorage)
        self._server.contexts = self._server.ae.supported_contexts

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture
def archive():
    archive = OnlyImages()
    yield archive
    archive.close()


class Case:
    """Two images that an archive has proven under a wrong identity."""

    def __init__(self, room, desk, archive, make_instance) -> None:
        self.room, self.desk, self.archive = room, desk, archive
        first = make_instance(1)
        self.study = str(first.StudyInstanceUID)
        self.receive(first, make_instance(2, StudyInstanceUID=first.StudyInstanceUID))
        desk.step()
        desk.step(1)
        self.reissuing = Reissuing(room.data, desk.reader, lambda: desk.now)

    def receive(self, *instances: Dataset) -> None:
        reader = self.room.reader
        number = len(reader.instances(self.study)) + len(instances)
        for ds in instances:
            self.room.accept(ds)
        wait_until(lambda: len(reader.instances(self.study)) == number)

    def draft(self):
        wanted = {"patient_id": "PH-2"}
        return draft(self.room.data, self.room.reader, self.study, wanted, lambda: START)

    def order(self, correction=None, retyped: str = "PH-2") -> None:
        chosen = self.reissuing.preview(correction or self.draft(), "pacs")
        self.reissuing.order(chosen, "113037", **WHO, retyped_patient_id=retyped)

    def pause(self) -> None:
        self.desk.sync_orders.give(OrderKind.PAUSE, **WHO)

    def go_on(self) -> None:
        self.desk.sync_orders.give(OrderKind.START, **WHO)

    def configure(self, **changes) -> None:
        """Start anew with another setting of the PACS."""
        self.desk.close()
        settings = self.desk.settings
        self.desk.settings = replace(settings, pacs=(replace(settings.pacs[0], **changes),))
        self.desk.open()

    def one(self):
        (one,) = reissues_of(self.desk.reader)
        return one

    def send_anew(self) -> None:
        """Have all sent and proven under new UIDs; the next step may reject the old ones."""
        self.order()
        self.desk.step(1)
        assert self.one().state == ReissueState.SENDING

    def totals(self):
        with open_report(self.desk.settings, Scope(), lambda: self.desk.now) as report:
            said = "".join(text_pieces(report, None))
            return report.totals, said


@pytest.fixture
def case(room, make_desk, archive, make_instance):
    desk = make_desk(archive.port, "pacs.proof=c-find", "sync.reverify_interval_s=60")
    return Case(room, desk, archive, make_instance)


def test_a_pacs_that_takes_no_notes_is_said_and_who_must_remove_the_old_ones(case):
    case.order()
    for _ in range(4):
        case.desk.step(1)
    (one,) = reissues_of(case.desk.reader)
    assert (one.state, one.still_listed) == (ReissueState.REFUSED, 2)
    assert "ask its administrator to remove them" in one.words
    assert "takes no" in one.words or "accepts no Key Object" in one.words
    totals, said = case.totals()
    assert (totals.tally.received, totals.tally.proven) == (2, 2)
    assert not totals.faults
    assert one.words in said
    case.archive.held = {uid: ds for uid, ds in case.archive.held.items() if ds.PatientID == "PH-2"}
    case.desk.step(61)
    case.desk.step(1)
    (one,) = reissues_of(case.desk.reader)
    assert one.still_listed == 0  # its administrator removed them


def test_each_image_counts_once_and_may_not_go_before_its_reissue_is_proven(case):
    before = {item.sop_instance_uid for item in case.desk.reader.deliveries(case.study)}
    case.pause()
    case.order()
    case.desk.step(1)
    totals, _ = case.totals()
    assert (totals.tally.received, totals.tally.waiting) == (2, 2)
    assert (totals.reissues_open, totals.is_closable, totals.faults) == (1, False, [])
    assert {judged.reason for judged in judge_instances(case.desk.settings)} == {
        "pacs: not proven: queued"
    }
    deliveries = case.desk.reader.deliveries(case.study)
    (one,) = reissues_of(case.desk.reader)
    assert {item.sop_instance_uid for item in deliveries} == before
    assert {item.there[2] for item in deliveries} == {new_uid(one.namespace, u) for u in before}
    assert set(case.archive.held) == before
    case.configure(name="another")  # to one that is gone no reissue keeps an outage open
    assert case.totals()[0].reissues_open == 0


def test_while_a_person_stopped_delivery_or_in_quiet_hours_no_note_goes_out(case):
    case.send_anew()
    case.pause()
    case.desk.step(1)
    assert case.one().state == ReissueState.SENDING
    reasons = {judged.reason for judged in judge_instances(case.desk.settings)}
    assert reasons == {"it is reissued under new UIDs, and the old ones are not rejected yet"}
    case.go_on()
    case.configure(quiet_hours=("00:00-23:59",))
    case.desk.step(1)
    assert case.one().state == ReissueState.SENDING
    case.configure(quiet_hours=())
    case.desk.step(1)
    assert case.one().state == ReissueState.REFUSED


def test_while_the_pacs_does_not_list_a_new_image_nothing_is_rejected(case):
    case.send_anew()
    (lost, ds), *_ = [pair for pair in case.archive.held.items() if pair[1].PatientID == "PH-2"]
    del case.archive.held[lost]
    case.desk.step(1)
    assert case.one().state == ReissueState.SENDING
    assert "does not list all the new ones: nothing is rejected" in case.totals()[1]
    case.archive.held[lost] = ds
    for item in case.desk.reader.deliveries(case.study):
        (case.room.data / item.path).write_bytes(b"")  # a damaged disk stops no note
    case.desk.step(3600)
    assert case.one().state == ReissueState.REFUSED


def test_a_note_that_is_never_answered_is_given_up_and_said(case):
    case.archive.take_notes()
    case.send_anew()
    for _ in range(TRIES + 1):
        case.desk.step(3600)
    assert (case.archive.notes, case.one().state) == (TRIES, ReissueState.REFUSED)
    assert f"it did not answer it {TRIES} times" in case.one().words


def test_undone_before_anything_was_sent_it_is_as_it_was(case):
    before = set(case.archive.held)
    case.pause()
    case.order()
    case.desk.step(1)
    active = CorrectionReader(case.room.data).active(case.study)
    known = case.desk.reader.deliveries
    with pytest.raises(CorrectionRefused, match="Undo the reissue first"):
        take_back(case.room.data, [active], known, **WHO, now=case.desk.now)
    case.reissuing.undo(case.study, "pacs", **WHO)
    case.desk.step(1)
    case.desk.step(1)
    deliveries = case.desk.reader.deliveries(case.study)
    assert {(item.state, item.sent_sop_instance_uid) for item in deliveries} == {("proven", "")}
    take_back(case.room.data, [active], known, **WHO, now=case.desk.now)
    assert set(case.archive.held) == before
    assert reissues_of(case.desk.reader) == []


def test_it_is_not_undone_once_a_new_image_was_sent(case):
    case.order()
    case.desk.step(1)
    with pytest.raises(ReissueRefused, match="sent under new UIDs"):
        case.reissuing.undo(case.study, "pacs", **WHO)
    with pytest.raises(ReissueRefused, match="already"):
        case.reissuing.preview(case.draft(), "pacs")


def test_what_comes_late_goes_under_new_uids_too(case, make_instance):
    case.order()
    case.desk.step(1)
    late = make_instance(7, StudyInstanceUID=case.study)
    case.receive(late)
    for _ in range(3):
        case.desk.step(1)
    (one,) = reissues_of(case.desk.reader)
    assert new_uid(one.namespace, str(late.SOPInstanceUID)) in case.archive.held
    assert str(late.SOPInstanceUID) not in case.archive.held


def test_after_a_crash_between_any_two_steps_it_goes_on_with_the_same_uids(case):
    case.order()
    for _ in range(5):
        case.desk.close()
        case.desk.open()
        case.desk.step(1)
    (one,) = reissues_of(case.desk.reader)
    old = {item.sop_instance_uid for item in case.desk.reader.deliveries(case.study)}
    assert set(case.archive.held) == old | {new_uid(one.namespace, uid) for uid in old}


def test_without_the_patient_id_typed_once_more_nothing_comes_into_force(case):
    with pytest.raises(BadCorrection, match="Type the patient ID"):
        case.order(retyped="PH-3")
    assert CorrectionReader(case.room.data).active(case.study) is None
    assert all(one.kind is not OrderKind.REISSUE for one in case.desk.sync_orders.all())


def test_an_order_whose_correction_was_taken_back_reissues_nothing(case):
    case.order()
    active = CorrectionReader(case.room.data).active(case.study)
    with CorrectionDesk(case.room.data) as desk:
        desk.undo([active.correction_id], **WHO, now=START)
    case.desk.step(1)
    assert reissues_of(case.desk.reader) == []
    assert "its correction is not in force" in case.desk.events("reissue_ordered")[0]


@pytest.fixture
def run(case, monkeypatch):
    clock = SimpleNamespace(monotonic=monotonic, sleep=lambda seconds: case.desk.step(1))
    monkeypatch.setattr("dicom_node.reissue_command.time", clock)

    def run(*arguments: str, answer: str = ""):
        options = [f"--data={case.room.data}", "--destination=pacs", "--why=wrong entry"]
        return CliRunner().invoke(sync, ["reissue", case.study, *options, *arguments], input=answer)

    return run


def test_the_command_shows_both_identities_asks_and_follows_to_the_end(case, run):
    assert "say what is right" in str(run().exception)
    assert run("--correct=patient_id=PH-2", answer="\x04").exit_code != 0
    wrong = run("--correct=patient_id=PH-2", answer="PH-1\n")
    assert "Type the patient ID" in str(wrong.exception)
    done = run("--correct=patient_id=PH-2", "--title=safety", "--wait", answer="PH-2\n")
    for words in ("PH-2", "changed", "2 instances are rejected there", "113037", "entered"):
        assert words in done.output
    assert "ask its administrator to remove them" in done.output
    assert done.exit_code == 1  # the archive takes no notes
    assert "reissued to pacs already" in str(run("--yes").exception)
    assert "sent under new UIDs" in str(run("--undo").exception)
