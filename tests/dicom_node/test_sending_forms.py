"""What a PACS does not take as it is goes decompressed, on record; to a real storescp."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.converter import CannotConvert, Converter
from dicom_node.correction import Correction
from dicom_node.correction_desk import CorrectionDesk
from dicom_node.errors import PeerUnreachable
from dicom_node.identity import Identity
from dicom_node.shipment import Shipment
from tests.conftest import is_open
from tests.dicom_node.desk import START

pytestmark = pytest.mark.peer

DECOMPRESS = (sys.executable, "-m", "viewer.decompress")
JPEG_LS = "MR_small_jpeg_ls_lossless.dcm"
RLE = "MR_small_RLE.dcm"


@pytest.fixture
def start_storescp(tmp_path, require, free_ports, wait):
    """Start DCMTK's storescp, which takes only uncompressed images unless it is told otherwise."""
    running = []

    def start(*options: str):
        folder = tmp_path / f"scp{len(running)}"
        folder.mkdir()
        (port,) = free_ports(1)
        command = [require("storescp"), "-aet", "PRACTICE-PACS", "-od", str(folder), "-pm"]
        running.append(
            subprocess.Popen(
                [*command, *options, str(port)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        wait(lambda: is_open(port))
        return port, folder

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def converter(room):
    made = Converter(DECOMPRESS, room.data / "outgoing")
    yield made
    made.close()


@pytest.fixture
def desk_with(make_desk, converter):
    def make(port: int, *settings: str):
        desk = make_desk(port, "pacs.answer_timeout_s=20", "pacs.connect_timeout_s=5", *settings)
        desk.destination._forms._converter = converter
        return desk

    return make


def accept_file(room, name: str):
    ds = dcmread(get_testdata_file(name))
    room.accept(ds)
    return ds


def deliveries(desk):
    return [
        item
        for study in desk.reader.studies()
        for item in desk.reader.deliveries(study.study_instance_uid)
    ]


@pytest.mark.parametrize(
    ("option", "form"), [("+xe", ExplicitVRLittleEndian), ("+xi", ImplicitVRLittleEndian)]
)
def test_a_pacs_without_codecs_gets_the_same_pixels_and_it_is_on_record(
    room, start_storescp, desk_with, wait, option, form
):
    ds = accept_file(room, RLE)
    room.settle()
    port, folder = start_storescp(option)
    desk = desk_with(port)
    wait(lambda: desk.step(30) or desk.counts() == {"stored": 1})
    (stored,) = folder.iterdir()
    there = dcmread(stored)
    assert there.file_meta.TransferSyntaxUID == form
    assert there.SOPInstanceUID == ds.SOPInstanceUID
    assert np.array_equal(there.pixel_array, ds.pixel_array)
    (item,) = deliveries(desk)
    assert item.sent_transfer_syntax_uid == form
    assert item.transfer_syntax_uid == ds.file_meta.TransferSyntaxUID
    assert item.attempts == 0
    (words,) = desk.events("sent_decompressed")
    assert words == f"1 instances went as {form.name}: it does not take RLE Lossless"
    assert not list((room.data / "outgoing").iterdir())
    kept = dcmread(room.data / item.path)
    assert kept.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID


def test_what_a_pacs_takes_as_it_is_goes_as_it_is_beside_it(
    room, start_storescp, desk_with, make_instance, wait
):
    accept_file(room, JPEG_LS)
    room.accept(make_instance())
    room.settle()
    port, folder = start_storescp()
    desk = desk_with(port)
    wait(lambda: desk.step(30) or desk.counts() == {"stored": 2})
    forms = {item.sent_transfer_syntax_uid == item.transfer_syntax_uid for item in deliveries(desk)}
    assert forms == {True, False}
    assert len(list(folder.iterdir())) == 2


def test_what_cannot_be_decompressed_comes_to_a_person_with_the_words(
    room, start_storescp, desk_with, wait
):
    path = Path(get_testdata_file(JPEG_LS))
    ds = dcmread(path)
    ds.PixelData = ds.PixelData[:200] + bytes(len(ds.PixelData) - 300) + ds.PixelData[-100:]
    room.accept(ds)
    room.settle()
    port, folder = start_storescp()
    desk = desk_with(port)
    wait(lambda: desk.step(30_000) or desk.counts() == {"attention": 1}, timeout_s=60)
    (item,) = deliveries(desk)
    assert "does not take its transfer syntax" in item.last_error
    assert item.sent_transfer_syntax_uid == ""
    assert not list(folder.iterdir())
    assert not list((room.data / "outgoing").iterdir())


def test_a_damaged_file_is_sent_in_no_form(room, start_storescp, desk_with, wait):
    accept_file(room, RLE)
    room.settle()
    damaged = room.data / next(room.store.walk())
    content = bytearray(damaged.read_bytes())
    content[-400] ^= 1
    damaged.write_bytes(content)
    port, folder = start_storescp()
    desk = desk_with(port)
    wait(lambda: desk.step(30) or deliveries(desk)[0].attempts)
    assert "damaged" in deliveries(desk)[0].last_error
    assert not list(folder.iterdir())


def test_what_was_corrected_is_decompressed_with_its_correction(
    room, start_storescp, desk_with, wait
):
    ds = accept_file(room, RLE)
    room.settle()
    who = Identity.of(asdict(room.reader.study(ds.StudyInstanceUID)))
    made = Correction("c1", ds.StudyInstanceUID, {"accession_number": "ACC9"}, (who,))
    with CorrectionDesk(room.data) as desk_file:
        desk_file.draft([made], START)
        desk_file.activate(["c1"], by="A. Smith", reason="the worklist was down", now=START)
    port, folder = start_storescp()
    desk = desk_with(port)
    wait(lambda: desk.step(30) or desk.counts() == {"stored": 1})
    (stored,) = folder.iterdir()
    there = dcmread(stored)
    assert there.AccessionNumber == "ACC9"
    assert there.OriginalAttributesSequence
    assert np.array_equal(there.pixel_array, ds.pixel_array)
    assert not list((room.data / "outgoing").iterdir())


def shipment(path: Path) -> Shipment:
    path.touch()
    return Shipment(7, str(path), "1.2", "1.3", "1.4")


def test_a_program_that_hangs_or_ends_costs_one_instance(tmp_path):
    for script in ("import time; time.sleep(60)", "pass"):
        command = (sys.executable, "-c", script)
        converter = Converter(command, tmp_path / "out", timeout_s=0.5)
        with pytest.raises(CannotConvert, match="ended or hung"):
            converter.convert(shipment(tmp_path / "in"), ExplicitVRLittleEndian)
        assert converter._process is None


def test_what_was_left_behind_is_swept_at_the_start(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.dcm").write_bytes(b"left")
    converter = Converter(DECOMPRESS, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    converter.close()
    with pytest.raises(PeerUnreachable):
        converter.convert(shipment(tmp_path / "in"), ExplicitVRLittleEndian)


def test_only_what_was_made_is_ever_removed(tmp_path):
    mine = tmp_path / "the-only-copy.dcm"
    Converter(DECOMPRESS, tmp_path / "out").discard(shipment(mine))
    assert mine.exists()
