"""Bad input at the level of PDUs: each costs its sender an association, and nobody else a thing."""

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from dicom_node.transport import PDU_TIMEOUT_S
from tests.faults import wire
from tests.faults.abuse_datasets import ct, new_uid
from tests.faults.abuse_target import Target, running_target
from tests.faults.wire import pdu, pdv

HELLO_S, PDU_S, IDLE_S, SLACK_S = 5.0, PDU_TIMEOUT_S, 6.0, 2.0
DRIPPED_HEAD_S = 5.0
"""Six bytes at one a second, the first at once."""
MAXIMUM_PDU_BYTES = 131072
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(194)
HTTP_REQUEST = b"GET / HTTP/1.1\r\nHost: node\r\n\r\n"
STORE_COMMAND = wire.command_set(wire.store_request("1.2.3"))
ECHO_COMMAND = wire.command_set(wire.request(wire.C_ECHO_RQ, wire.VERIFICATION))


@pytest.fixture(scope="module")
def target(tmp_path_factory, free_ports) -> Iterator[Target]:
    with running_target(tmp_path_factory.mktemp("pdu"), free_ports(2)) as target:
        yield target


@pytest.fixture(autouse=True)
def _nothing_else_suffers(target) -> Iterator[None]:
    yield
    target.check()


def accept_pdu() -> bytes:
    return b"\x02" + wire.associate_rq()[1:]


def ids(rows: list) -> list[str]:
    return [row[0] for row in rows]


FIRST_PDUS = [
    ("row03-claims-4-GiB", pdu(wire.ASSOCIATE_RQ, length=0xFFFFFFFF)),
    ("row05-associate-of-length-0", pdu(wire.ASSOCIATE_RQ)),
    ("row07-unknown-type", pdu(0x77, bytes(10))),
    ("row08-http", HTTP_REQUEST),
    ("row09-tls-hello", TLS_HELLO),
    ("row12-associate-accept", accept_pdu()),
    ("row13-data", pdu(wire.P_DATA, pdv(1, 3, ECHO_COMMAND))),
    ("row13-release", pdu(wire.RELEASE_RQ, bytes(4))),
    ("row18-version-0", wire.associate_rq(version=0)),
    ("row18-wrong-application-context", wire.associate_rq(application_context="1.2.3")),
    (
        "row19-256-contexts",
        wire.associate_rq([(number % 256, wire.CT, [wire.EXPLICIT]) for number in range(256)]),
    ),
    ("row19-duplicate-ids", wire.associate_rq([wire.ECHO_CONTEXT, (1, wire.CT, [wire.EXPLICIT])])),
    ("row19-even-id", wire.associate_rq([(2, wire.CT, [wire.EXPLICIT])])),
    (
        "row19-nested-items",
        wire.associate_rq(
            user_items=wire.item(0x54, struct.pack(">H", 60000) + wire.item(0x51, bytes(60000)))
        ),
    ),
]


@pytest.mark.parametrize("row", FIRST_PDUS, ids=ids(FIRST_PDUS))
def test_a_bad_first_pdu_ends_the_connection(target, row):
    target.peak_bytes(forget=True)
    before = target.peak_bytes()
    with target.peer(HELLO_S + SLACK_S) as peer:
        answers = peer.send(row[1]).read_to_end()
    assert all(answer.kind in (wire.ABORT, wire.ASSOCIATE_RJ) for answer in answers), answers
    assert target.peak_bytes() - before < 20e6


def test_row03_the_claim_of_4_gib_is_not_waited_for(target):
    with target.peer() as peer:
        peer.send(pdu(wire.ASSOCIATE_RQ, length=0xFFFFFFFF))
        assert peer.seconds_to_end() < 1


def test_row19_a_thousand_transfer_syntaxes_are_answered(target):
    """Many, but within what a peer may say: there is nothing to abort."""
    syntaxes = [f"1.2.3.{number}" for number in range(1000)]
    with target.association((1, wire.CT, [*syntaxes, wire.EXPLICIT])) as peer:
        assert peer.release()


DATA = b"x" * 10
LATER_PDUS = [
    ("row04-beyond-our-maximum", pdu(wire.P_DATA, bytes(64), MAXIMUM_PDU_BYTES + 1)),
    ("row07-unknown-type", pdu(0x77, bytes(10))),
    ("row08-http", HTTP_REQUEST),
    ("row11-second-associate", wire.associate_rq()),
    ("row12-associate-accept", accept_pdu()),
    ("row14-eleven-empty", pdu(wire.P_DATA) * 11),
    ("row15-value-of-length-0", pdu(wire.P_DATA, pdv(1, 3, b"", 0))),
    ("row15-value-of-length-1", pdu(wire.P_DATA, pdv(1, 3, b"", 1))),
    ("row16-value-beyond-its-pdu", pdu(wire.P_DATA, pdv(1, 3, DATA, 5000))),
    ("row16-value-of-4-GiB", pdu(wire.P_DATA, pdv(1, 3, DATA, 0xFFFFFFFF))),
    (
        "row17-unknown-context-of-a-store",
        pdu(wire.P_DATA, pdv(99, 3, STORE_COMMAND) + pdv(99, 2, DATA)),
    ),
    ("row17-unknown-context-of-an-echo", pdu(wire.P_DATA, pdv(99, 3, ECHO_COMMAND))),
    ("row17-even-context", pdu(wire.P_DATA, pdv(2, 3, ECHO_COMMAND))),
]


@pytest.mark.parametrize("row", LATER_PDUS, ids=ids(LATER_PDUS))
def test_a_bad_pdu_ends_the_association(target, row):
    with target.association() as peer:
        peer.timeout_s = HELLO_S
        peer.socket.settimeout(HELLO_S)
        answers = peer.send(row[1]).read_to_end()
    assert all(answer.kind == wire.ABORT for answer in answers), answers


def test_row14_ten_empty_pdus_are_ignored(target):
    with target.association() as peer:
        peer.send(pdu(wire.P_DATA) * 10)
        assert peer.is_answered()
        assert peer.release()


CALLING = [
    ("row20-blank", b""),
    ("row20-control-characters", b"A\x00B\x1b[2J\n"),
    ("row20-ff", b"\xff" * 16),
]


@pytest.mark.parametrize("row", CALLING, ids=ids(CALLING))
def test_a_calling_ae_title_that_is_none_is_rejected(target, row):
    with target.peer() as peer:
        answer = peer.associate(calling=row[1])
    assert answer.is_rejection
    assert answer.rejection == (1, 1, 3)


CALLED = [("row21-other", b"OTHER"), ("row21-blank", b""), ("row21-lower-case", b"lifeboat")]


@pytest.mark.parametrize("row", CALLED, ids=ids(CALLED))
def test_a_wrong_called_ae_title_is_rejected(target, row):
    with target.peer() as peer:
        answer = peer.associate(called=row[1])
    assert answer.is_rejection
    assert answer.rejection == (1, 1, 7)


@pytest.mark.parametrize(
    "length", [0, 1, 6, 7, 0xFFFFFFFF], ids=lambda length: f"row22-maximum-length-{length}"
)
def test_an_odd_maximum_length_of_the_peer_is_lived_with(target, length):
    uid = new_uid()
    with target.peer() as peer:
        answer = peer.associate(maximum_length=length)
        if not answer.is_end:
            assert answer.kind == wire.ASSOCIATE_AC
            answer = peer.store(wire.store_request(uid), ct(uid))
            assert answer.is_end or answer.status == 0
            answer = peer.send(wire.ECHO).read()
            assert answer.is_end or answer.status == 0


def test_row23_what_follows_a_release_is_not_read(target):
    with target.association() as peer:
        assert peer.release()
        uid = new_uid()
        peer.send(wire.ECHO, *wire.message(3, wire.store_request(uid), ct(uid)))
        assert all(answer.kind == wire.ABORT for answer in peer.read_to_end())
    assert target.stored(uid) == []


LARGE = 70_000_000
"""Beyond what is kept in memory while it arrives."""
ENDS: list[tuple[str, int, Callable[[wire.Peer], None]]] = [
    ("row24-reset-within-a-pdu", 1_000_000, wire.Peer.reset),
    ("row24-close-within-an-object", 1_000_000, lambda peer: peer.socket.close()),
    ("row24-reset-within-a-large-object", LARGE, wire.Peer.reset),
    ("row24-close-within-a-large-object", LARGE, lambda peer: peer.socket.close()),
]


@pytest.mark.parametrize("row", ENDS, ids=ids(ENDS))
def test_a_cut_connection_leaves_no_file(target, row):
    _, size, end = row
    uid = new_uid()
    with target.association() as peer:
        parts = list(wire.message(3, wire.store_request(uid), ct(uid) + bytes(size)))
        peer.send(*parts[:-1], parts[-1][: len(parts[-1]) // 2])
        end(peer)
    target.check()
    assert target.stored(uid) == []


class Stall:
    """A peer that goes quiet in some way, and how long the node puts up with it.

    Parameters
    ----------
    peer : Peer
    drip : bytes
        What is still sent, one byte a second.
    """

    def __init__(self, peer: wire.Peer, drip: bytes = b"") -> None:
        self.seconds = float("inf")
        self._peer = peer
        self._began = time.monotonic()
        self._drip = drip
        self._threads = [threading.Thread(target=work) for work in (self._wait, self._send)]
        for thread in self._threads:
            thread.start()

    def join(self) -> "Stall":
        for thread in self._threads:
            thread.join()
        self._peer.socket.close()
        return self

    def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            self._peer.read_to_end()
            self.seconds = time.monotonic() - self._began

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            for byte in self._drip:
                self._peer.socket.sendall(bytes([byte]))
                if self._peer.socket.fileno() < 0 or self.seconds < float("inf"):
                    return
                time.sleep(1)  # the drip itself


HEAD = pdu(wire.ASSOCIATE_RQ, length=200)
BEFORE = [
    ("row01-silence", b"", b"", HELLO_S),
    ("row02-one-byte", b"\x01", b"", HELLO_S),
    ("row02-half-a-header", HEAD[:3], b"", HELLO_S),
    ("row02-half-a-pdu", HEAD + bytes(20), b"", HELLO_S),
    ("row06-dripped-header", b"", HEAD + bytes(40), HELLO_S),
]
WITHIN = [
    ("row06-dripped-data", b"", pdu(wire.P_DATA, bytes(40)), DRIPPED_HEAD_S),
    ("row06-half-a-header", pdu(wire.P_DATA, length=100)[:3], b"", PDU_S),
    ("row24-half-a-pdu", pdu(wire.P_DATA, pdv(3, 3, STORE_COMMAND), 50000), b"", PDU_S),
    ("row25-idle", b"", b"", IDLE_S),
    ("row25-idle-after-an-echo", wire.ECHO, b"", IDLE_S),
    (
        "row25-idle-within-an-object",
        wire.p_data(3, 3, STORE_COMMAND) + wire.p_data(3, 0, DATA),
        b"",
        IDLE_S,
    ),
]


@pytest.fixture(scope="module")
def stalls(target) -> dict[str, Stall]:
    """Open all stalling connections at once and wait for the end of each."""
    stalls = {}
    for name, first, drip, _ in BEFORE:
        stalls[name] = Stall(wire.Peer(target.port, 20).send(first), drip)
    for name, first, drip, _ in WITHIN:
        peer = wire.Peer(target.port, 20)
        assert peer.associate().kind == wire.ASSOCIATE_AC
        stalls[name] = Stall(peer.send(first), drip)
    return {name: stall.join() for name, stall in stalls.items()}


@pytest.mark.parametrize(
    ("name", "limit_s"), [pytest.param(row[0], row[3], id=row[0]) for row in [*BEFORE, *WITHIN]]
)
def test_a_stalling_peer_is_let_go_when_its_time_is_over(stalls, name, limit_s):
    print(f"{name}: ended after {stalls[name].seconds:.1f} s")
    assert limit_s - 0.5 < stalls[name].seconds < limit_s + SLACK_S
