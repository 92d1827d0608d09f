"""Documents and videos leave an object byte for byte, or are refused in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from viewer import header as header_module
from viewer.decode import open_instance
from viewer.encapsulated import encapsulated_document_of, video_of
from viewer.errors import UnsupportedDocument, ViewerError

Write = Callable[..., Path]
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF"


@pytest.fixture
def hold(grey_dataset: Callable[..., Dataset], tmp_path: Path) -> Callable[..., Path]:
    """Write an object that holds a document."""

    def write(content: bytes, sop_class_uid: str = uid.EncapsulatedPDFStorage, **more: Any) -> Path:
        ds = grey_dataset(np.zeros((1, 1), np.uint8))
        del ds.PixelData
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class_uid
        ds.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
        ds.EncapsulatedDocumentLength = len(content)
        for keyword, value in more.items():
            setattr(ds, keyword, value)
        path = tmp_path / "document.dcm"
        ds.save_as(path, enforce_file_format=True)
        return path

    return write


def content_of(path: Path) -> bytes:
    found = encapsulated_document_of(open_instance(path))
    assert found is not None
    return b"".join(found.stream.read(0, found.stream.length))


@pytest.mark.parametrize("content", [PDF, PDF + b"x"], ids=["even", "odd"])
def test_a_pdf_comes_out_as_it_went_in(hold: Callable[..., Path], content: bytes) -> None:
    path = hold(content)
    assert content_of(path) == content


def test_a_range_is_that_part_of_the_whole(hold: Callable[..., Path]) -> None:
    found = encapsulated_document_of(open_instance(hold(PDF)))
    assert found is not None
    assert b"".join(found.stream.read(5, 12)) == PDF[5:12]


def test_a_document_too_long_for_the_header_is_read_from_the_file(
    hold: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_module, "MAX_HEADER_ELEMENT_BYTES", 4096)
    content = PDF + bytes(range(256)) * 100
    assert content_of(hold(content)) == content


def test_a_deflated_object_gives_its_document(hold: Callable[..., Path], tmp_path: Path) -> None:
    import pydicom

    ds = pydicom.dcmread(hold(PDF))
    ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    path = tmp_path / "deflated.dcm"
    ds.save_as(path, enforce_file_format=True)
    assert content_of(path) == PDF


@pytest.mark.parametrize(
    "content", [b"<script>alert(1)</script>", b"MZ\x90\x00", b"x" * 2000 + PDF, b"\0\0"], ids=repr
)
def test_what_is_no_pdf_is_refused(hold: Callable[..., Path], content: bytes) -> None:
    with pytest.raises(UnsupportedDocument, match="its bytes are something else"):
        encapsulated_document_of(open_instance(hold(content)))


def test_a_document_that_is_cut_off_is_refused(hold: Callable[..., Path]) -> None:
    path = hold(PDF * 50)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ViewerError):
        encapsulated_document_of(open_instance(path))


def test_an_object_without_its_document_is_refused(
    hold: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedDocument):
        encapsulated_document_of(open_instance(hold(b"")))


@pytest.mark.parametrize(
    ("sop_class_uid", "name"),
    [
        (uid.EncapsulatedCDAStorage, "CDA document (HL7 text)"),
        (uid.EncapsulatedSTLStorage, "3D model (STL)"),
    ],
)
def test_other_documents_are_named_and_only_saved(
    hold: Callable[..., Path], sop_class_uid: str, name: str
) -> None:
    found = encapsulated_document_of(open_instance(hold(b"<xml/>", sop_class_uid)))
    assert found is not None
    assert (found.name, found.media_type) == (name, "application/octet-stream")


def test_a_real_pdf_comes_out_as_dcmtk_takes_it_out(
    corpus: Path, require: Callable[[str], str], tmp_path: Path
) -> None:
    import subprocess

    path = corpus / "derived" / "encapsulated_pdf_matplotlib.dcm"
    target = tmp_path / "by_dcmtk.pdf"
    subprocess.run([require("dcm2pdf"), str(path), str(target)], check=True, timeout=60)
    assert content_of(path) == target.read_bytes()


def video(write: Write, stream: bytes, syntax: str, fragments: int = 1) -> Path:
    """Write an object that holds a video stream in several fragments of one frame."""
    size = -(-len(stream) // fragments)
    size += size % 2
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    return write(
        np.zeros((8, 8, 3), np.uint8),
        transfer_syntax_uid=syntax,
        frames=parts,
        SOPClassUID=uid.VideoEndoscopicImageStorage,
        NumberOfFrames=100,
    )


@pytest.mark.parametrize("fragments", [1, 3])
def test_a_video_comes_out_whole_from_all_its_fragments(write: Write, fragments: int) -> None:
    stream = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 9
    found = video_of(open_instance(video(write, stream, uid.MPEG4HP41, fragments)))
    assert found is not None
    assert b"".join(found.stream.read(0, found.stream.length)) == stream
    assert b"".join(found.stream.read(700, 1700)) == stream[700:1700]
    assert (found.coding, found.container, found.may_play) == ("H.264", "MP4", True)


@pytest.mark.parametrize(
    ("start", "syntax", "coding", "container"),
    [
        (b"\x47" + bytes(187) + b"\x47" + bytes(187), uid.MPEG4HP41, "H.264", "transport stream"),
        (b"\0\0\x01\xba" + bytes(96), uid.MPEG2MPML, "MPEG-2", "program stream"),
        (b"\0\0\x01\xb3" + bytes(96), uid.MPEG2MPHL, "MPEG-2", "bare stream"),
        (b"\0\0\0\x01\x67" + bytes(95), uid.HEVCMP51, "H.265", "bare stream"),
        (b"who knows" + bytes(91), uid.MPEG4HP42STEREO, "H.264", ""),
    ],
)
def test_what_a_browser_does_not_play_is_named(
    write: Write, start: bytes, syntax: str, coding: str, container: str
) -> None:
    found = video_of(open_instance(video(write, start, syntax)))
    assert found is not None
    assert (found.coding, found.container, found.may_play) == (coding, container, False)


def test_an_image_is_neither_document_nor_video(write: Write) -> None:
    instance = open_instance(write(np.zeros((8, 8), np.uint16)))
    assert encapsulated_document_of(instance) is None
    assert video_of(instance) is None


def test_fragments_are_written_as_the_tests_believe() -> None:
    assert encapsulate([b"ab", b"cd"]).count(b"\xfe\xff\x00\xe0") == 3
