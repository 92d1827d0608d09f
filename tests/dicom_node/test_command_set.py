import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from dicom_node.command_set import (
    C_STORE_RQ,
    CommandSet,
    read_command_set,
    read_store_answer,
    store_request,
    store_response,
)
from dicom_node.errors import BadDataset


def request(**changes) -> CommandSet:
    values = {
        "command_field": C_STORE_RQ,
        "message_id": 7,
        "has_data_set": True,
        "sop_class_uid": b"1.2.840.10008.5.1.4.1.1.2\0",
        "sop_instance_uid": b"1.2.3\0",
    }
    return CommandSet(**{**values, **changes})


def as_dataset(data: bytes):
    return read_dataset(DicomBytesIO(data), is_implicit_VR=True, is_little_endian=True)


def test_the_answer_is_what_the_library_reads():
    answer = as_dataset(store_response(request(), 0xA700, "no disk space, not saved"))
    assert answer.CommandField == 0x8001
    assert answer.MessageIDBeingRespondedTo == 7
    assert answer.Status == 0xA700
    assert answer.ErrorComment == "no disk space, not saved"
    assert answer.AffectedSOPInstanceUID == "1.2.3"
    assert answer.CommandDataSetType == 0x0101
    data = store_response(request(), 0, "")
    assert as_dataset(data).CommandGroupLength == len(data) - 12


def test_a_comment_is_at_most_64_characters():
    answer = as_dataset(store_response(request(), 0xC000, "x" * 500))
    assert len(answer.ErrorComment) == 64


def test_a_success_carries_no_comment():
    assert "ErrorComment" not in as_dataset(store_response(request(), 0, ""))


def test_an_answer_reads_as_a_command():
    found = read_command_set(store_response(request(), 0, ""))
    assert (found.command_field, found.message_id, found.has_data_set) == (0x8001, 7, False)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0\0", struct.pack("<HHL", 0, 0x0100, 2) + b"\1\0", struct.pack("<HHL", 8, 0, 0)],
)
def test_a_command_that_lacks_what_it_needs_is_refused(data):
    with pytest.raises(BadDataset):
        read_command_set(data)


def test_a_request_is_what_the_library_reads():
    data = store_request(65535, "1.2.840.10008.5.1.4.1.1.2", "1.2.33")
    read = as_dataset(data)
    assert (read.CommandField, read.MessageID, read.Priority) == (1, 65535, 0)
    assert (read.AffectedSOPInstanceUID, read.CommandDataSetType) == ("1.2.33", 1)
    assert read.CommandGroupLength == len(data) - 12
    found = read_command_set(data)
    assert (found.command_field, found.message_id, found.has_data_set) == (1, 65535, True)


def test_an_answer_says_what_was_stored():
    answer = read_store_answer(store_response(request(), 0xA700, "no room"))
    assert (answer.message_id, answer.status, answer.comment) == (7, 0xA700, "no room")
    assert answer.sop_instance_uid == "1.2.3"


@pytest.mark.parametrize("missing", [0x0100, 0x0120, 0x0800, 0x0900])
def test_an_answer_without_what_it_must_say_is_none(missing):
    elements, rest = [], store_response(request(), 0, "")
    while rest:
        _, element, length = struct.unpack_from("<HHL", rest)
        if element != missing:
            elements.append(rest[: 8 + length])
        rest = rest[8 + length :]
    with pytest.raises(BadDataset):
        read_store_answer(b"".join(elements))


def test_a_request_is_no_answer():
    with pytest.raises(BadDataset):
        read_store_answer(store_request(1, "1.2", "1.3"))


@given(st.binary(max_size=200))
def test_garbage_is_no_answer_and_nothing_else(data):
    with contextlib.suppress(BadDataset):
        read_store_answer(data)


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(data):
    with contextlib.suppress(BadDataset):
        read_command_set(data)
