"""Probes of PACSs that are really gone, frozen, full or wrong, through the child that probes."""

import contextlib
import os
import signal
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from dicom_node.association_request import (
    TOO_MANY_ASSOCIATIONS,
    WRONG_CALLED_AE_TITLE,
    Rejection,
    rejection_pdu,
)
from dicom_node.command_set import read_command_set, store_response
from dicom_node.courier import Courier
from dicom_node.errors import BadDataset
from dicom_node.pacs_probe import probe_pacs
from dicom_node.probe_command import (
    C_ECHO_RQ,
    C_STORE_RQ,
    Response,
    read_response,
    write_request,
)
from dicom_node.setting_tables import PacsSettings
from dicom_node.trial_object import PATIENT_ID, make_trial_object
from dicom_node.verdict import Condition, Layer, Verdict

CLASSIFIED_WITHIN_S = 15.0
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RESERVED_RESULT = Rejection("odd", 9, 9, 9)


def settings(port: int, host: str = "127.0.0.1", **changes) -> PacsSettings:
    return PacsSettings(ae_title="PACS", host=host, port=port, probe_timeout_s=1.0, **changes)


def trial():
    return make_trial_object("LIFEBOAT", str(generate_uid(prefix=None)), NOW)


@pytest.fixture
def serve():
    """Run a function for every connection to a port of its own, in threads that end with it."""
    ended = contextlib.ExitStack()

    def start(talk) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        connections = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connections.append(listener.accept()[0])
                    talk(connections[-1])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()

        def end() -> None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for connection in connections:
                connection.close()
            thread.join()

        ended.callback(end)
        return listener.getsockname()[1]

    with ended:
        yield start


@pytest.fixture
def black_hole():
    """A port whose queue is full: the system drops what knocks, as a firewall does."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(3):
            knocking = sockets.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(("127.0.0.1", port))
        yield port


@pytest.fixture
def make_archive():
    """A library server that answers C-ECHO, and C-STORE with what it is told."""
    servers = []

    def make(store_status: int | None = 0x0000, **options) -> int:
        entity = AE(ae_title="PACS")
        entity.add_supported_context(Verification)
        if store_status is not None:
            entity.add_supported_context(SecondaryCaptureImageStorage)
        for name, value in options.items():
            setattr(entity, name, value)
        handlers = [(evt.EVT_C_STORE, lambda event: store_status)]
        servers.append(entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers))
        return servers[-1].server_address[1]

    yield make
    for server in servers:
        server.shutdown()


def judge(pacs: PacsSettings, with_trial: bool = False) -> Verdict:
    return probe_pacs(pacs, "LIFEBOAT", trial=trial() if with_trial else None)


def conclusion(verdict: Verdict) -> tuple[Condition, Layer]:
    return verdict.condition, verdict.layer


def test_nobody_on_the_port_is_refusing(free_ports):
    verdict = judge(settings(*free_ports(1)))
    assert conclusion(verdict) == (Condition.REFUSING, Layer.CONNECT)
    assert "nobody listens" in verdict.words
    assert not verdict.has_answered_echo


def test_what_swallows_every_packet_is_unreachable(black_hole):
    assert conclusion(judge(settings(black_hole))) == (Condition.UNREACHABLE, Layer.CONNECT)


def test_a_name_without_an_address_is_unreachable():
    verdict = judge(settings(104, host="pacs.invalid"))
    assert conclusion(verdict) == (Condition.UNREACHABLE, Layer.NAME)
    assert "pacs.host" in verdict.words


def test_what_accepts_and_stays_silent_is_frozen(serve):
    verdict = judge(settings(serve(lambda connection: None)))
    assert conclusion(verdict) == (Condition.FROZEN, Layer.ASSOCIATION)
    assert verdict.durations_ms["association"] >= 900


def test_what_drips_a_byte_at_a_time_has_no_more_time_than_others(serve):
    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for byte in b"\x02\x00\x00\x00\x10\x00" + bytes(4096):
                connection.send(bytes((byte,)))
                time.sleep(0.05)

    before = time.monotonic()
    assert conclusion(judge(settings(serve(drip)))) == (Condition.FROZEN, Layer.ASSOCIATION)
    assert time.monotonic() - before < 4


@pytest.mark.parametrize(
    ("rejection", "condition", "words"),
    [
        (TOO_MANY_ASSOCIATIONS, Condition.TRANSIENTLY_FULL, "no room"),
        (WRONG_CALLED_AE_TITLE, Condition.REFUSING, "check pacs.ae_title"),
        (Rejection("caller", 1, 1, 3), Condition.REFUSING, "does not know us as LIFEBOAT"),
        (RESERVED_RESULT, Condition.REFUSING, "for good"),
    ],
    ids=lambda value: getattr(value, "reason", None),
)
def test_a_rejection_says_why_and_whether_to_wait(serve, rejection, condition, words):
    verdict = judge(settings(serve(lambda peer: peer.sendall(rejection_pdu(rejection)))))
    assert conclusion(verdict) == (condition, Layer.ASSOCIATION)
    assert words in verdict.words


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\x02\x00\xff\xff\xff\xff", b"\x02\x00\x00\x00\x00\x00"],
    ids=["http", "endless", "empty"],
)
def test_what_is_no_dicom_is_refusing(serve, answer):
    verdict = judge(settings(serve(lambda peer: peer.sendall(answer))))
    assert conclusion(verdict) == (Condition.REFUSING, Layer.ASSOCIATION)


def test_what_hangs_up_is_refusing(serve):
    verdict = judge(settings(serve(lambda peer: peer.shutdown(socket.SHUT_RDWR))))
    assert conclusion(verdict) == (Condition.REFUSING, Layer.ASSOCIATION)


def test_a_healthy_archive_is_echoed_and_given_a_test_image_only_when_allowed(make_archive):
    port = make_archive()
    assert conclusion(judge(settings(port))) == (Condition.HEALTHY, Layer.ECHO)
    verdict = judge(settings(port), with_trial=True)
    assert conclusion(verdict) == (Condition.HEALTHY, Layer.STORE)
    assert list(verdict.durations_ms) == ["name", "connect", "association", "echo", "store"]


@pytest.mark.parametrize("status", [0xA700, 0xC000, 0x0122, None])
def test_what_echoes_but_refuses_images_cannot_store(make_archive, status):
    verdict = judge(settings(make_archive(status)), with_trial=True)
    assert conclusion(verdict) == (Condition.CANNOT_STORE, Layer.STORE)
    assert verdict.has_answered_echo
    assert status is None or f"{status:04X}" in verdict.words


def test_a_warning_is_a_stored_image(make_archive):
    assert judge(settings(make_archive(0xB000)), with_trial=True).is_healthy


def test_the_test_image_arrives_whole_in_small_pieces_and_is_nobodys(make_archive):
    received = []
    entity = AE(ae_title="PACS")
    entity.add_supported_context(Verification)
    entity.add_supported_context(SecondaryCaptureImageStorage)
    entity.maximum_pdu_size = 128
    server = entity.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, lambda event: received.append(event.dataset) or 0)],
    )
    try:
        pacs, given = settings(server.server_address[1]), trial()
        assert probe_pacs(pacs, "LIFEBOAT", trial=given).is_healthy
    finally:
        server.shutdown()
    (ds,) = received
    assert (ds.SOPInstanceUID, ds.PatientID) == (given.sop_instance_uid, PATIENT_ID)
    assert "NOT A PATIENT" in str(ds.PatientName)
    assert ds.PixelData == bytes(range(256))


@given(st.binary(max_size=200))
def test_whatever_answers_is_an_answer_a_request_or_malformed(data):
    with contextlib.suppress(BadDataset):
        answer = read_response(data)
        assert answer is None or 0 <= answer.status <= 0xFFFF


def test_a_request_is_read_as_a_request_and_an_answer_as_what_it_answers():
    assert read_response(write_request(C_ECHO_RQ, 7, str(Verification))) is None
    request = read_command_set(
        write_request(C_STORE_RQ, 7, "1.2", sop_instance_uid="1.2.3", has_data_set=True)
    )
    assert (request.message_id, request.has_data_set) == (7, True)
    assert request.sop_instance_uid.rstrip(b"\0") == b"1.2.3"
    assert read_response(store_response(request, 0xA700, "no room")) == Response(7, 0xA700)


def test_trials_of_a_node_are_one_study():
    first, second = trial(), trial()
    assert first.study_instance_uid == second.study_instance_uid
    assert first.sop_instance_uid != second.sop_instance_uid
    other = make_trial_object("OTHER", first.sop_instance_uid, NOW)
    assert other.study_instance_uid != first.study_instance_uid


def child_of(courier: Courier) -> int:
    return courier._process.pid


def counted(pid: int) -> tuple[int, int]:
    """Threads and open files of a process."""
    return len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))


def test_probing_again_and_again_leaves_nothing_behind(serve):
    """One child for all probes, no thread more in it or in us, and none when it is closed."""
    courier = Courier(settings(serve(lambda connection: None)), "LIFEBOAT")
    try:
        courier.probe()
        child, threads = child_of(courier), threading.active_count()
        before = counted(child)
        for _ in range(2):
            assert courier.probe().condition is Condition.FROZEN
        assert (child_of(courier), counted(child)) == (child, before)
        assert threading.active_count() == threads
    finally:
        courier.close()
    assert not Path(f"/proc/{child}").exists()


def test_a_child_that_hangs_itself_is_killed_and_the_layer_it_was_in_is_judged(serve):
    stopped = threading.Event()

    def freeze_child(connection: socket.socket) -> None:
        os.kill(child_of(courier), signal.SIGSTOP)
        stopped.set()

    courier = Courier(settings(serve(freeze_child)), "LIFEBOAT")
    try:
        verdict = courier.probe()
        assert stopped.is_set()
        assert verdict.condition in (Condition.FROZEN, Condition.UNREACHABLE)
        assert courier._process is None
    finally:
        courier.close()


def all_threads_stand_still(pid: int) -> bool:
    """Whether a stop signal has reached every thread."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in stats_of_threads(pid)]
    return set(states) == {"T"}


def stats_of_threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").glob("*/stat"))


@pytest.mark.peer
def test_the_outages_of_a_real_archive_are_told_apart_in_time(make_orthanc, wait):
    """Called by a wrong title, healthy, frozen by SIGSTOP, killed."""
    orthanc = make_orthanc(9).start()
    right = PacsSettings(
        ae_title="ORTHANC", host="127.0.0.1", port=orthanc.dicom_port, probe_find=True
    )
    courier = Courier(right, "LIFEBOAT")
    try:
        assert conclusion(judge(settings(right.port))) == (Condition.REFUSING, Layer.ASSOCIATION)
        assert conclusion(judge(right)) == (Condition.HEALTHY, Layer.FIND)
        assert conclusion(courier.probe(trial())) == (Condition.HEALTHY, Layer.STORE)
        assert orthanc.number_of_instances() == 1
        orthanc.process.send_signal(signal.SIGSTOP)
        wait(lambda: all_threads_stand_still(orthanc.process.pid))
        began = time.monotonic()
        assert conclusion(courier.probe()) == (Condition.FROZEN, Layer.ASSOCIATION)
        assert time.monotonic() - began < CLASSIFIED_WITHIN_S
        orthanc.process.send_signal(signal.SIGCONT)
        orthanc.stop()
        assert conclusion(courier.probe()) == (Condition.REFUSING, Layer.CONNECT)
    finally:
        if orthanc.process is not None:
            orthanc.process.send_signal(signal.SIGCONT)
        courier.close()
