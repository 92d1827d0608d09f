"""Two identities are told apart where a person would, and nowhere else."""

import pytest

from dicom_node.identity import ATTRIBUTES, Identity, Kind, differences

JANE = Identity(
    patient_name="DOE^JANE",
    patient_id="PH-1",
    issuer_of_patient_id="HOSPITAL",
    patient_birth_date="19700101",
    patient_sex="F",
    accession_number="ACC1",
    study_description="CT head",
)


def kinds(ours: Identity, theirs: Identity) -> dict[str, Kind]:
    return {item.attribute: item.kind for item in differences(ours, theirs)}


def name_kind(ours: str, theirs: str) -> Kind | None:
    return kinds(Identity(patient_name=ours), Identity(patient_name=theirs)).get("patient_name")


def test_an_identity_equals_itself():
    assert differences(JANE, JANE) == ()


@pytest.mark.parametrize(
    "theirs",
    ["DOE^JANE^^^", "DOE^JANE ", "DOE ^ JANE", "DOE^JANE=", "DOE^JANE==", "DOE^JANE=DOE^J"],
)
def test_what_says_nothing_in_a_name_is_no_difference(theirs):
    assert name_kind("DOE^JANE", theirs) is None
    assert name_kind(theirs, "DOE^JANE") is None


@pytest.mark.parametrize(
    "theirs",
    ["DOE^JOHN", "DOE", "JANE^DOE", "DOE^^JANE", "DOE^JANE^M", "DOE^JANET", "=DOE^JANE"],
)
def test_another_name_is_a_difference(theirs):
    assert name_kind("DOE^JANE", theirs) is Kind.DIFFERENT


def test_every_group_both_write_must_agree():
    ours = "YAMADA^TARO=山田^太郎=やまだ^たろう"
    assert name_kind(ours, "YAMADA^TARO=山田^太郎") is None
    assert name_kind(ours, "YAMADA^TARO=山本^太郎") is Kind.DIFFERENT
    assert name_kind("=山田^太郎", ours) is None


@pytest.mark.parametrize("theirs", ["doe^jane", "Doe^Jané", "DOÉ^JANE"])
def test_capitals_and_accents_are_told_apart_from_another_name(theirs):
    assert name_kind("DOE^JANE", theirs) is Kind.SPELLING


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_empty_against_known_is_missing_whichever_side_lacks_it(attribute):
    known, empty = Identity(**{attribute: "X"}), Identity(**{attribute: " "})
    assert kinds(known, empty) == kinds(empty, known) == {attribute: Kind.MISSING}
    assert not kinds(empty, Identity())


def test_dates_and_identifiers_are_exact():
    theirs = Identity(patient_birth_date="19700102", patient_id="PH-01", accession_number="ACC")
    ours = Identity(patient_birth_date="19700101", patient_id="PH-1", accession_number="ACC1 ")
    assert set(kinds(ours, theirs).values()) == {Kind.DIFFERENT}
    assert len(kinds(ours, theirs)) == 3


def test_what_was_not_asked_for_is_not_compared():
    found = differences(JANE, Identity(patient_name="DOE^JANE"), ("patient_name", "patient_id"))
    assert [(item.attribute, item.ours, item.theirs) for item in found] == [
        ("patient_id", "PH-1", "")
    ]


def test_an_identity_is_taken_from_values_that_hold_more_or_less():
    values = {"patient_name": "DOE^JANE", "patient_id": None, "study_date": "20260101"}
    assert Identity.of(values) == Identity(patient_name="DOE^JANE")
