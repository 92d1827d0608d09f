"""Instances leave as they are stored; whatever goes wrong, nothing is called stored that is not."""

import inspect
import time

import pynetdicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket

from dicom_node import fast_sender
from dicom_node.courier import Courier
from dicom_node.errors import PeerRefused
from dicom_node.outgoing_file import BLOCK_BYTES
from dicom_node.pacs import Pacs
from dicom_node.part10 import DIGEST_LENGTH
from dicom_node.setting_tables import PacsSettings
from dicom_node.shipment import Outcome
from dicom_node.stored_file import read_file_head
from sample_data.pacs import PracticePacs
from tests.conftest import wait_until
from tests.dicom_node.scripted_peer import Conversation, store_answer
from tests.dicom_node.sending import (
    accept_and,
    data_set,
    flip,
    make_peer,
    make_shipment,
    outcomes,
    pacs_at,
    say_nothing,
    serve_all,
)
from tests.faults.wire import IS_COMMAND, IS_LAST, p_data

__all__ = ["make_peer", "make_shipment"]

FRAGMENT = 16384 - 6


@pytest.mark.parametrize("maximum_length", [0, 128, 4097, 16384, 131072])
def test_every_byte_arrives_in_pdus_the_peer_takes(make_peer, make_shipment, maximum_length):
    peer = make_peer(serve_all, maximum_length=maximum_length)
    items = [make_shipment(), make_shipment(70_000)]
    assert outcomes(pacs_at(peer.port).send(items)) == ["stored"] * 2
    assert peer.stored == {item.sop_instance_uid: data_set(item) for item in items}
    assert maximum_length == 0 or peer.conversations[0].largest_pdu <= maximum_length


@pytest.mark.parametrize("beyond", [-2, 0, 2, FRAGMENT, BLOCK_BYTES * 3 + 7_000])
def test_large_objects_need_one_block_of_memory_and_arrive_whole(make_peer, make_shipment, beyond):
    peer = make_peer(serve_all)
    around = len(data_set(make_shipment())) - 8192
    item = make_shipment(BLOCK_BYTES - around + beyond)
    (receipt,) = pacs_at(peer.port).send([item])
    assert receipt.outcome is Outcome.STORED
    assert peer.stored[item.sop_instance_uid] == data_set(item)


def test_dcmtk_takes_it_byte_for_byte(bit_preserving_receiver, make_shipment):
    items = [make_shipment(size) for size in (0, 300_000, 3_000_000)]
    assert outcomes(pacs_at(bit_preserving_receiver.port).send(items)) == ["stored"] * 3
    received = bit_preserving_receiver.received()
    for item in items:
        assert received[item.sop_instance_uid].read_bytes().endswith(data_set(item))


@pytest.mark.parametrize(
    ("size", "is_sealed"), [(0, True), (200_000, False), (200_000, True), (3_000_000, True)]
)
def test_a_flipped_byte_never_reaches_a_peer_as_a_stored_instance(
    make_peer, make_shipment, bit_preserving_receiver, tmp_path, size, is_sealed
):
    good, bad, last = (make_shipment(size, is_sealed=is_sealed) for _ in range(3))
    flip(bad, -5000)
    scripted = make_peer(serve_all)
    with PracticePacs(tmp_path / "pacs", port=0) as practice:
        for port in (scripted.port, practice.port, bit_preserving_receiver.port):
            found = outcomes(pacs_at(port).send([good, bad, last]))
            assert found == ["stored", "unreadable", "stored"]
        whole = {good.sop_instance_uid, last.sop_instance_uid}
        assert set(practice.received) == set(scripted.stored) == whole
    assert set(bit_preserving_receiver.received()) == whole


def test_orthanc_takes_the_good_ones_and_never_the_damaged_one(make_orthanc, make_shipment):
    orthanc = make_orthanc(1).start()
    items = [make_shipment(600_000) for _ in range(4)]
    flip(items[1], -5000)
    pacs = Pacs(
        PacsSettings(host="127.0.0.1", port=orthanc.dicom_port, ae_title=orthanc.ae_title),
        "LIFEBOAT",
    )
    assert outcomes(pacs.send(items)) == ["stored", "unreadable", "stored", "stored"]
    assert orthanc.number_of_instances() == 3


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_a_sound_instance_is_sent_whose_checksum_rotted(make_peer, make_shipment, size):
    peer, item = make_peer(serve_all), make_shipment(size)
    flip(item, read_file_head(item.path).dataset_offset - DIGEST_LENGTH - 2)
    assert outcomes(pacs_at(peer.port).send([item])) == ["stored"]
    assert peer.stored[item.sop_instance_uid] == data_set(item)


def test_another_version_of_an_instance_is_not_sent_for_the_one_that_is_owed(
    make_peer, make_shipment
):
    peer = make_peer(serve_all)
    item = make_shipment(50_000)
    owed = item._replace(digest="0123456789abcdef" * 4)
    assert outcomes(pacs_at(peer.port).send([owed])) == ["unreadable"]
    assert not peer.stored


def test_a_file_that_is_cut_gone_or_another_one_is_not_sent(make_peer, make_shipment):
    peer = make_peer(serve_all)
    cut, gone, other, good = (make_shipment(50_000) for _ in range(4))
    cut.path.write_bytes(cut.path.read_bytes()[:-10_000])
    gone.path.unlink()
    other.path.write_bytes(good.path.read_bytes())
    found = outcomes(pacs_at(peer.port).send([cut, gone, other, good]))
    assert found == ["unreadable"] * 3 + ["stored"]
    assert list(peer.stored) == [good.sop_instance_uid]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, "stored"),
        (0xB000, "stored"),
        (0xB007, "stored"),
        (0xC000, "refused"),
        (0xA900, "refused"),
        (0x0110, "refused"),
        (0xFE00, "refused"),
    ],
)
def test_the_answer_says_what_became_of_it(make_peer, make_shipment, status, outcome):
    peer = make_peer(accept_and(lambda talk: talk.serve_all(status)))
    (receipt,) = pacs_at(peer.port).send([make_shipment()])
    assert (receipt.outcome, receipt.status) == (outcome, status)


def test_a_pacs_without_room_is_asked_no_further(make_peer, make_shipment):
    peer = make_peer(accept_and(lambda talk: talk.serve_all(0xA700)))
    found = outcomes(pacs_at(peer.port).send([make_shipment() for _ in range(3)]))
    assert found == ["refused", "not-sent", "not-sent"]


def reset_in_mid_object(talk: Conversation) -> None:
    talk.read_pdu()
    talk.read_pdu()
    talk.reset()


def close_before_the_answer(talk: Conversation) -> None:
    talk.read_message()


def stop_reading(talk: Conversation) -> None:
    talk.read_pdu()
    time.sleep(3)


def answer_another_message(talk: Conversation) -> None:
    context_id, message_id, instance, _ = talk.read_message()
    talk.answer(context_id, message_id + 1, instance)
    talk.wait_for_end()


def answer_for_another_instance(talk: Conversation) -> None:
    context_id, message_id, _, _ = talk.read_message()
    talk.answer(context_id, message_id, "1.2.3")
    talk.wait_for_end()


def answer_in_another_context(talk: Conversation) -> None:
    context_id, message_id, instance, _ = talk.read_message()
    talk.answer(context_id + 2, message_id, instance)
    talk.wait_for_end()


def answer_with_garbage(talk: Conversation) -> None:
    context_id, *_ = talk.read_message()
    talk.connection.sendall(p_data(context_id, IS_COMMAND | IS_LAST, b"\x09\x00 garbage"))
    talk.wait_for_end()


def answer_twice(talk: Conversation) -> None:
    context_id, message_id, instance, _ = talk.read_message()
    talk.connection.sendall(2 * store_answer(context_id, message_id, instance))
    talk.wait_for_end()


def answer_with_an_abort(talk: Conversation) -> None:
    talk.read_message()
    talk.connection.sendall(bytes.fromhex("0700 00000004 00000200"))


@pytest.mark.parametrize(
    "misbehave",
    [
        reset_in_mid_object,
        close_before_the_answer,
        say_nothing,
        stop_reading,
        answer_another_message,
        answer_for_another_instance,
        answer_in_another_context,
        answer_with_garbage,
        answer_twice,
        answer_with_an_abort,
    ],
)
def test_without_a_certain_answer_nothing_is_called_stored(make_peer, make_shipment, misbehave):
    size = 20_000_000 if misbehave in (stop_reading, reset_in_mid_object) else 100_000
    peer = make_peer(accept_and(misbehave), serve_all)
    pacs = pacs_at(peer.port, answer_timeout_s=1.0)
    items = [make_shipment(size), make_shipment()]
    assert outcomes(pacs.send(items)) == ["unknown", "not-sent"]
    assert outcomes(pacs.send(items[1:])) == ["stored"]


def test_an_answer_in_pieces_is_one_answer(make_peer, make_shipment):
    def answer_in_pieces(talk: Conversation) -> None:
        context_id, message_id, instance, _ = talk.read_message()
        whole = store_answer(context_id, message_id, instance)
        command = whole[12:]
        pieces = p_data(context_id, IS_COMMAND, command[:30])
        pieces += p_data(context_id, IS_COMMAND | IS_LAST, command[30:])
        for start in range(0, len(pieces), 7):
            talk.connection.sendall(pieces[start : start + 7])
        talk.read_message()

    peer = make_peer(accept_and(answer_in_pieces))
    (receipt,) = pacs_at(peer.port).send([make_shipment()])
    assert receipt.outcome is Outcome.STORED


def test_a_peer_that_ends_after_each_instance_still_gets_them_all(make_peer, make_shipment):
    def serve_one(talk: Conversation) -> None:
        talk.accept()
        talk.serve()
        talk.connection.sendall(bytes.fromhex("0500 00000004 00000000"))  # A-RELEASE-RQ
        talk.wait_for_end()

    peer = make_peer(serve_one)
    items = [make_shipment() for _ in range(4)]
    pacs, found = pacs_at(peer.port), ["stored"] * 0
    while left := items[found.count("stored") :]:
        # what left before the release was noticed has an unknown outcome, and is sent again
        found += [word for word in outcomes(pacs.send(left)) if word == "stored"]
    assert peer.stored == {item.sop_instance_uid: data_set(item) for item in items}


def test_a_transient_rejection_is_told_as_such(make_peer, make_shipment):
    peer = make_peer(Conversation.reject)
    with pytest.raises(PeerRefused, match="for now"):
        list(pacs_at(peer.port).send([make_shipment()]))


# the library's thread ends on it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_rejection_for_a_reason_nobody_knows_is_told_as_such(make_peer, make_shipment):
    peer = make_peer(lambda talk: talk.reject(99))
    with pytest.raises(PeerRefused, match="for now: source 3, reason 99"):
        list(pacs_at(peer.port).send([make_shipment()]))


def test_a_rejection_is_told_as_such_however_late_the_library_looks(
    make_peer, make_shipment, monkeypatch
):
    """Its thread that waits for the connection finds it closed again."""
    send_request = ACSE.send_request

    def send_and_be_late(acse: ACSE) -> None:
        send_request(acse)
        wait_until(lambda: acse.dul.socket.socket is None, 30)

    monkeypatch.setattr(ACSE, "send_request", send_and_be_late)
    peer = make_peer(Conversation.reject)
    with pytest.raises(PeerRefused, match="for now"):
        list(pacs_at(peer.port).send([make_shipment()]))


def test_through_the_child_process_too(make_peer, make_shipment):
    peer = make_peer(serve_all)
    courier = Courier(PacsSettings(host="127.0.0.1", port=peer.port), "LIFEBOAT")
    items = [make_shipment() for _ in range(30)]
    try:
        assert outcomes(courier.send(items)) == ["stored"] * 30
    finally:
        courier.close()
    assert set(peer.stored) == {item.sop_instance_uid for item in items}


@given(st.lists(st.binary(max_size=12)), st.lists(st.integers(1, 20), min_size=1))
def test_whatever_the_system_takes_at_a_time_everything_leaves_once(buffers, sizes):
    left, sent = list(buffers), b""
    for size in sizes + [20] * len(buffers):
        taken = b"".join(map(bytes, left))[:size]
        sent += taken
        left = fast_sender._behind(left, len(taken))
    assert sent == b"".join(buffers)
    assert left == []


def test_what_is_relied_on_in_the_library_is_still_so():
    """A new version that changes these must not pass unnoticed."""
    assert pynetdicom.__version__.startswith("3.0.")
    look = inspect.getsource(DULServiceProvider._is_transport_event)
    assert look.count("self.socket and self.socket.ready") == 2
    assert "self.socket.close()" in look
    assert "self.socket.send(pdu.encode())" in inspect.getsource(DULServiceProvider._send)
    reactor = inspect.getsource(Association._run_reactor)
    assert reactor.index("_reactor_checkpoint.wait()") < reactor.index("idle_timer_expired")
    abort = inspect.getsource(Association._abort_blocking)
    assert "_reactor_checkpoint.set()" in abort
    assert "self.kill()" in abort
    connect = inspect.getsource(AssociationSocket.connect)
    assert "self.socket.settimeout(None)" in connect  # so that the system keeps our time
    machine = inspect.getsource(pynetdicom.fsm)
    uses = machine.count("sock.close()") + machine.count("dul.socket)._shutdown_socket()")
    assert machine.count("dul.socket") == uses + machine.count("sock.connect(")
