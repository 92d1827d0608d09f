import contextlib
import csv
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.errors import BadDataset, UnsafeUid
from dicom_node.header import (
    MAXIMUM_DEPTH,
    check_uid,
    finish_header,
    is_valid_uid,
    open_dataset,
    read_header,
)
from dicom_node.part10 import read_head

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"

EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
FILES = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "JPEG2000.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_overlay.dcm",
    "image_dfl.dcm",
    "reportsi.dcm",
]


def elements_of(content: bytes):
    head = read_head(content)
    return read_header(memoryview(content)[head.dataset_offset :], head.transfer_syntax_uid)


@pytest.mark.parametrize("name", FILES)
def test_it_reads_the_same_as_pydicom(name):
    path = get_testdata_file(name)
    with open(path, "rb") as file:
        header = elements_of(file.read())
    expected = pydicom.dcmread(path, stop_before_pixels=True)
    for keyword, attribute in (
        ("sop_instance_uid", "SOPInstanceUID"),
        ("study_instance_uid", "StudyInstanceUID"),
        ("series_instance_uid", "SeriesInstanceUID"),
        ("patient_name", "PatientName"),
        ("patient_id", "PatientID"),
        ("modality", "Modality"),
        ("study_date", "StudyDate"),
    ):
        assert header.text(keyword) == str(expected.get(attribute, "")), keyword
    assert header.integer("rows") == expected.get("Rows")
    assert header.integer("columns") == expected.get("Columns")


def test_names_in_their_character_set(make_instance, encode_dataset):
    for charset, name in (
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Ωμέγα^Ψ"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "王^小东"),
    ):
        ds = make_instance(SpecificCharacterSet=charset, PatientName=name)
        assert read_header(encode_dataset(ds), EXPLICIT).text("patient_name") == name


def test_an_unknown_character_set_still_gives_a_name(make_instance, encode_dataset):
    data = encode_dataset(make_instance(SpecificCharacterSet="ISO_IR 100", PatientName="Bärbel^A"))
    data = data.replace(b"ISO_IR 100", b"ISO_IR 999")
    assert "rbel^A" in read_header(data, EXPLICIT).text("patient_name")


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_cut_data_set_is_never_taken_for_whole(make_instance, encode_dataset, part):
    data = encode_dataset(make_instance())
    with pytest.raises(BadDataset):
        read_header(data[: int(len(data) * part)], EXPLICIT)


def test_a_cut_compressed_data_set_is_never_taken_for_whole():
    with open(get_testdata_file("JPEG2000.dcm"), "rb") as file:
        content = file.read()
    with pytest.raises(BadDataset):
        elements_of(content[:-200])


def test_trailing_zeros_and_what_follows_the_pixels_do_no_harm(make_instance, encode_dataset):
    data = encode_dataset(make_instance())
    assert read_header(data + bytes(3), EXPLICIT).text("modality") == "CT"
    assert read_header(data + b"\x01garbage", EXPLICIT).text("modality") == "CT"


@pytest.mark.parametrize("undefined", [True, False])
def test_nested_sequences_are_skipped(make_instance, encode_dataset, undefined):
    ds = make_instance()
    inner = Dataset()
    inner.PatientName = "WRONG^NESTED"
    for _ in range(5):
        outer = Dataset()
        outer.ReferencedStudySequence = Sequence([inner])
        outer["ReferencedStudySequence"].is_undefined_length = undefined
        outer.is_undefined_length_sequence_item = undefined
        inner = outer
    ds.ReferencedStudySequence = Sequence([inner])
    ds["ReferencedStudySequence"].is_undefined_length = undefined
    header = read_header(encode_dataset(ds), EXPLICIT)
    assert header.text("patient_name") == "PHANTOM^TEST"


def test_an_endless_nest_of_sequences_is_refused(make_instance, encode_dataset):
    nest = struct.pack("<HH2sHL", 0x0008, 0x1110, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    data = encode_dataset(make_instance())
    for depth in (MAXIMUM_DEPTH + 10, 100_000):
        with pytest.raises(BadDataset, match=r"deep|ends inside"):
            read_header(nest * depth + data, EXPLICIT)


def test_an_unclosed_sequence_is_refused(make_instance, encode_dataset):
    start = struct.pack("<HH2sHL", 0x0008, 0x1110, b"SQ", 0, 0xFFFFFFFF)
    with pytest.raises(BadDataset):
        read_header(start + encode_dataset(make_instance()), EXPLICIT)


def test_an_unknown_element_of_undefined_length_is_skipped(make_instance, encode_dataset):
    item = struct.pack("<HHL", 0x0008, 0x0100, 4) + b"CODE"  # implicit, as PS3.5 6.2.2 demands
    unknown = (
        struct.pack("<HH2sHL", 0x0007, 0x1001, b"UN", 0, 0xFFFFFFFF)
        + struct.pack("<HHL", 0xFFFE, 0xE000, len(item))
        + item
        + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    )
    header = read_header(unknown + encode_dataset(make_instance()), EXPLICIT)
    assert header.text("modality") == "CT"


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "ISO_IR 100"])
def test_every_text_can_be_written_to_a_database(make_instance, encode_dataset, charset):
    data = encode_dataset(make_instance(PatientName="A+2AA-b", SpecificCharacterSet="ISO_IR 192"))
    data = data.replace(b"ISO_IR 192", charset.encode().ljust(10)[:10])
    read_header(data, EXPLICIT).text("patient_name").encode("utf-8")


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def test_a_deflated_data_set_is_read(make_instance, encode_dataset):
    data = deflate(encode_dataset(make_instance()))
    assert read_header(data, str(DeflatedExplicitVRLittleEndian)).text("modality") == "CT"


def test_a_cut_deflated_data_set_is_refused(make_instance, encode_dataset):
    data = deflate(encode_dataset(make_instance()))
    with pytest.raises(BadDataset):
        read_header(data[:-50], str(DeflatedExplicitVRLittleEndian))


@pytest.mark.parametrize(
    "uid",
    ["", "../../../etc/passwd", "1.2/3", "1..2", ".1", "1.", "1.2\0", "1" * 65, "1.2\\3", "x"],
)
def test_an_unsafe_uid_is_refused_without_naming_it(uid):
    assert not is_valid_uid(uid)
    with pytest.raises(UnsafeUid) as caught:
        check_uid(uid, "SOP Instance UID")
    assert not uid or uid not in str(caught.value).replace("SOP Instance UID", "")


@settings(deadline=None, max_examples=30)
@given(st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9}){0,4}", fullmatch=True))
def test_every_uid_of_digits_and_dots_is_taken(uid):
    assert is_valid_uid(uid)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, "1.2.840.10008.1.2.2"]))
def test_garbage_is_a_bad_dataset_and_nothing_else(data, syntax):
    with contextlib.suppress(BadDataset):
        read_header(data, syntax)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_data_set_is_read_or_refused_and_nothing_else(data):
    with open(get_testdata_file("CT_small.dcm"), "rb") as file:
        content = bytearray(file.read())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(132, 2000))
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadDataset):
        elements_of(bytes(content))


def walked_header(data: bytes, syntax: str = EXPLICIT):
    """Read by the careful walker alone."""
    return finish_header(open_dataset(data, syntax), {}, 0)


def outcome(read, data: bytes):
    try:
        return read(data, EXPLICIT)
    except BadDataset as error:
        return str(error)


TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\\"))


@st.composite
def data_sets(draw) -> Dataset:
    """Draw a data set of texts, numbers, private blocks, large elements and nested sequences."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    for keyword in ("PatientName", "PatientID", "StudyDescription", "SeriesDescription"):
        if draw(st.booleans()):
            setattr(ds, keyword, draw(TEXTS))
    if draw(st.booleans()):
        ds.Rows, ds.Columns = draw(st.integers(0, 65535)), draw(st.integers(0, 65535))
    for element in draw(st.sets(st.integers(0x11, 0x20))):
        sizes = st.sampled_from([0, 2, 100, 5000, 40_000])
        ds.add_new(0x00091000 + element, draw(st.sampled_from(["OB", "UN"])), bytes(draw(sizes)))
    if draw(st.booleans()):
        ds.ReferencedImageSequence = draw_items(draw, depth=draw(st.integers(1, 3)))
        ds["ReferencedImageSequence"].is_undefined_length = draw(st.booleans())
    if draw(st.booleans()):
        ds.add_new(0x7FE00010, "OW", bytes(draw(st.sampled_from([2, 300, 6000, 70_000]))))
    return ds


def draw_items(draw, depth: int) -> Sequence:
    items = []
    for _ in range(draw(st.integers(0, 2))):
        item = Dataset()
        item.PatientName = "WRONG^NESTED"
        if depth > 1:
            item.ReferencedImageSequence = draw_items(draw, depth - 1)
            item["ReferencedImageSequence"].is_undefined_length = draw(st.booleans())
        item.is_undefined_length_sequence_item = draw(st.booleans())
        items.append(item)
    return Sequence(items)


def encode_explicit(ds: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return buffer.getvalue()


@settings(max_examples=200)
@given(data_sets())
def test_the_quick_way_reads_the_same_as_the_walker_and_as_pydicom(ds):
    data = encode_explicit(ds)
    header = read_header(data, EXPLICIT)
    assert header == walked_header(data)
    assert header.text("patient_name") == str(ds.get("PatientName", "")).strip(" \0")
    assert header.integer("rows") == ds.get("Rows")


@settings(max_examples=300)
@given(data_sets(), st.data())
def test_a_damaged_data_set_has_one_outcome_whichever_way_it_is_read(ds, data):
    content = bytearray(encode_explicit(ds))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    assert outcome(read_header, bytes(content)) == outcome(walked_header, bytes(content))


@pytest.mark.parametrize("vr", [b"UN", b"SH"])
def test_a_million_elements_end_in_bounded_time(vr):
    short = struct.pack("<HH2sH", 0x0009, 0x1001, b"SH", 0)
    long = struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, 0)
    begin = time.process_time()
    with pytest.raises(BadDataset):
        read_header((short if vr == b"SH" else long) * 5_000_000, EXPLICIT)
    took_s = time.process_time() - begin
    print(f"5 million elements of VR {vr.decode()}: refused after {took_s:.1f} s")
    assert took_s < 20


def deflate_bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return megabyte * megabytes + packer.flush()


READ_IN_A_PROCESS = """
import re, sys, time
from pathlib import Path
from dicom_node.errors import BeyondLimits
from dicom_node.header import read_header
def peak_kb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
bomb = Path(sys.argv[1]).read_bytes()
before, begin = peak_kb(), time.monotonic()
try:
    read_header(bomb, "1.2.840.10008.1.2.1.99")
except BeyondLimits:
    print((peak_kb() - before) / 1024, time.monotonic() - begin)
"""


def test_a_deflate_bomb_of_a_gigabyte_takes_little_memory_and_time(tmp_path):
    bomb = deflate_bomb(1024)
    assert len(bomb) < 1_100_000
    (tmp_path / "bomb").write_bytes(bomb)
    # a process of its own, whose highest memory is that of the bomb alone
    done = subprocess.run(
        [sys.executable, "-c", READ_IN_A_PROCESS, str(tmp_path / "bomb")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    grown_mb, took_s = map(float, done.stdout.split())
    print(f"{len(bomb)} bytes that inflate to 1 GB: +{grown_mb:.0f} MB, {took_s:.1f} s")
    assert grown_mb < 150
    assert took_s < 20


def test_corpus_identities_are_read_or_refused():
    if not CORPUS.exists():
        return
    with (CORPUS / "MANIFEST.csv").open() as manifest:
        rows = list(csv.DictReader(manifest))
    read = 0
    for row in rows:
        try:
            header = elements_of((CORPUS / row["file"]).read_bytes())
        except BadDataset:
            continue
        assert header.text("sop_instance_uid") == row["sop_instance_uid"], row["file"]
        read += 1
    assert read > 370


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, str(ExplicitVRBigEndian)])
def test_a_b_value_is_read_in_every_encoding(syntax):
    ds = Dataset()
    ds.SOPInstanceUID, ds.DiffusionBValue, ds.EchoNumbers = "1.2.3", 1000.5, [1, 2]
    buffer = DicomBytesIO()
    buffer.is_little_endian = syntax != str(ExplicitVRBigEndian)
    buffer.is_implicit_VR = syntax == IMPLICIT
    write_dataset(buffer, ds)
    header = read_header(buffer.getvalue(), syntax)
    assert header.decimals == {"diffusion_b_value": 1000.5}
    assert header.text("echo_numbers") == "1\\2"


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0", struct.pack("<d", float("nan"))])
def test_a_b_value_that_is_no_number_is_absent(value):
    data = struct.pack("<HH2sH", 8, 0x18, b"UI", 4) + b"1.2\0"
    data += struct.pack("<HH2sH", 0x18, 0x9087, b"FD", len(value)) + value
    assert read_header(data, EXPLICIT).decimals == {}
