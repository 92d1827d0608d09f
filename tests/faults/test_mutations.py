"""Thousands of damaged conversations and data sets: each is answered or ended, nothing breaks.

`LIFEBOAT_FAULTS=full` runs the long form.
"""

import contextlib
import itertools
import os
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.command_set import KNOWN_COMMANDS, CommandSet, read_command_set, store_response
from dicom_node.errors import BadDataset, NodeError
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import Index
from dicom_node.ingest import Ingest, Origin
from dicom_node.quarantine import Quarantine
from dicom_node.storage import InstanceStore
from tests.conftest import wait_until
from tests.faults import abuse_datasets as ds
from tests.faults import wire
from tests.faults.abuse_datasets import MARK, ct, element, new_uid
from tests.faults.abuse_target import Target, running_target
from tests.faults.mutations import mutate

IS_FULL = os.environ.get("LIFEBOAT_FAULTS") == "full"
DATA_SETS, CONVERSATIONS = (90_000, 10_000) if IS_FULL else (4_500, 500)
LIMIT_S = 7200 if IS_FULL else 180
PEERS = 4
END_S = 12.0

DEFLATED, BIG_ENDIAN, RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"


class Room:
    """The receiving half without a network, on real files; it does not wait for the disk."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._store = InstanceStore(data, sync_writes=False)
        self._index = Index(data / "index.sqlite")
        self._queue = IndexQueue(self._index.add, self._store.forget)
        self._queue.start()
        self._ingest = Ingest(self._store, Quarantine(data / "quarantine"), self._queue)

    def take(self, data_set: bytes, syntax: str) -> bool:
        """Take a data set in; tell whether it was acknowledged, which it may only be when kept."""
        origin = Origin(door="c-store", calling_ae_title="MUTANT")
        try:
            stored = self._ingest.accept(data_set, syntax, origin)
        except NodeError:
            return False
        assert stored is not None
        assert (self._data / stored.path).read_bytes().endswith(data_set)
        return True

    def close(self) -> None:
        self._queue.stop()
        self._index.close()
        self._store.close()


@pytest.fixture
def room(tmp_path, monkeypatch) -> Iterator[Room]:
    # thousands land in quarantine, which waits for the disk each time; how it waits is tested there
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    room = Room(tmp_path / "data")
    yield room
    room.close()


def seeds_of_data_sets(uid: str) -> list[tuple[bytes, str]]:
    """Return good data sets of each encoding, which the damage begins from."""
    plain = ct(uid)
    sequence = element(0x00400275, "SQ", ds.item(element(0x00080100, "SH", MARK)))
    rich = ct(uid, element(ds.CHARACTER_SET, "CS", "\\ISO 2022 IR 87"), sequence)
    compressed = ct(uid, ds.encapsulated(bytes(range(64)), b"x" * 50))
    return [
        (plain, wire.EXPLICIT),
        (rich, wire.EXPLICIT),
        (ct(uid, ds.nested(5)), wire.EXPLICIT),
        (implicit(uid), wire.IMPLICIT),
        (compressed, RLE),
        (ds.deflated(plain), DEFLATED),
        (plain, BIG_ENDIAN),
    ]


def implicit(uid: str) -> bytes:
    """Encode a small instance in Implicit VR Little Endian."""
    encoded = sorted(ds.elements_of(uid).items())
    values = [(head[:4], head[8:]) for tag, head in encoded if tag != ds.PIXEL_DATA]
    return b"".join(tag + struct.pack("<L", len(value)) + value for tag, value in values)


@pytest.mark.timeout(LIMIT_S)
def test_a_damaged_data_set_is_kept_as_it_came_or_refused(room):
    good = seeds_of_data_sets(new_uid())
    taken = 0
    for seed in range(DATA_SETS):
        data_set, syntax = good[seed % len(good)]
        try:
            taken += room.take(mutate(data_set, seed), syntax)
        except Exception as error:
            raise AssertionError(f"seed {seed} in {syntax}") from error
    print(f"{DATA_SETS} damaged data sets, {taken} taken as they came")
    assert 0 < taken < DATA_SETS


def conversation(uid: str, seed: int) -> tuple[bytes, bytes]:
    """Return what a peer sends before and behind the answer to its association request.

    Damaged is one of the two; in every fourth conversation the request, which then is not waited
    for.
    """
    store = b"".join(wire.message(3, wire.store_request(uid), ct(uid)))
    rest = wire.ECHO + store + wire.pdu(wire.RELEASE_RQ, bytes(4))
    if seed % 4:
        return wire.associate_rq(), mutate(rest, seed)
    return mutate(wire.associate_rq(), seed) + rest, b""


@pytest.fixture(scope="module")
def target(tmp_path_factory, free_ports) -> Iterator[Target]:
    with running_target(tmp_path_factory.mktemp("mutations"), free_ports(2)) as target:
        yield target


def converse(target: Target, seed: int) -> int:
    """Hold one damaged conversation; return how many instances it got acknowledged."""
    uid = new_uid()
    first, rest = conversation(uid, seed)
    with target.peer(END_S) as peer:
        peer.send(first)
        try:
            answers = [peer.read()] if rest else []
            peer.send(rest).end()
            answers += peer.read_to_end()
        except TimeoutError as error:
            raise AssertionError(f"seed {seed}: neither answer nor end") from error
    acknowledged = [
        answer
        for answer in answers
        if answer.kind == wire.P_DATA
        and answer.command[wire.COMMAND] == b"\1\x80"
        and answer.status == 0
    ]
    for answer in acknowledged:
        check_kept(target, answer.command[wire.SOP_INSTANCE], first + rest, seed)
    return len(acknowledged)


def check_kept(target: Target, uid: bytes, stream: bytes, seed: int) -> None:
    """Check that what was acknowledged is in the store as it was sent."""
    name = uid.rstrip(b"\0 ").decode("ascii")
    sent = wire.data_sets(stream)
    files = wait_until(lambda: target.stored(name), 30, f"seed {seed}: {name} is stored")
    assert any(file.endswith(data_set) for file in files for data_set in sent), f"seed {seed}"


@pytest.mark.timeout(LIMIT_S)
def test_a_damaged_conversation_is_answered_or_ended(target):
    began = time.monotonic()
    with ThreadPoolExecutor(PEERS) as peers:
        counts = list(peers.map(lambda seed: converse(target, seed), range(CONVERSATIONS)))
    target.check()
    print(
        f"{len(counts)} damaged conversations in {time.monotonic() - began:.0f} s,"
        f" {sum(counts)} instances acknowledged and kept"
    )
    assert 0 < sum(counts) < len(counts)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 700), min_size=1, max_size=8), values=st.integers(1, 5))
def test_a_data_set_is_the_same_however_it_is_cut_into_fragments(target, cuts, values):
    """Fragments of any size, several in one PDU, make the same instance (PS3.8 9.3.5)."""
    uid = new_uid()
    data_set = ct(uid)
    edges = sorted({0, *(cut for cut in cuts if cut < len(data_set)), len(data_set)})
    pieces = [data_set[a:b] for a, b in itertools.pairwise(edges)]
    parts = [wire.pdv(3, wire.DATA, piece) for piece in pieces[:-1]]
    parts.append(wire.pdv(3, wire.IS_LAST, pieces[-1]))
    pdus = [
        wire.pdu(wire.P_DATA, b"".join(parts[start : start + values]))
        for start in range(0, len(parts), values)
    ]
    with target.association() as peer:
        peer.send(*wire.message(3, wire.store_request(uid)), *pdus)
        assert peer.read().status == 0
    [file] = wait_until(lambda: target.stored(uid))
    assert file.endswith(data_set)


UIDS = st.binary(max_size=300)
NUMBERS = st.integers(0, 0xFFFF)


@given(
    command=st.sampled_from(sorted(KNOWN_COMMANDS)),
    message_id=NUMBERS,
    data_set_type=NUMBERS,
    uids=st.tuples(UIDS, UIDS),
)
def test_a_command_set_is_read_as_it_was_written(command, message_id, data_set_type, uids):
    elements = {
        wire.SOP_CLASS: uids[0],
        wire.COMMAND: wire.number(command),
        wire.MESSAGE_ID: wire.number(message_id),
        wire.DATA_SET_TYPE: wire.number(data_set_type),
        wire.SOP_INSTANCE: uids[1],
    }
    assert read_command_set(wire.command_set(elements)) == CommandSet(
        command, message_id, data_set_type != wire.NO_DATA_SET, *uids
    )


@given(
    request=st.builds(CommandSet, NUMBERS, NUMBERS, st.booleans(), UIDS, UIDS),
    status=NUMBERS,
    comment=st.text(max_size=200),
)
def test_every_answer_can_be_read(request, status, comment):
    answer = dict(wire.read_command(store_response(request, status, comment)))
    assert answer[wire.STATUS] == wire.number(status)
    assert answer[wire.RESPONDED_ID] == wire.number(request.message_id)
    assert answer[wire.SOP_CLASS] == request.sop_class_uid
    assert answer[wire.SOP_INSTANCE] == request.sop_instance_uid
    assert all(len(value) % 2 == 0 for name, value in answer.items() if name == 0x0902)


@given(seed=st.integers(0, 1 << 30))
def test_a_damaged_command_set_is_read_or_refused(seed):
    damaged = mutate(wire.command_set(wire.store_request("1.2.3.4")), seed)
    with contextlib.suppress(BadDataset):
        assert isinstance(read_command_set(damaged), CommandSet)
