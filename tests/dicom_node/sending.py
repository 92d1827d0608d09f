"""What tests of sending share: instances to send, peers to send to, and what becomes of them."""

import hashlib
import os
import zlib

import pytest

from dicom_node.pacs import Pacs
from dicom_node.part10 import build_head, seal
from dicom_node.setting_tables import PacsSettings
from dicom_node.shipment import Shipment
from dicom_node.stored_file import read_file_head
from tests.dicom_node.scripted_peer import Conversation, ScriptedPeer
from tests.faults.wire import CT, EXPLICIT


@pytest.fixture
def make_peer():
    peers = []

    def make(*scripts, **options) -> ScriptedPeer:
        peers.append(ScriptedPeer(*scripts, **options))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def make_shipment(tmp_path, encode_dataset, make_instance):
    made = []

    def make(size: int = 0, *, is_sealed: bool = True) -> Shipment:
        """Store an instance with as many bytes of pixel data."""
        ds = make_instance(len(made) + 1)
        if size:
            ds.PixelData = bytes(range(256)) * (size // 256 + 1)
        data = encode_dataset(ds)
        uid, digest = str(ds.SOPInstanceUID), hashlib.sha256(data).hexdigest()
        path = tmp_path / f"{uid}.dcm"
        head = build_head(
            CT, uid, EXPLICIT, source_ae_title="CT1", received_at="2026-01-02", digest=digest
        )
        if is_sealed:
            offset, end = seal(head, zlib.crc32(data), digest)
            head = head[:offset] + end
        path.write_bytes(head + data)
        made.append(Shipment(len(made), str(path), CT, uid, EXPLICIT, digest))
        return made[-1]

    return make


def pacs_at(port: int, **changes) -> Pacs:
    values = {"answer_timeout_s": 2.0, "connect_timeout_s": 2.0, "associations": 1} | changes
    return Pacs(PacsSettings(host="127.0.0.1", port=port, **values), "LIFEBOAT")


def data_set(item: Shipment) -> bytes:
    return item.path.read_bytes()[read_file_head(item.path).dataset_offset :]


def outcomes(receipts) -> list[str]:
    return [receipt.outcome.value for receipt in sorted(receipts, key=lambda r: r.delivery_id)]


def accept_and(then):
    def script(talk: Conversation) -> None:
        talk.accept()
        then(talk)

    return script


serve_all = accept_and(Conversation.serve_all)


def flip(item: Shipment, at: int) -> None:
    with item.path.open("r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes((byte[0] ^ 1,)))


def say_nothing(talk: Conversation) -> None:
    talk.read_message()
    talk.wait_for_end()
