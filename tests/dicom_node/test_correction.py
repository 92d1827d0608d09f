"""A correction changes what it says and nothing else, and only for the images it was made for."""

from datetime import date

import pytest

from dicom_node.correction import Correction, check_who_and_why, checked_values
from dicom_node.errors import BadCorrection
from dicom_node.identity import Identity

TODAY = date(2026, 1, 2)
TEMPORARY = Identity(
    patient_name="EMERGENCY^UNKNOWN", patient_id="TMP-1", study_description="CT head"
)


def test_only_what_differs_is_changed():
    wanted = {"patient_name": "EMERGENCY^UNKNOWN", "accession_number": " ACC7 "}
    assert checked_values([TEMPORARY], wanted, TODAY) == {"accession_number": "ACC7"}


def test_a_value_that_one_of_several_identities_has_already_is_still_a_change():
    other = Identity(patient_name="DOE^JANE", patient_id="PH-1")
    assert checked_values([TEMPORARY, other], {"patient_id": "PH-1"}, TODAY) == {
        "patient_id": "PH-1"
    }


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        ({"patient_birth_date": "1970-02-28"}, {"patient_birth_date": "19700228"}),
        ({"patient_birth_date": "19700228"}, {"patient_birth_date": "19700228"}),
        ({"patient_name": "DOE^JANE^^^ "}, {"patient_name": "DOE^JANE"}),
        ({"patient_name": "YAMADA^TARO=山田^太郎"}, {"patient_name": "YAMADA^TARO=山田^太郎"}),
    ],
)
def test_values_are_written_as_dicom_wants_them(wanted, written):
    assert checked_values([TEMPORARY], wanted, TODAY) == written


@pytest.mark.parametrize(
    "wanted",
    [
        {"patient_name": ""},
        {"patient_name": "^^"},
        {"patient_name": "A^B^C^D^E^F"},
        {"patient_name": "A=B=C=D"},
        {"patient_name": "X" * 65},
        {"patient_id": " "},
        {"patient_id": "A\\B"},
        {"patient_id": "A\nB"},
        {"patient_id": "X" * 65},
        {"accession_number": "X" * 17},
        {"patient_birth_date": "1970-02-30"},
        {"patient_birth_date": "197002"},
        {"patient_birth_date": "20260103"},
        {"patient_birth_date": "١٩٧٠٠١٠١"},
        {"patient_sex": "X"},
        {"study_instance_uid": "1.2.3"},
        {},
        {"patient_id": "TMP-1"},
    ],
)
def test_what_dicom_cannot_hold_or_changes_nothing_is_refused(wanted):
    with pytest.raises(BadCorrection):
        checked_values([TEMPORARY], wanted, TODAY)


@pytest.mark.parametrize(
    ("by", "reason"),
    [("", "why"), ("who", " "), ("x" * 65, "why"), ("who", "x" * 201), ("a", "b\nc")],
)
def test_who_and_why_are_always_given(by, reason):
    with pytest.raises(BadCorrection):
        check_who_and_why(by, reason)


def test_a_correction_covers_only_the_images_it_was_made_for():
    correction = Correction("c1", "1.2", {"patient_id": "PH-1"}, (TEMPORARY,))
    assert correction.covers(TEMPORARY)
    assert correction.covers(correction.of(TEMPORARY))
    assert correction.covers(Identity("EMERGENCY^UNKNOWN^", "TMP-1 ", study_description="other"))
    assert not correction.covers(Identity("SMITH^JOHN", "TMP-1"))
    assert not correction.covers(Identity("EMERGENCY^UNKNOWN", "TMP-2"))


def test_what_makes_it_another_patient_is_known():
    def of(**values: str) -> Correction:
        return Correction("c1", "1.2", values, (TEMPORARY,))

    assert not of(accession_number="A").is_of_the_patient
    assert of(patient_birth_date="19700101").is_of_the_patient
    assert not of(patient_name="A").moves_to_another_patient
    assert of(issuer_of_patient_id="A").moves_to_another_patient
