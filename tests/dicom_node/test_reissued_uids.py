"""Sent under new UIDs: every reference follows, and nothing else changes, pixels least of all."""

from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.corrected_copy import CopyOrder, corrected_copy
from dicom_node.identity_edits import Encoding
from dicom_node.part10 import read_head
from dicom_node.reissued_uids import new_namespace, new_uid, rewrite
from tests.dicom_node.test_corrected_copy import (
    RECORDED,
    correction_of,
    full_of_odd_things,
    stored,
)

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
NAMESPACE = new_namespace(bytes(range(16)))
OLD = ("1.2.3", "1.2.3.4", "1.2.3.4.5", "1.2.3.4.50")
OTHER = ("1.2", "1.2.3.4.500", "1.2.840.10008.5.1.4.1.1.2", "9.9.9")
UIDS = {uid: new_uid(NAMESPACE, uid) for uid in OLD}
KEYWORDS = ("ReferencedSOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
SEQUENCES = ("ReferencedImageSequence", "SourceImageSequence", "ReferencedSeriesSequence")


@st.composite
def data_sets(draw, depth: int = 0) -> Dataset:
    """Elements that name mapped UIDs, others, several at once, and the same digits as text."""
    ds = Dataset()
    some = st.sampled_from(OLD + OTHER)
    for keyword in draw(st.sets(st.sampled_from(KEYWORDS))):
        setattr(ds, keyword, draw(some))
    if draw(st.booleans()):
        ds.FailedSOPInstanceUIDList = draw(st.lists(some, min_size=1, max_size=3))
    if draw(st.booleans()):
        ds.ImageComments = draw(some)
    if depth < 2:
        for keyword in draw(st.sets(st.sampled_from(SEQUENCES), max_size=2)):
            items = draw(st.lists(data_sets(depth + 1), max_size=2))
            setattr(ds, keyword, items)
            ds[keyword].is_undefined_length = draw(st.booleans())
    return ds


def expected(ds: Dataset) -> Dataset:
    """Replace by hand, without the code that is tested."""
    made = Dataset()
    for element in ds:
        if element.VR == "SQ":
            setattr(made, element.keyword, [expected(item) for item in element.value])
        elif element.VR == "UI":
            named = [element.value] if element.VM == 1 else list(element.value)
            after = [UIDS.get(one, one) for one in named]
            setattr(made, element.keyword, after if len(after) > 1 else after[0])
        else:
            made[element.tag] = element
    return made


def copied(tmp_path: Path, ds: Dataset, syntax: str) -> tuple[Path, Path]:
    before, kept = stored(ds, tmp_path, syntax), tmp_path / "kept.dcm"
    uids = UIDS | {
        str(uid): new_uid(NAMESPACE, str(uid))
        for uid in (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    }
    order = CopyOrder(correction_of(ds, patient_id="PH-2"), tmp_path / "outgoing", "LIFEBOAT", uids)
    with corrected_copy(before, "", order) as (path, _):
        kept.write_bytes(path.read_bytes())
    return before, kept


def test_a_new_uid_is_the_same_however_often_it_is_asked_for_and_a_valid_one():
    assert new_uid(NAMESPACE, "1.2.3") == new_uid(NAMESPACE, "1.2.3")
    assert new_uid(NAMESPACE, "1.2.3") != new_uid(NAMESPACE, "1.2.4")
    assert new_uid(new_namespace(bytes(16)), "1.2.3") != new_uid(NAMESPACE, "1.2.3")
    assert pydicom.uid.UID(new_uid(NAMESPACE, "1.2.3")).is_valid


@given(ds=data_sets(), syntax=st.sampled_from(SYNTAXES))
@settings(max_examples=40, deadline=None)
def test_every_reference_is_rewritten_and_nothing_else(ds, syntax):
    is_implicit, is_little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    written = pydicom.filebase.DicomBytesIO()
    written.is_implicit_VR, written.is_little_endian = is_implicit, is_little
    pydicom.filewriter.write_dataset(written, ds)
    written.seek(0)
    read = pydicom.filereader.read_dataset(written, is_implicit, is_little)
    tags = rewrite(read, UIDS)
    wanted = expected(ds)
    assert read == wanted
    assert tags == [element.tag for element in wanted if element != ds.get(element.tag)]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_reissued_copy_has_new_uids_the_right_patient_and_the_same_pixels(
    tmp_path, make_instance, syntax
):
    ds = make_instance()
    full_of_odd_things(ds)
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = ds.SOPClassUID, OLD[0]
    ds.SourceImageSequence = [source]
    ds.FrameOfReferenceUID = "1.2.3.77"
    path, kept = copied(tmp_path, ds, syntax)
    before, after = pydicom.dcmread(path), pydicom.dcmread(kept)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert after[keyword].value == new_uid(NAMESPACE, before[keyword].value)
        (record,) = after.OriginalAttributesSequence
        assert record.ModifiedAttributesSequence[0][keyword].value == before[keyword].value
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == UIDS[OLD[0]]
    assert after.PatientID == "PH-2"
    assert after.PixelData == before.PixelData
    changed = {element.tag for element in after if element != before.get(element.tag)}
    named = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID")
    expected_changes = {*named, "SourceImageSequence", *RECORDED}
    assert changed == {pydicom.tag.Tag(keyword) for keyword in expected_changes}
    assert read_head(kept.read_bytes()[:4096]).sop_instance_uid == after.SOPInstanceUID
    assert before == pydicom.dcmread(path)


@pytest.mark.parametrize("is_implicit", [True, False])
@pytest.mark.parametrize("uid", ["1.2.3.4", "1.2.3.45"])
def test_a_uid_is_found_whatever_stands_beside_it(is_implicit, uid):
    """The next element's group, 0032, begins with a byte that is the digit 2."""
    item, ds = Dataset(), Dataset()
    item.StudyInstanceUID, item.RequestedProcedureDescription = uid, "CT HEAD"
    ds.RequestAttributesSequence = [item]
    written = pydicom.filebase.DicomBytesIO()
    written.is_implicit_VR, written.is_little_endian = is_implicit, True
    pydicom.filewriter.write_dataset(written, ds)
    written.seek(0)
    encoding = Encoding(is_implicit=is_implicit, is_little=True)
    read, _ = encoding.read(written, 0x7FE00007)
    assert rewrite(read, {uid: "2.25.1"}) == [0x00400275]
    assert read.RequestAttributesSequence[0].StudyInstanceUID == "2.25.1"


def test_what_was_recorded_of_the_past_keeps_the_uids_of_then():
    past, item = Dataset(), Dataset()
    past.SeriesInstanceUID = OLD[0]
    item.ModifiedAttributesSequence = [past]
    ds = Dataset()
    ds.OriginalAttributesSequence = [item]
    assert rewrite(ds, UIDS) == []
    assert past.SeriesInstanceUID == OLD[0]
