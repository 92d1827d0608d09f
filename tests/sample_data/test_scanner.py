import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, evt

from sample_data.scanner import (
    CONTEXT_REJECTED,
    NO_ANSWER,
    NOT_DICOM,
    NOT_SENT,
    find_files,
    report_lines,
    send_files,
)


def data_set_bytes(path: Path) -> bytes:
    """Return what follows the file meta information."""
    content = path.read_bytes()
    group_length = int.from_bytes(content[140:144], "little")
    return content[144 + group_length :]


def test_every_file_travels_byte_for_byte_in_its_own_transfer_syntax(make_file, pacs):
    syntaxes = [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ]
    files = [make_file(transfer_syntax_uid=syntax) for syntax in syntaxes]
    outcomes = send_files(files, host=pacs.host, port=pacs.port)
    assert [outcome.status for outcome in outcomes] == [0] * len(files)
    for outcome, syntax in zip(outcomes, syntaxes, strict=True):
        kept = pacs.held[outcome.sop_instance_uid]
        assert dcmread(kept, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
        assert data_set_bytes(kept) == data_set_bytes(outcome.path)


@pytest.mark.peer
def test_dcmtk_storescp_keeps_what_the_scanner_sends(make_file, storescp):
    port, folder = storescp
    files = [make_file(InstanceNumber=number) for number in range(1, 6)]
    progress: list[tuple[int, int]] = []
    outcomes = send_files(
        files,
        host="127.0.0.1",
        port=port,
        called_ae_title="STORESCP",
        on_sent=lambda done, total: progress.append((done, total)),
    )
    assert all(outcome.is_acknowledged for outcome in outcomes)
    assert [outcome.path for outcome in outcomes] == files
    assert progress == [(number, 5) for number in range(1, 6)]
    kept = {str(dcmread(path).SOPInstanceUID) for path in folder.iterdir()}
    assert kept == {outcome.sop_instance_uid for outcome in outcomes}


def test_more_kinds_than_one_association_holds_take_several(make_file, pacs):
    associations: list[object] = []
    classes = [f"1.2.826.0.1.3680043.9.9999.{number}" for number in range(129)]
    files = [make_file(SOPClassUID=sop_class) for sop_class in classes]
    pacs._server.bind(evt.EVT_ACCEPTED, lambda event: associations.append(event.assoc))
    outcomes = send_files(files, host=pacs.host, port=pacs.port)
    assert all(outcome.is_acknowledged for outcome in outcomes)
    assert len(associations) == 2


def test_an_abort_by_the_peer_ends_the_sending_and_leaves_the_rest_unknown(make_file):
    files = [make_file() for _ in range(4)]
    arrived: list[str] = []

    def store(event: evt.Event) -> int:
        arrived.append(event.request.AffectedSOPInstanceUID)
        if len(arrived) == 2:
            event.assoc.abort()
        return 0x0000

    entity = AE()
    entity.add_supported_context(SecondaryCaptureImageStorage)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        outcomes = send_files(files, host="127.0.0.1", port=server.server_address[1])
    finally:
        server.shutdown()
    assert [outcome.status for outcome in outcomes] == [0, None, None, None]
    assert [outcome.detail for outcome in outcomes] == ["", NO_ANSWER, NOT_SENT, NOT_SENT]
    assert len(arrived) == 2


def test_a_refusal_is_reported_with_its_status_and_the_rest_is_sent(make_file):
    files = [make_file(InstanceNumber=number) for number in (1, 2, 3)]
    answers = iter([0xA700, 0xB000, 0x0000])
    entity = AE()
    entity.add_supported_context(SecondaryCaptureImageStorage)
    handlers = [(evt.EVT_C_STORE, lambda event: next(answers))]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        outcomes = send_files(files, host="127.0.0.1", port=server.server_address[1])
    finally:
        server.shutdown()
    assert [outcome.status for outcome in outcomes] == [0xA700, 0xB000, 0x0000]
    assert [outcome.is_acknowledged for outcome in outcomes] == [False, True, True]
    assert report_lines(outcomes) == ["2 of 3 acknowledged", "  1 refused with status 0xA700"]


def test_a_file_whose_context_is_rejected_does_not_hold_up_the_others(make_file):
    refused = make_file(SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    taken = make_file()
    entity = AE()
    entity.add_supported_context(SecondaryCaptureImageStorage)
    handlers = [(evt.EVT_C_STORE, lambda event: 0x0000)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        address = {"host": "127.0.0.1", "port": server.server_address[1]}
        mixed = send_files([refused, taken], **address)
        alone = send_files([refused], **address)
    finally:
        server.shutdown()
    assert [(outcome.status, outcome.detail) for outcome in mixed] == [
        (None, CONTEXT_REJECTED),
        (0, ""),
    ]
    assert [outcome.detail for outcome in alone] == [CONTEXT_REJECTED]


# pynetdicom drops the socket of a refused connection without closing it
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")
def test_nobody_listening_means_nothing_was_sent(make_file, free_port, tmp_path):
    stranger = tmp_path / "stranger.txt"
    stranger.write_text("no DICOM in here")
    outcomes = send_files([stranger, make_file()], host="127.0.0.1", port=free_port)
    assert [outcome.detail for outcome in outcomes] == [NOT_DICOM, NOT_SENT]


def test_a_folder_stands_for_the_dicom_files_in_it(make_file, tmp_path):
    files = sorted(make_file() for _ in range(3))
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert find_files([tmp_path]) == files
    assert find_files([tmp_path / "notes.txt"]) == [tmp_path / "notes.txt"]


def test_the_command_line_reports_and_fails_when_anything_is_missing(make_file, pacs, free_port):
    path = make_file()

    def run(port: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sample_data.scanner", str(path), "--to"]
        return subprocess.run(
            [*command, f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=60, check=False
        )

    good, bad = run(pacs.port), run(free_port)
    assert (good.returncode, bad.returncode) == (0, 1)
    assert "1 of 1 acknowledged" in good.stdout
    assert "0 of 1 acknowledged" in bad.stdout
