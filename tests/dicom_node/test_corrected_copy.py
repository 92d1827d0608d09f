"""A corrected copy differs from the stored file in what was corrected, and says so; in no more."""

import hashlib
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from dicom_node.corrected_copy import BLOCK_BYTES, CopyOrder, NotCovered, corrected_copy, sweep
from dicom_node.correction import Correction, Source
from dicom_node.errors import BadDataset
from dicom_node.identity import Identity
from dicom_node.part10 import read_head

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGLSLossless,
)
RECORDED = ("OriginalAttributesSequence", "ContributingEquipmentSequence")
KEYWORDS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_birth_date": "PatientBirthDate",
    "accession_number": "AccessionNumber",
    "study_description": "StudyDescription",
}


def identity_of(ds: Dataset) -> Identity:
    return Identity(
        str(ds.get("PatientName", "")),
        ds.get("PatientID", ""),
        ds.get("IssuerOfPatientID", ""),
        ds.get("PatientBirthDate", ""),
        ds.get("PatientSex", ""),
        ds.get("AccessionNumber", ""),
        ds.get("StudyDescription", ""),
    )


def correction_of(ds: Dataset, **values: str) -> Correction:
    return Correction(
        "c1",
        str(ds.StudyInstanceUID),
        values,
        (identity_of(ds),),
        Source.TYPED,
        at="2026-01-02T03:04:05.678+00:00",
        by="A. Smith",
        reason="the worklist was down",
    )


def full_of_odd_things(ds: Dataset) -> None:
    """Put in what writers other than us get wrong: private, unknown and nested elements."""
    block = ds.private_block(0x0009, "PHANTOM 1.0", create=True)
    block.add_new(0x01, "UN", b"\x01\x02\xff\xfe")
    block.add_new(0x02, "LO", "private")
    ds.add_new(0x00189999, "UN", b"\xff\xfe\x00\xe0")
    item = Dataset()
    item.AccessionNumber, item.RequestedProcedureDescription = "NESTED", "a procedure"
    ds.RequestAttributesSequence = [item]
    ds["RequestAttributesSequence"].is_undefined_length = True
    item.is_undefined_length_sequence_item = True
    ds.add_new(0xFFFCFFFC, "OB", bytes(6))


def stored(ds: Dataset, folder: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    if syntax == JPEGLSLossless:
        ds.PixelData = encapsulate([bytes(range(200)), bytes(100)])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    if syntax == ExplicitVRBigEndian:
        del ds[0x00189999]
    path = folder / "stored.dcm"
    ds.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        path,
        ds,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    return path


def copied(path: Path, correction: Correction, digest: str = "") -> tuple[Dataset, bytes]:
    order = CopyOrder(correction, path.parent / "outgoing", "Lifeboat theatre")
    with corrected_copy(path, digest, order) as (copy, found):
        content = copy.read_bytes()
        assert read_head(content).digest == found
    assert not list((path.parent / "outgoing").iterdir())
    return pydicom.dcmread(BytesIO(content)), content


def dataset_bytes(content: bytes) -> bytes:
    return content[read_head(content).dataset_offset :]


def values_of(ds: Dataset, *left_out: str) -> dict[int, object]:
    tags = {pydicom.tag.Tag(keyword) for keyword in left_out}
    return {
        int(element.tag): (element.VR, element.value)
        for element in ds
        if element.tag not in tags and element.tag.element != 0
    }


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_everything_else_is_as_it_was(make_instance, tmp_path, syntax):
    ds = make_instance()
    full_of_odd_things(ds)
    path = stored(ds, tmp_path, syntax)
    before = path.read_bytes()
    original = pydicom.dcmread(path)
    correction = correction_of(original, patient_id="PH-2", accession_number="ACC9")
    copy, content = copied(path, correction)
    changed = ("PatientID", "AccessionNumber", *RECORDED)
    assert values_of(copy, *changed) == values_of(original, *changed)
    assert copy.PixelData == original.PixelData
    assert (copy.PatientID, copy.AccessionNumber) == ("PH-2", "ACC9")
    assert copy.RequestAttributesSequence[0].AccessionNumber == "NESTED"
    assert copy.file_meta.TransferSyntaxUID == syntax
    assert copy.SOPInstanceUID == copy.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert path.read_bytes() == before
    if syntax not in (DeflatedExplicitVRLittleEndian,):
        at = before.index(
            bytes.fromhex("e07f1000" if syntax != ExplicitVRBigEndian else "7fe00010")
        )
        assert content.endswith(before[at:])


def test_what_stood_there_is_told_with_who_when_and_why(make_instance, tmp_path):
    ds = make_instance()
    ds.IssuerOfPatientID = ""
    path = stored(ds, tmp_path)
    correction = correction_of(ds, patient_name="DOE^JANE", issuer_of_patient_id="HOSPITAL")
    copy, _ = copied(path, correction)
    (item,) = copy.OriginalAttributesSequence
    (modified,) = item.ModifiedAttributesSequence
    assert str(modified.PatientName) == "PHANTOM^TEST"
    assert modified.IssuerOfPatientID == ""
    assert len(modified) == 2
    assert item.AttributeModificationDateTime == "20260102030405.678000+0000"
    assert item.ModifyingSystem == "Lifeboat theatre"
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert "SourceOfPreviousValues" in item
    (equipment,) = copy.ContributingEquipmentSequence
    assert equipment.OperatorsName == "A. Smith"
    assert equipment.ContributionDescription == "the worklist was down"
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109103"


def test_what_others_changed_before_stays_on_record(make_instance, tmp_path):
    ds = make_instance()
    ds.OriginalAttributesSequence = [Dataset()]
    ds.OriginalAttributesSequence[0].ModifyingSystem = "GATEWAY"
    copy, _ = copied(stored(ds, tmp_path), correction_of(ds, accession_number="ACC9"))
    systems = [item.ModifyingSystem for item in copy.OriginalAttributesSequence]
    assert systems == ["GATEWAY", "Lifeboat theatre"]


def test_the_same_correction_always_makes_the_same_bytes(make_instance, tmp_path):
    ds = make_instance()
    path = stored(ds, tmp_path)
    correction = correction_of(ds, accession_number="ACC9")
    assert copied(path, correction)[1] == copied(path, correction)[1]


@pytest.mark.parametrize(
    ("character_set", "written", "new", "expected_set"),
    [
        ("ISO_IR 100", "MÜLLER^JÖRG", "MÜLLER^JÜRGEN", "ISO_IR 100"),
        ("ISO_IR 100", "MÜLLER^JÖRG", "ДОУ^ИВАН", "ISO_IR 192"),
        ("ISO_IR 192", "山田^太郎", "МÜLLER^太郎", "ISO_IR 192"),
        ("", "PHANTOM^TEST", "MÜLLER^JÖRG", "ISO_IR 192"),
        ("", "PHANTOM^TEST", "DOE^JANE", ""),
        (["", "ISO 2022 IR 87"], "YAMADA^TARO=山田^太郎", "YAMADA^JIRO=山田^次郎", "ISO_IR 192"),
        (["", "ISO 2022 IR 87"], "YAMADA^TARO=山田^太郎", "YAMADA^JIRO", ["", "ISO 2022 IR 87"]),
    ],
)
def test_every_text_keeps_its_characters(
    make_instance, tmp_path, character_set, written, new, expected_set
):
    ds = make_instance()
    ds.SpecificCharacterSet = character_set
    ds.PatientName = written
    ds.ReferringPhysicianName = written
    item = Dataset()
    item.ScheduledPerformingPhysicianName = written
    own = Dataset()
    own.SpecificCharacterSet, own.RequestedProcedureDescription = "ISO_IR 144", "ИВАН"
    ds.RequestAttributesSequence = [item, own]
    path = stored(ds, tmp_path)
    copy, _ = copied(path, correction_of(pydicom.dcmread(path), patient_name=new))
    assert copy.get("SpecificCharacterSet", "") == expected_set
    assert str(copy.PatientName) == new
    assert str(copy.ReferringPhysicianName) == written
    first, second = copy.RequestAttributesSequence
    assert str(first.ScheduledPerformingPhysicianName) == written
    assert second.RequestedProcedureDescription == "ИВАН"
    modified = copy.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert str(modified.PatientName) == written
    assert copy.PixelData == ds.PixelData


def test_an_image_of_anybody_else_is_not_corrected(make_instance, tmp_path):
    ds = make_instance()
    correction = correction_of(ds, patient_id="PH-2")
    ds.PatientName = "SMITH^JOHN"
    with pytest.raises(NotCovered):
        copied(stored(ds, tmp_path), correction)
    assert not list((tmp_path / "outgoing").iterdir())


def test_a_data_set_in_no_order_is_not_corrected(make_instance, tmp_path):
    """Its patient ID would stand there twice, and who reads it decides which counts."""
    ds = make_instance()
    path = stored(ds, tmp_path)
    content = path.read_bytes()
    element = b"\x10\x00\x20\x00LO\x08\x00PH-TEST "
    assert element in content
    path.write_bytes(content.replace(element, b"") + element)
    with pytest.raises(NotCovered):
        copied(path, correction_of(ds, patient_id="PH-2"))


def test_a_damaged_file_is_not_copied(make_instance, tmp_path):
    ds = make_instance()
    with pytest.raises(BadDataset):
        copied(stored(ds, tmp_path), correction_of(ds, patient_id="PH-2"), digest="0" * 64)


def test_whoever_waits_for_a_huge_copy_hears_that_it_goes_on(make_instance, tmp_path):
    ds = make_instance()
    ds.PixelData = bytes(4 * BLOCK_BYTES)
    path, told = stored(ds, tmp_path), []
    order = CopyOrder(correction_of(ds, patient_id="PH-2"), tmp_path / "outgoing", "Lifeboat")
    head = read_head(path.read_bytes()[:4096])
    digest = hashlib.sha256(path.read_bytes()[head.dataset_offset :]).hexdigest()
    with corrected_copy(path, digest, order, lambda: told.append(1)):
        pass
    assert len(told) >= 8  # while it is checked, and while it is written


def test_copies_of_one_process_go_without_those_of_another(tmp_path):
    for name in ("1-a.dcm", "12-b.dcm"):
        (tmp_path / name).touch()
    sweep(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["12-b.dcm"]


def test_copies_a_crash_left_behind_are_swept(tmp_path):
    (tmp_path / "outgoing").mkdir()
    (tmp_path / "outgoing" / "1-a.dcm").touch()
    sweep(tmp_path / "outgoing")
    assert not list((tmp_path / "outgoing").iterdir())


TEXTS = st.text(
    st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp", "Zs"), blacklist_characters="\\^="),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(
        st.sampled_from(["patient_name", "patient_id", "accession_number", "study_description"]),
        TEXTS,
        min_size=1,
    ),
    syntax=st.sampled_from(SYNTAXES),
    character_set=st.sampled_from(["", "ISO_IR 100", "ISO_IR 144", "ISO_IR 192"]),
    is_odd=st.booleans(),
)
def test_any_correction_changes_what_it_says_and_nothing_else(
    make_instance, tmp_path, values, syntax, character_set, is_odd
):
    ds = make_instance()
    ds.SpecificCharacterSet = character_set
    if is_odd or syntax == ExplicitVRBigEndian:
        full_of_odd_things(ds)
    path = stored(ds, tmp_path, syntax)
    original = pydicom.dcmread(path)
    copy, _ = copied(path, correction_of(original, **values))
    changed = [*(KEYWORDS[name] for name in values), *RECORDED, "SpecificCharacterSet"]
    assert values_of(copy, *changed) == values_of(original, *changed)
    assert {name: str(copy[KEYWORDS[name]].value) for name in values} == values


@pytest.mark.parametrize(
    "trouble", [zlib.error("x"), struct.error("x"), RecursionError("x"), NotImplementedError("x")]
)
def test_what_cannot_be_rewritten_is_held_and_ends_nothing(
    tmp_path, make_instance, monkeypatch, trouble
):
    def fail(*arguments, **options):
        raise trouble

    ds = make_instance()
    path = stored(ds, tmp_path)
    monkeypatch.setattr("dicom_node.corrected_copy.edits", fail)
    order = CopyOrder(correction_of(ds, accession_number="ACC9"), tmp_path / "outgoing", "Lifeboat")
    with pytest.raises(NotCovered, match="cannot be rewritten"), corrected_copy(path, "", order):
        pass
    assert not list((tmp_path / "outgoing").iterdir())
