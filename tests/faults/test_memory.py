"""Peers that would fill the memory: the receiving process stays small."""

import contextlib
import hashlib
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterable, Iterator

import pytest

from tests.conftest import wait_until
from tests.faults.instances import (
    CT_IMAGE_STORAGE,
    Instance,
    element,
    head_elements,
    make_instances,
    new_uid,
)
from tests.faults.ledger import Ledger, audit
from tests.faults.node import FaultyNode
from tests.faults.sender import SUCCESS, Gone, Scu

MIB = 1 << 20
BAR = 150 * MIB
SAMPLE_S = 0.02
ASSOCIATE_RQ, P_DATA = 1, 4
DEFLATED = "1.2.840.10008.1.2.1.99"
BLOCK = os.urandom(MIB)


class Growth:
    """How far the memory of the receiving process grows while something is done to it."""

    def __init__(self, node: FaultyNode) -> None:
        self._node = node
        with Scu(node.dicom_port) as scu:
            (instance,) = make_instances(1)
            assert scu.store(instance).status == SUCCESS
        self._base = node.memory()
        self.most = self.most_own = 0

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        stopping = threading.Event()
        thread = threading.Thread(target=self._sample, args=(stopping,))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def _sample(self, stopping: threading.Event) -> None:
        own = self._node.memory("RssAnon")
        while not stopping.wait(SAMPLE_S):
            self.most = max(self.most, self._node.memory() - self._base)
            self.most_own = max(self.most_own, self._node.memory("RssAnon") - own)

    def words(self) -> str:
        return f"+{self.most / MIB:.0f} MiB (own +{self.most_own / MIB:.0f})"


def still_serves(node: FaultyNode) -> None:
    with Scu(node.dicom_port) as scu:
        (instance,) = make_instances(1)
        assert scu.store(instance).status == SUCCESS


@contextlib.contextmanager
def connection_for(kind: int, port: int) -> Iterator[socket.socket]:
    """Connect; for a PDU that carries data, associate too."""
    if kind == P_DATA:
        with Scu(port) as scu:
            yield scu.socket
    else:
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            yield connection


def pour(connection: socket.socket, blocks: Iterable[bytes]) -> int:
    """Send until the node ends the connection; return how many bytes went out."""
    sent = 0
    with contextlib.suppress(OSError):
        for block in blocks:
            connection.sendall(block)
            sent += len(block)
    return sent


@pytest.mark.parametrize("kind", [ASSOCIATE_RQ, P_DATA], ids=["A-ASSOCIATE-RQ", "P-DATA-TF"])
def test_a_pdu_that_claims_4_gib_is_cut(make_faulty_node, figure, kind):
    node = make_faulty_node().start("receive")
    growth = Growth(node)
    with growth.watched(), connection_for(kind, node.dicom_port) as peer:
        sent = pour(peer, [struct.pack(">BBL", kind, 0, 0xFFFFFFFF), *[BLOCK] * 1024])
    figure(f"P15 PDU {kind} claims 4 GiB", growth.words(), "+150 MiB")
    assert sent < 64 * MIB
    assert growth.most <= BAR
    still_serves(node)


def test_fragments_without_a_last_one_end_at_the_cap(make_faulty_node, size, figure):
    cap = 16 * MIB
    for setting, most, limit in (
        (f"dicom.maximum_object_bytes={cap}", 256 * MIB, cap),
        ("dicom.ae_title=LIFEBOAT", size(256 * MIB, 5120 * MIB), 4096 * MIB),
    ):
        node = make_faulty_node(setting).start("receive")
        growth, sent = Growth(node), 0
        with growth.watched(), Scu(node.dicom_port) as scu:
            scu.begin_store(new_uid())
            with contextlib.suppress(Gone):
                while sent < most:
                    scu.send_fragment(BLOCK[: scu.fragment_bytes], is_last=False)
                    sent += scu.fragment_bytes
        figure(f"P15 never-last fragments, cap {limit // MIB} MiB", growth.words(), "+150 MiB")
        assert sent <= limit + 32 * MIB  # what lies in the buffers of both sides was sent too
        assert growth.most <= BAR
        still_serves(node)
        wait_until(lambda node=node: not list((node.data / "incoming").iterdir()))


def test_a_large_object_passes_through_little_memory(make_faulty_node, size, figure):
    """Only its own memory counts here: pages of a file it maps are the system's to take back."""
    node = make_faulty_node().start("receive")
    frames = size(100, 1024)  # of 2 MiB
    uids = (new_uid(), new_uid(), new_uid())
    digest, growth, ledger = hashlib.sha256(), Growth(node), Ledger()
    begin = time.monotonic()
    with growth.watched(), Scu(node.dicom_port, timeout_s=300) as scu:
        scu.begin_store(uids[2])
        for data, is_last in fragments(scu.fragment_bytes, uids, frames):
            digest.update(data)
            scu.send_fragment(data, is_last=is_last)
        instance = Instance(*uids, b"", digest.hexdigest())
        ledger.answered(instance, scu.answer())
    seconds = time.monotonic() - begin
    figure(f"P15 object of {2 * frames} MiB in {seconds:.0f} s", growth.words(), "+150 MiB")
    assert ledger.refused == []
    assert audit(node.data, ledger.acknowledged).lost == []
    assert growth.most_own <= BAR


def fragments(
    size: int, uids: tuple[str, str, str], frames: int
) -> Iterator[tuple[memoryview, bool]]:
    """Cut the data set of one large object into fragments, without having it."""
    pixels = element(0x7FE0, 0x0010, "OW", b"")[:-4] + struct.pack("<L", frames * 2 * MIB)
    yield memoryview(head_elements(*uids, 1, 1024, frames) + pixels), False
    left, block = frames * 2 * MIB, memoryview(BLOCK)[:size]
    while left:
        part = block[: min(left, len(block))]
        left -= len(part)
        yield part, not left


@pytest.mark.parametrize("place", ["pixels", "header"])
def test_a_deflate_bomb_does_not_go_off(make_faulty_node, figure, place):
    node = make_faulty_node().start("receive")
    bomb, growth = deflate_bomb(place), Growth(node)
    begin = time.monotonic()
    with growth.watched(), Scu(node.dicom_port, CT_IMAGE_STORAGE, DEFLATED) as scu:
        answer = scu.store(bomb)
        assert scu.echo().status == SUCCESS
    seconds = time.monotonic() - begin
    figure(
        f"P15 deflate bomb in the {place}: {len(bomb.dataset) / 1e6:.1f} MB to 1 GiB, "
        f"{answer.status:04X} in {seconds:.1f} s",
        growth.words(),
        "+150 MiB",
    )
    assert growth.most <= BAR
    still_serves(node)


def deflate_bomb(place: str) -> Instance:
    """Make a data set of 1 GiB of zeros, deflated, in its pixels or before what must be read."""
    uids = (new_uid(), new_uid(), new_uid())
    head = head_elements(*uids, 1, 16384, 2)
    private = struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 1024 * MIB)
    pixels = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 1024 * MIB)
    if place == "header":  # between group 0008 and the patient
        cut = head.index(element(0x0010, 0x0010, "PN", "PHANTOM^FAULTS"))
        before, after = head[:cut] + private, head[cut:]
    else:
        before, after = head + pixels, b""
    packer, zeros = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS), bytes(MIB)
    packed = [packer.compress(before), *(packer.compress(zeros) for _ in range(1024))]
    dataset = b"".join((*packed, packer.compress(after), packer.flush()))
    return Instance(*uids, dataset, hashlib.sha256(dataset).hexdigest())
