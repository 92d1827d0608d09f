"""Odd data sets: what pydicom understands is stored, what is cut off is never taken for whole."""

import os
import signal
import struct
import threading
import time
import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from dicom_node.errors import BadDataset, BeyondLimits, NodeError, dimse_status
from dicom_node.header import open_dataset, read_header
from dicom_node.header_reader import HeaderReader, ParseWorker, _reading
from dicom_node.ingest import Origin
from dicom_node.part10 import read_head
from dicom_node.quarantine import list_quarantine
from dicom_node.reconcile import scan_store
from dicom_node.study_query import StudyQuery

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
RLE, JPEG, J2K = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
JPEG_LS, MPEG = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.102"
UNDEFINED = 0xFFFFFFFF
ORIGIN = Origin(door="c-store", calling_ae_title="CT1")


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Encode one element with a length of 16 bits."""
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def long_element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length) + value


def item(value: bytes = b"", tag: int = 0xFFFEE000, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length) + value


SEQUENCE_END = item(tag=0xFFFEE0DD)
CHARACTER_SET_BYTES = 18
"""The first element of our instances."""
ODD = element(0x00090011, b"ZZ", b"abcd")


@pytest.fixture
def headers():
    reader = HeaderReader()
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def shared_headers():
    reader = HeaderReader()
    yield reader
    reader.close()


@pytest.fixture
def small(make_instance, encode_dataset):
    """Encode a small instance without its pixels, and with them."""
    ds = make_instance()
    whole = encode_dataset(ds)
    return whole[: whole.index(b"\xe0\x7f\x10\x00OW")], whole


def with_pixels(plain: bytes, *fragments: bytes) -> bytes:
    """Add encapsulated pixel data."""
    content = b"".join(item(fragment) for fragment in fragments)
    return plain + long_element(0x7FE00010, b"OB", content + SEQUENCE_END, UNDEFINED)


def nested(depth: int, closed: bool = True) -> bytes:
    opening = long_element(0x00081110, b"SQ", item(length=UNDEFINED), UNDEFINED)
    return opening * depth + (item(tag=0xFFFEE00D) + SEQUENCE_END) * depth * closed


def changed(make_instance, encode_dataset, **changes) -> bytes:
    return encode_dataset(make_instance(**changes))


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


REFUSED = {
    "sequences 300 deep": lambda plain, whole: (nested(300) + whole, EXPLICIT),
    "sequences 100,000 deep": lambda plain, whole: (nested(100_000) + whole, EXPLICIT),
    "an odd element before sequences 300 deep": lambda plain, whole: (
        ODD + nested(300) + whole,
        EXPLICIT,
    ),
    "a deflated data set cut off": lambda plain, whole: (deflated(whole)[:-40], DEFLATED),
    "an element of 0xFFFFFFFE bytes": lambda plain, whole: (
        long_element(0x00090011, b"OB", b"", 0xFFFFFFFE) + whole,
        EXPLICIT,
    ),
    "a sequence without an end": lambda plain, whole: (
        plain + long_element(0x00420001, b"SQ", item(b""), UNDEFINED),
        EXPLICIT,
    ),
    "pixels cut off": lambda plain, whole: (whole[:-1], EXPLICIT),
    "half the pixels": lambda plain, whole: (whole[:-4096], EXPLICIT),
    "pixels cut off behind an odd element": lambda plain, whole: (ODD + whole[:-2], EXPLICIT),
    "encapsulated pixels without an end": lambda plain, whole: (
        with_pixels(plain, b"", b"abcd")[:-8],
        JPEG,
    ),
    "an odd element cut off": lambda plain, whole: (plain + ODD[:-2], EXPLICIT),
    "an unknown element of undefined length without items": lambda plain, whole: (
        long_element(0x00090011, b"UN", b"not items at all", UNDEFINED) + whole,
        EXPLICIT,
    ),
    "text": lambda plain, whole: (b"this is a text file, not a data set", EXPLICIT),
    "zeros": lambda plain, whole: (bytes(1000), EXPLICIT),
    "two million elements": lambda plain, whole: (
        element(0x00090011, b"SH", b"") * 3_000_000,
        EXPLICIT,
    ),
}
STORED = {
    "rows and columns 0": {"Rows": 0, "Columns": 0},
    "65535 rows and columns with few pixels": {"Rows": 65535, "Columns": 65535},
    "minus one frame": {"NumberOfFrames": "-1"},
    "two thousand million frames": {"NumberOfFrames": "2000000000"},
    "one bit allocated": {"BitsAllocated": 1},
    "seven bits allocated": {"BitsAllocated": 7},
    "high bit beyond": {"HighBit": 31, "SamplesPerPixel": 200},
    "no samples": {"SamplesPerPixel": 0},
    "an unknown photometric interpretation": {"PhotometricInterpretation": "PURPLE"},
    "window width 0": {"WindowWidth": 0, "RescaleSlope": 0},
    "script in a name": {"PatientName": "<script>alert(1)</script>^\u202eRTL"},
}
STORED_BYTES = {
    "an RLE bomb": lambda plain: (with_pixels(plain, b"", b"\xff" * 64), RLE),
    "RLE of no segments": lambda plain: (with_pixels(plain, b"", bytes(64)), RLE),
    "a JPEG that claims 65500 by 65500": lambda plain: (
        with_pixels(plain, b"", b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xdc\xff\xdc\x03"),
        JPEG,
    ),
    "a J2K that claims 60000 by 60000": lambda plain: (
        with_pixels(plain, b"", b"\xff\x4f\xff\x51" + b"\x00\x00\xea\x60" * 4),
        J2K,
    ),
    "a JPEG-LS that loops": lambda plain: (with_pixels(plain, b"", b"\xff\xd8\xff\xf7"), JPEG_LS),
    "MPEG": lambda plain: (with_pixels(plain, b"", b"\0\0\1\xb3"), MPEG),
    "an unknown transfer syntax": lambda plain: (with_pixels(plain, b"", b"ab"), "1.2.3.4.5"),
    "an offset table that points outside": lambda plain: (
        with_pixels(plain, struct.pack("<2L", 0, 1 << 31), b"abcd"),
        JPEG,
    ),
    "300,000 elements": lambda plain: (
        plain + element(0x00290011, b"SH", b"") * 300_000,
        EXPLICIT,
    ),
    "500,000 items": lambda plain: (
        plain + long_element(0x00420001, b"SQ", item() * 500_000 + SEQUENCE_END, UNDEFINED),
        EXPLICIT,
    ),
    "an element of VR ZZ": lambda plain: (
        plain.replace(b"DA\x08\x0020260102", b"ZZ\x08\x0020260102"),
        EXPLICIT,
    ),
    "an element of VR ZZ before all others": lambda plain: (ODD + plain, EXPLICIT),
    "an implicit element among explicit ones": lambda plain: (
        plain[:CHARACTER_SET_BYTES]
        + struct.pack("<HHL", 0x0009, 0x0011, 2)
        + b"ab"
        + plain[CHARACTER_SET_BYTES:],
        EXPLICIT,
    ),
    "explicit elements called implicit": lambda plain: (plain, IMPLICIT),
    "an unknown element of undefined length": lambda plain: (
        long_element(0x00090011, b"UN", item(b"") + SEQUENCE_END, UNDEFINED) + plain,
        EXPLICIT,
    ),
    "a character set nobody knows": lambda plain: (
        plain.replace(b"ISO_IR 192", b"ISO_IR 999").replace(b"PHANTOM", b"PH\xc4NTO\xff"),
        EXPLICIT,
    ),
    "broken ISO 2022 escapes": lambda plain: (
        plain.replace(b"ISO_IR 192", b"ISO 2022 I").replace(b"PHANTOM", b"P\x1b$\x1b(B\x1b"),
        EXPLICIT,
    ),
    "a name of 64 kB": lambda plain: (
        plain.replace(
            b"PN\x0c\x00PHANTOM^TEST",
            b"PN" + struct.pack("<H", 65534) + b"\n\x1b[2J" * 13106 + b"abcd",
        ),
        EXPLICIT,
    ),
    "a palette without entries": lambda plain: (
        plain + element(0x00281101, b"US", b"") + long_element(0x00281201, b"OW", b""),
        EXPLICIT,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nobody_can_read_whole_is_refused_and_its_bytes_are_kept(room, small, case):
    data, transfer_syntax_uid = REFUSED[case](*small)
    with pytest.raises(NodeError) as caught:
        room.ingest.accept(data, transfer_syntax_uid, ORIGIN)
    assert dimse_status(caught.value) == 0xC000
    (entry,) = list_quarantine(room.data / "quarantine")
    assert (room.data / "quarantine" / entry.name).read_bytes() == data
    assert list(room.store.walk()) == []


@pytest.mark.parametrize("case", STORED)
def test_odd_values_are_stored_for_the_viewer_to_judge(room, make_instance, encode_dataset, case):
    data = changed(make_instance, encode_dataset, **STORED[case])
    stored = room.ingest.accept(data, EXPLICIT, ORIGIN)
    assert (room.data / stored.path).read_bytes().endswith(data)
    assert list_quarantine(room.data / "quarantine") == []
    room.settle()
    assert room.reader.counts()["instances"] == 1


@pytest.mark.parametrize("case", STORED_BYTES)
def test_odd_but_whole_data_sets_are_stored_as_received(room, small, case):
    data, transfer_syntax_uid = STORED_BYTES[case](small[0])
    stored = room.ingest.accept(data, transfer_syntax_uid, ORIGIN)
    assert (room.data / stored.path).read_bytes().endswith(data)
    room.settle()
    (study,) = room.reader.search_studies(StudyQuery())
    assert study.patient_id == "PH-TEST"
    assert list_quarantine(room.data / "quarantine") == []


def test_numbers_that_are_none_leave_their_field_blank(room, small):
    data = small[0].replace(b"IS\x02\x001 ", b"IS\x16\x00" + b"1" + b"0" * 21, 1)
    data = data.replace(b"DS\x0c\x000.0\\0.0\\1.0 ", b"DS\x0c\x00nan\\1e9999\\0")
    room.ingest.accept(data, EXPLICIT, ORIGIN)
    room.settle()
    (study,) = room.reader.search_studies(StudyQuery())
    (series,) = room.reader.series(study.study_instance_uid)
    (instance,) = room.reader.instances(study.study_instance_uid)
    assert series.series_number is None
    assert instance.image_position_patient is None


def test_an_odd_stored_file_is_read_again_when_the_index_is_rebuilt(room, small):
    room.ingest.accept(ODD + small[1], EXPLICIT, ORIGIN)
    (entry,) = scan_store(room.store, read=room.headers.read)
    assert entry.values["patient_id"] == "PH-TEST"


def test_pydicom_and_the_worker_agree_on_what_is_plain():
    worker = ParseWorker()
    for name in ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"):
        path = get_testdata_file(name)
        ds = pydicom.dcmread(path)
        with open(path, "rb") as file:
            content = file.read()
        head = read_head(content)
        data = memoryview(content)[head.dataset_offset :]
        reading = worker.parse(open_dataset(data, head.transfer_syntax_uid))
        assert reading is not None, name
        assert reading.found[0x00100010].decode().strip() == str(ds.PatientName)
        assert reading.offset == content.index(ds.PixelData) - head.dataset_offset - (
            8 if ds.is_implicit_VR else 12
        )
    worker.close()


def test_a_plain_data_set_never_starts_the_worker(headers, small):
    headers.read(small[1], EXPLICIT)
    assert headers._worker._process is None


def test_a_dead_worker_costs_one_parse(headers, small):
    data = ODD + small[1]
    assert headers.read(data, EXPLICIT).text("patient_id") == "PH-TEST"
    first = headers._worker._process
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    with pytest.raises(BadDataset):
        headers.read(data, EXPLICIT)
    assert headers.read(data, EXPLICIT).text("patient_id") == "PH-TEST"
    assert headers._worker._process.pid != first.pid


def test_a_frozen_worker_is_killed(small):
    headers = HeaderReader()
    data = ODD + small[1]
    headers.read(data, EXPLICIT)
    headers._worker._timeout_s = 1.0  # now that it runs
    process = headers._worker._process
    os.kill(process.pid, signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(BadDataset):
        headers.read(data, EXPLICIT)
    assert time.monotonic() - begin < 20
    assert process.returncode == -signal.SIGKILL
    headers._worker._timeout_s = 60.0
    assert headers.read(data, EXPLICIT).text("patient_id") == "PH-TEST"
    headers.close()


def test_a_worker_is_replaced_after_its_uses(small):
    headers = HeaderReader(ParseWorker(uses=2))
    pids = set()
    for _ in range(5):
        headers.read(ODD + small[1], EXPLICIT)
        pids.add(headers._worker._process.pid)
    headers.close()
    assert len(pids) == 3


def test_the_worker_can_open_neither_files_nor_sockets(headers, small):
    headers.read(ODD + small[1], EXPLICIT)
    limits = Path(f"/proc/{headers._worker._process.pid}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    for name in ("Max open files", "Max file size", "Max processes", "Max core file size"):
        assert rows[name] == ["0", "0"], name
    assert rows["Max address space"][1] != "unlimited"


def test_several_threads_share_the_worker(headers, small):
    outcomes = []

    def read() -> None:
        outcomes.append(headers.read(ODD + small[1], EXPLICIT).text("patient_id"))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["PH-TEST"] * 8


def test_a_reply_that_lies_is_not_believed(small):
    assert _reading(b"not json", 100) is None
    assert _reading(b'{"offset": 101, "values": {}}', 100) is None
    assert _reading(b'{"offset": 1, "values": {"8": 5}}', 100) is None
    assert _reading(b"[]", 100) is None


def test_limits_are_not_asked_about_twice(headers, small):
    with pytest.raises(BeyondLimits):
        headers.read(nested(300) + small[1], EXPLICIT)
    assert headers._worker._process is None


@pytest.fixture(scope="module")
def ct() -> bytes:
    """A whole data set of pydicom's, 32 kB of pixels at its end."""
    content = Path(get_testdata_file("CT_small.dcm")).read_bytes()
    end = content.index(bytes.fromhex("fcfffcff"))  # what trails the pixels says nothing of them
    return content[read_head(content).dataset_offset : end]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_was_damaged_a_cut_is_never_taken_for_whole(shared_headers, ct, data):
    content = bytearray(ct)
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, 1500))] = data.draw(st.integers(0, 255))
    try:
        shared_headers.read(bytes(content), EXPLICIT)
    except BadDataset:
        return
    cut = data.draw(st.integers(1, 30_000))
    with pytest.raises(BadDataset):
        shared_headers.read(bytes(content[:-cut]), EXPLICIT)


def test_the_quick_reader_alone_refuses_what_the_worker_understands(small):
    with pytest.raises(BadDataset):
        read_header(ODD + small[1], EXPLICIT)
