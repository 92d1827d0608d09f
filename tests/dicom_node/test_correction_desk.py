"""What was decided is kept, and one study has one correction at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.correction import Correction, CorrectionState, Source
from dicom_node.correction_desk import CorrectionDesk, CorrectionReader
from dicom_node.errors import CorrectionRefused
from dicom_node.identity import Identity

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DRAFT = Correction(
    "c1",
    "1.2.3",
    {"patient_name": "MÜLLER^JÖRG=山田", "accession_number": ""},
    (Identity("EMERGENCY^UNKNOWN", "TMP-1"), Identity("EMERGENCY^OTHER", "TMP-2")),
    Source.MERGE,
    "m1",
)
WHO = {"by": "A. Smith", "reason": "worklist was down"}


@pytest.fixture
def desk(tmp_path):
    with CorrectionDesk(tmp_path) as desk:
        yield desk


@pytest.fixture
def reader(tmp_path):
    reader = CorrectionReader(tmp_path)
    yield reader
    reader.close()


def test_nothing_is_corrected_before_there_is_a_desk(reader):
    assert reader.active("1.2.3") is None
    assert reader.decided() == []
    assert reader.revision() == "0"


def test_a_draft_is_kept_but_not_in_force(desk, reader):
    desk.draft([DRAFT], NOW)
    assert reader.active("1.2.3") is None
    found = reader.get("c1")
    assert replace(found, at="") == DRAFT


def test_a_confirmed_correction_is_in_force_until_it_is_undone(desk, reader):
    desk.draft([DRAFT], NOW)
    desk.activate(["c1"], **WHO, now=NOW)
    active = reader.active("1.2.3")
    assert (active.values, active.identities) == (DRAFT.values, DRAFT.identities)
    assert (active.by, active.reason, active.at) == (*WHO.values(), "2026-01-02T03:04:05.000+00:00")
    before = reader.revision()
    desk.undo(["c1"], by="B. Jones", reason="wrong patient", now=NOW + timedelta(hours=1))
    assert reader.active("1.2.3") is None
    assert reader.revision() != before
    assert [(step.state, step.by) for step in reader.steps(["c1"])] == [
        ("active", "A. Smith"),
        ("undone", "B. Jones"),
    ]
    (undone,) = reader.decided()
    assert undone.state is CorrectionState.UNDONE
    assert undone.by == "A. Smith"


def test_a_study_has_one_correction_at_a_time(desk, reader):
    desk.draft([DRAFT, replace(DRAFT, correction_id="c2")], NOW)
    desk.activate(["c1"], **WHO, now=NOW)
    with pytest.raises(CorrectionRefused):
        desk.activate(["c2"], **WHO, now=NOW)
    assert reader.active("1.2.3").correction_id == "c1"
    desk.undo(["c1"], **WHO, now=NOW)
    desk.activate(["c2"], **WHO, now=NOW)


def test_the_corrections_of_a_merge_are_confirmed_together_or_not_at_all(desk, reader):
    other = replace(DRAFT, correction_id="c2", study_instance_uid="1.2.4")
    desk.draft([DRAFT, other], NOW)
    with pytest.raises(CorrectionRefused):
        desk.activate(["c1", "c2", "c3"], **WHO, now=NOW)
    assert reader.active("1.2.3") is None
    desk.activate(["c1", "c2"], **WHO, now=NOW)
    assert {one.study_instance_uid for one in reader.merged("m1")} == {"1.2.3", "1.2.4"}


def test_nothing_is_decided_twice(desk):
    desk.draft([DRAFT], NOW)
    with pytest.raises(CorrectionRefused):
        desk.undo(["c1"], **WHO, now=NOW)
    desk.activate(["c1"], **WHO, now=NOW)
    with pytest.raises(CorrectionRefused):
        desk.activate(["c1"], **WHO, now=NOW)


def test_a_preview_nobody_confirmed_is_forgotten(desk, reader):
    desk.draft([DRAFT], NOW)
    desk.draft([replace(DRAFT, correction_id="c2")], NOW + timedelta(days=2))
    assert reader.get("c1") is None
    assert reader.get("c2") is not None
