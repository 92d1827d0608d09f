"""dicom_node.answers and its like in the practice room: an answer reaches who waits for it."""

import queue
import threading

import pytest
from pynetdicom import AE, evt

import dicom_node.answers
import sample_data.answers

VERIFICATION = "1.2.840.10008.1.1"


@pytest.mark.parametrize("room", [dicom_node.answers, sample_data.answers])
def test_the_thread_of_the_association_takes_no_answer_away(room):
    is_running = threading.Event()
    answers = room.AnswerQueue(is_running)
    answers.put((1, "answer"))
    with pytest.raises(queue.Empty):
        answers.get(block=False)
    assert answers.get(block=True, timeout=5) == (1, "answer")
    is_running.set()
    answers.put((1, "request"))
    assert answers.get(block=False) == (1, "request")


@pytest.mark.parametrize("room", [dicom_node.answers, sample_data.answers])
def test_the_library_takes_its_messages_from_the_queue_it_was_given(room):
    peer = AE()
    peer.add_supported_context(VERIFICATION)
    server = peer.start_server(("127.0.0.1", 0), block=False)
    asking = AE()
    asking.add_requested_context(VERIFICATION)
    try:
        association = asking.associate(
            *server.server_address[:2], evt_handlers=[(evt.EVT_CONN_OPEN, room.keep_answers)]
        )
        assert isinstance(association.dimse.msg_queue, room.AnswerQueue)
        assert [association.send_c_echo().Status for _ in range(20)] == [0] * 20
        association.release()
    finally:
        server.shutdown()
