import struct

import pytest

from dicom_node.association_request import (
    APPLICATION_CONTEXT_NAME,
    MAXIMUM_HELLO_BYTES,
    UNKNOWN_CALLER,
    AssociationRequest,
    missing_bytes,
    read_request,
    rejection_pdu,
)
from dicom_node.errors import BadDataset


def request(calling: bytes, called: bytes = b"LIFEBOAT", extra: bytes = b"") -> bytes:
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16)) + extra
    return struct.pack(">BBL", 1, 0, len(body)) + body


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def test_it_is_known_how_much_is_missing_after_every_byte():
    whole = request(b"CT1", extra=b"items")
    for received in range(6):
        assert missing_bytes(whole[:received]) == 6 - received
    for received in range(6, len(whole) + 1):
        assert missing_bytes(whole[:received]) == len(whole) - received


@pytest.mark.parametrize(
    "received",
    [
        b"\x04",
        b"GET / HTTP/1.1\r\n",
        struct.pack(">BBL", 1, 0, 0),
        struct.pack(">BBL", 1, 0, 67),
        struct.pack(">BBL", 1, 0, MAXIMUM_HELLO_BYTES + 1),
        struct.pack(">BBL", 1, 0, 0xFFFFFFFF),
    ],
)
def test_what_is_no_request_is_noticed_at_once(received):
    with pytest.raises(BadDataset):
        missing_bytes(received)


def test_titles_are_read_without_their_padding():
    whole = request(b"  CT 1 ", extra=item(0x10, APPLICATION_CONTEXT_NAME + b"\0"))
    assert read_request(whole) == AssociationRequest(b"CT 1", b"LIFEBOAT")


def test_presentation_contexts_must_be_told_apart():
    def with_contexts(*ids: int) -> bytes:
        items = b"".join(item(0x20, bytes([number, 0, 0, 0])) for number in ids)
        return request(b"CT1", extra=items)

    read_request(with_contexts(1, 3, 255))
    for ids in ((1, 1), (2,), (0,), tuple(range(256))):
        with pytest.raises(BadDataset):
            read_request(with_contexts(*ids))


@pytest.mark.parametrize("extra", [b"\x10", b"\x10\0\0\x05abc", b"\x20\0\0\0"])
def test_items_that_do_not_fit_are_noticed(extra):
    with pytest.raises(BadDataset):
        read_request(request(b"CT1", extra=extra))


@pytest.mark.parametrize(
    "title", [b"", b" " * 16, b"\xff" * 16, b"CT\n1", b"CT\x001", b"A\\B", b"CT\x7f", b"\xc3\xa9"]
)
def test_a_title_that_is_none_is_noticed(title):
    assert not read_request(request(title)).has_valid_caller
    assert read_request(request(b"CT-1_x~!")).has_valid_caller


def test_a_rejection_is_the_pdu_of_the_standard():
    assert rejection_pdu(UNKNOWN_CALLER) == bytes.fromhex("03000000000400010103")
