"""The DICOM port against real senders: DCMTK's tools and a pynetdicom SCU that misbehaves."""

import os
import subprocess
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import C_STORE

from dicom_node.quarantine import list_quarantine
from dicom_node.server import DicomServer
from dicom_node.setting_tables import DicomSettings
from dicom_node.stored_file import read_file_head
from dicom_node.study_query import StudyQuery

pytestmark = pytest.mark.peer

EXPLICIT, IMPLICIT, BIG_ENDIAN = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
)
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
COMPRESSED = {
    "-xr": "SC_rgb_rle.dcm",
    "-xs": "JPEG-LL.dcm",
    "-xy": "SC_rgb_jpeg_dcmtk.dcm",
    "-xt": "emri_small_jpeg_ls_lossless.dcm",
    "-xv": "MR_small_jp2klossless.dcm",
    "-xw": "JPEG2000.dcm",
    "-xd": "image_dfl.dcm",
}


@pytest.fixture
def port(room):
    server = DicomServer(DicomSettings(port=0), room.ingest, lambda reports: None)
    port = server.start()
    yield port
    server.stop()


@pytest.fixture
def associate(port):
    """Open an association to the node with the given presentation contexts."""
    opened = []

    def open_one(*contexts, called="LIFEBOAT"):
        association = AE(ae_title="TEST-SCU").associate(
            "127.0.0.1", port, list(contexts), ae_title=called
        )
        opened.append(association)
        return association

    yield open_one
    for association in opened:
        if association.is_established:
            association.release()


def echo(port: int, called: str = "LIFEBOAT") -> int:
    command = ["echoscu", "-to", "10", "-aec", called, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


def stored_dataset(room, sop_instance_uid: str) -> bytes:
    (path,) = [p for p in room.store.walk() if Path(p).stem == sop_instance_uid]
    head = read_file_head(room.data / path)
    return (room.data / path).read_bytes()[head.dataset_offset :]


def test_it_answers_an_echo(port):
    assert echo(port) == 0


def test_a_sender_that_calls_somebody_else_is_rejected(port):
    assert echo(port, called="OTHER") != 0
    assert echo(port) == 0


@pytest.mark.parametrize(("option", "name"), COMPRESSED.items())
def test_what_is_compressed_stays_compressed(port, room, storescu, option, name):
    path = Path(get_testdata_file(name))
    sent = pydicom.dcmread(path)
    result = storescu(port, [path], option)
    assert result.returncode == 0, result.stderr
    (stored,) = room.store.walk()
    head = read_file_head(room.data / stored)
    assert head.transfer_syntax_uid == sent.file_meta.TransferSyntaxUID
    kept = pydicom.dcmread(room.data / stored)
    assert kept.PixelData == sent.PixelData


def test_explicit_vr_is_preferred_so_that_private_elements_keep_theirs(port, associate):
    for proposed in ([IMPLICIT, EXPLICIT], [BIG_ENDIAN, IMPLICIT, EXPLICIT]):
        association = associate(build_context(CT_CLASS, proposed))
        (context,) = association.accepted_contexts
        assert context.transfer_syntax == [EXPLICIT]


def test_implicit_vr_alone_is_accepted(port, associate):
    (context,) = associate(build_context(CT_CLASS, IMPLICIT)).accepted_contexts
    assert context.transfer_syntax == [IMPLICIT]


@pytest.mark.parametrize(
    "sop_class_uid",
    ["1.2.840.10008.5.1.4.1.1.481.2", "1.2.276.0.7230010.3.9.9.9", "1.2.840.10008.5.1.4.1.1.999"],
    ids=["rt dose", "private", "unknown to the library"],
)
def test_every_storage_class_is_stored(room, associate, make_instance, sop_class_uid):
    ds = make_instance(SOPClassUID=sop_class_uid)
    association = associate(build_context(sop_class_uid, EXPLICIT))
    assert association.send_c_store(ds).Status == 0x0000
    room.settle()
    (study,) = room.reader.search_studies(StudyQuery())
    (record,) = room.reader.instances(study.study_instance_uid)
    assert record.sop_class_uid == sop_class_uid


def test_private_elements_and_unknown_ones_arrive_byte_for_byte(
    port, room, storescu, make_instance, tmp_path, encode_dataset
):
    ds = make_instance()
    block = ds.private_block(0x0029, "PHANTOM VENDOR", create=True)
    block.add_new(0x10, "OB", os.urandom(333) + b"\0")
    block.add_new(0x11, "DS", "3.14159")
    path = tmp_path / "private.dcm"
    ds.save_as(path, enforce_file_format=True)
    assert storescu(port, [path]).returncode == 0
    assert stored_dataset(room, ds.SOPInstanceUID) == encode_dataset(ds)


def raw_store(association, data: bytes, sop_instance_uid: str):
    """Send any bytes as the data set of a C-STORE."""
    import io

    (context,) = association.accepted_contexts
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = CT_CLASS
    request.AffectedSOPInstanceUID = sop_instance_uid
    request.Priority = 2
    request.DataSet = io.BytesIO(data)
    # the library's own reader must stand still, or it takes the answer
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.001)
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer


@pytest.mark.parametrize(
    ("damage", "status", "code"),
    [
        (lambda data, uid: b"just a text file, sent by mistake", 0xC000, "bad-dataset"),
        (lambda data, uid: data[:-500], 0xC000, "bad-dataset"),
        (lambda data, uid: data.replace(uid, b"../" + b"x" * (len(uid) - 3)), 0xA900, "unsafe-uid"),
        (lambda data, uid: data.replace(uid, b"1" * len(uid)), 0xA900, "identity-mismatch"),
    ],
    ids=["text file", "cut off", "path in its UID", "another UID than its command"],
)
def test_bad_input_gets_the_right_status_and_goes_to_quarantine(
    room, port, associate, make_instance, encode_dataset, damage, status, code
):
    ds = make_instance()
    bad = damage(encode_dataset(ds), str(ds.SOPInstanceUID).encode())
    association = associate(build_context(CT_CLASS, EXPLICIT))
    answer = raw_store(association, bad, ds.SOPInstanceUID)
    assert answer.Status == status
    assert 0 < len(answer.ErrorComment) <= 64
    (entry,) = list_quarantine(room.data / "quarantine")
    assert entry.code == code
    assert (room.data / "quarantine" / entry.name).read_bytes() == bad
    # the service is alive, on the same association too
    assert raw_store(association, encode_dataset(ds), ds.SOPInstanceUID).Status == 0x0000
    assert echo(port) == 0


def test_a_full_disk_is_answered_out_of_resources_and_the_service_lives(
    room, port, storescu, make_series
):
    room.store._reserve_bytes = 1 << 60
    paths = make_series(2)
    assert storescu(port, paths).returncode != 0
    assert list(room.store.walk()) == []
    room.store._reserve_bytes = 0
    assert storescu(port, paths).returncode == 0


def test_a_fault_of_ours_is_answered_and_hides_its_words(room, associate, make_instance):
    def broken(*arguments, **values):
        raise RuntimeError("SECRET^NAME in a foreign error")

    room.store.store = broken
    association = associate(build_context(CT_CLASS, EXPLICIT))
    answer = association.send_c_store(make_instance())
    assert answer.Status == 0x0110
    assert "SECRET" not in answer.ErrorComment


def test_eight_senders_at_once(room, port, make_series):
    lists = [make_series(10, folder=f"s{n}") for n in range(8)]
    senders = [
        subprocess.Popen(["storescu", "-aec", "LIFEBOAT", "127.0.0.1", str(port), *map(str, paths)])
        for paths in lists
    ]
    assert [sender.wait(60) for sender in senders] == [0] * 8
    room.settle()
    assert room.reader.counts()["instances"] == 80
