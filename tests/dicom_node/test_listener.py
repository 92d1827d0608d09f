"""The door: whoever says nothing costs no thread, and nobody waits for anybody else."""

import contextlib
import json
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from pynetdicom import AE, build_context

from dicom_node import listener
from dicom_node.clock import Clock, utc_now
from dicom_node.listener import WaitingRoom
from dicom_node.server import DicomServer
from dicom_node.setting_tables import DicomSettings, TlsSettings
from dicom_node.transport import HELLO_TIMEOUT_S

TLS_ECHO_WITHIN_S = 1.0


def hello(calling: bytes = b"CT1", called: bytes = b"LIFEBOAT") -> bytes:
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16))
    return struct.pack(">BBL", 1, 0, len(body)) + body


class Street:
    """Connections made by the test, and the room they wait in."""

    def __init__(self, **limits: int) -> None:
        self.now = 0.0
        self.admitted: list[bytes] = []
        self.turned_away: list[tuple[str, str]] = []
        self.answer = b""
        self.room = WaitingRoom(
            self._admit,
            lambda received, address: self.answer,
            lambda *refusal: self.turned_away.append(refusal),
            monotonic=lambda: self.now,
            **limits,
        )
        self.opened: list[socket.socket] = []

    def _admit(self, accepted, address) -> None:
        self.admitted.append(accepted.hello)
        accepted.connection.close()

    def connect(self, peer: str = "10.0.0.1", sends: bytes = b"") -> socket.socket:
        ours, theirs = socket.socketpair()
        self.opened += [ours, theirs]
        theirs.settimeout(1)
        theirs.sendall(sends)
        self.room.enter(ours, (peer, 4711))
        return theirs

    def look(self) -> None:
        for key, _ in self.room.selector.select(0):
            self.room.look_at(key.data)

    def close(self) -> None:
        self.room.close()
        for connection in self.opened:
            connection.close()


@pytest.fixture
def make_street():
    streets: list[Street] = []

    def make(**limits: int) -> Street:
        streets.append(Street(**limits))
        return streets[-1]

    yield make
    for street in streets:
        street.close()


def is_closed(connection: socket.socket) -> bool:
    with contextlib.suppress(TimeoutError):
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            return True
        return True
    return False


def test_what_has_asked_already_is_admitted_at_once(make_street):
    street = make_street()
    street.connect(sends=hello())
    assert street.admitted == [hello()]
    assert len(street.room) == 0


def test_a_request_may_come_in_pieces(make_street):
    street = make_street()
    peer = street.connect()
    for byte in hello():
        assert street.admitted == []
        peer.sendall(bytes([byte]))
        street.look()
    assert street.admitted == [hello()]


def test_what_follows_the_request_is_left_for_the_association(make_street):
    street = make_street()
    peer = street.connect()
    peer.sendall(hello() + b"more")
    street.look()
    assert street.admitted == [hello()]


def test_who_says_nothing_is_let_go_after_its_time(make_street):
    street = make_street()
    peer, late = street.connect(), None
    street.now = HELLO_TIMEOUT_S - 0.1
    late = street.connect()
    street.room.expire()
    assert len(street.room) == 2
    street.now = HELLO_TIMEOUT_S + 0.1
    street.room.expire()
    assert is_closed(peer)
    assert len(street.room) == 1
    assert not is_closed(late)
    assert street.turned_away == [("10.0.0.1", "silent")]


def test_who_spoke_while_we_were_busy_is_not_called_silent(make_street):
    street = make_street()
    street.connect().sendall(hello())
    street.now = HELLO_TIMEOUT_S + 60
    street.room.expire()
    assert street.admitted == [hello()]
    assert street.turned_away == []


def test_garbage_is_answered_with_an_abort(make_street):
    street = make_street()
    peer = street.connect(sends=b"GET / HTTP/1.1\r\n\r\n")
    assert peer.recv(100)[:1] == b"\x07"
    assert street.turned_away == [("10.0.0.1", "not-dicom")]


def test_whoever_just_looks_whether_the_port_is_open_is_no_refusal(make_street):
    street = make_street()
    street.connect().close()
    street.look()
    assert len(street.room) == 0
    assert street.turned_away == []


def test_the_oldest_of_an_address_goes_for_its_newest(make_street):
    street = make_street(maximum_per_address=3)
    peers = [street.connect() for _ in range(4)]
    other = street.connect("10.0.0.2")
    assert [is_closed(peer) for peer in peers] == [True, False, False, False]
    assert not is_closed(other)
    peers[3].sendall(hello())
    street.look()
    assert len(street.admitted) == 1


def test_when_all_is_full_the_address_with_the_most_makes_room(make_street):
    street = make_street(maximum_per_address=8, maximum=8)
    scanner = street.connect("10.0.0.2")
    crowd = [street.connect("10.0.0.1") for _ in range(7)]
    newcomer = street.connect("10.0.0.3")
    assert is_closed(crowd[0])
    assert not is_closed(scanner)
    assert not is_closed(newcomer)
    assert street.turned_away == [("10.0.0.1", "crowded-out")]


def test_who_is_refused_reads_why_and_costs_little(make_street):
    street = make_street()
    street.answer = b"no"
    peer = street.connect(sends=hello())
    assert peer.recv(100) == b"no"
    assert peer.recv(100) == b""
    assert len(street.room) == 1  # it may still read
    peer.close()
    street.look()
    assert len(street.room) == 0
    street.connect(sends=hello())
    street.now = listener.LEAVE_TIMEOUT_S + 0.1
    street.room.expire()
    assert len(street.room) == 0
    assert street.turned_away == []  # counted by who decided


def test_a_fault_of_ours_costs_one_connection(make_street, caplog):
    street = make_street()
    street.room._decide = None  # not to be called
    peer = street.connect(sends=hello())
    assert is_closed(peer)
    assert len(street.room) == 0
    assert [line.message for line in caplog.records] == ["connection_failed"]


@pytest.fixture
def serve(room):
    servers = []

    def start(tls: TlsSettings | None = None, clock: Clock = utc_now, **limits: int) -> int:
        server = DicomServer(
            DicomSettings(port=0, **limits),
            room.ingest,
            lambda reports: None,
            clock,
            tls=tls or TlsSettings(),
        )
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()


def echo(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["echoscu", "-v", "-to", "10", "-aec", "LIFEBOAT", *options, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_refused_and_silent_peers_cost_no_thread(serve):
    port = serve()
    base = threading.active_count()
    with contextlib.ExitStack() as open_ones:
        for number in range(300):
            peer = open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
            if number % 2:
                peer.sendall(hello(called=b"OTHER"))
        assert echo(port).returncode == 0
        assert threading.active_count() <= base + 2  # the echo's own association


def test_no_address_takes_the_places_of_all_others(serve):
    port = serve(maximum_associations=8)
    associations = [
        AE(ae_title="ONE").associate(
            "127.0.0.1",
            port,
            [build_context("1.2.840.10008.1.1")],
            ae_title="LIFEBOAT",
            bind_address=("127.0.0.2", 0),
        )
        for _ in range(8)
    ]
    assert [one.is_established for one in associations] == [True] * 6 + [False] * 2
    assert echo(port).returncode == 0
    for association in associations[:6]:
        association.release()


@pytest.fixture
def certificate(make_certificate, free_ports):
    return make_certificate(port=free_ports(1)[0])


@pytest.mark.peer
def test_dcmtk_sends_by_tls_beside_the_plain_port(
    serve, certificate, require, storescu, make_series, room
):
    require("echoscu")
    plain = serve(certificate.settings)
    trust = ("+tla", "+cf", certificate.certificate)
    result = echo(certificate.port, *trust)
    assert result.returncode == 0, result.stderr
    assert echo(plain).returncode == 0
    assert storescu(certificate.port, make_series(3), *trust).returncode == 0
    assert len(list(room.store.walk())) == 3
    assert echo(certificate.port).returncode != 0  # plain DICOM on the TLS port


def tls_version(port: int, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with contextlib.suppress(ValueError):
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain) as connection,
        ):
            return connection.version()
    except OSError:
        return None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_is_1_3_where_the_peer_can_and_never_below_1_2(serve, certificate):
    serve(certificate.settings)
    assert tls_version(certificate.port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert tls_version(certificate.port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert tls_version(certificate.port, ssl.TLSVersion.TLSv1_1) is None


@pytest.mark.peer
def test_with_a_ca_only_clients_it_signed_are_let_in(serve, certificate, make_certificate, require):
    require("echoscu")
    client, stranger = make_certificate(), make_certificate()
    tls = certificate.settings
    serve(TlsSettings(tls.certificate, tls.private_key, client.certificate, tls.port))
    trust = ("+cf", certificate.certificate)
    assert echo(tls.port, "+tls", client.private_key, client.certificate, *trust).returncode == 0
    for options in (("+tla",), ("+tls", stranger.private_key, stranger.certificate)):
        assert echo(tls.port, *options, *trust).returncode != 0


@pytest.mark.peer
def test_silent_tls_clients_do_not_delay_a_tls_echo(serve, certificate, require):
    require("echoscu")
    serve(certificate.settings)

    def seconds() -> float:
        began = time.monotonic()
        result = echo(certificate.port, "+tla", "+cf", certificate.certificate)
        assert result.returncode == 0, result.stderr
        return time.monotonic() - began

    alone_s = max(seconds() for _ in range(3))
    with contextlib.ExitStack() as open_ones:
        for _ in range(50):
            open_ones.enter_context(socket.create_connection(("127.0.0.1", certificate.port)))
        took_s = min(seconds() for _ in range(3))
    print(f"\nTLS C-ECHO: {alone_s:.2f} s, beside 50 silent TLS clients {took_s:.2f} s")
    assert took_s <= alone_s + TLS_ECHO_WITHIN_S


@pytest.mark.peer
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_read_leaves_the_plain_port_alone(
    serve, tmp_path, free_ports, require, content
):
    require("echoscu")
    path = tmp_path / "certificate.pem"
    if content:
        path.write_text(content)
    assert echo(serve(TlsSettings(str(path), port=free_ports(1)[0]))).returncode == 0


@pytest.mark.peer
def test_a_tls_port_that_is_taken_leaves_the_plain_port_alone(serve, certificate, require):
    require("echoscu")
    with socket.create_server(("127.0.0.1", certificate.port)):
        assert echo(serve(certificate.settings)).returncode == 0


@pytest.mark.peer
def test_tls_begins_when_the_certificate_comes(
    serve, tmp_path, free_ports, make_certificate, monkeypatch, wait, require
):
    require("echoscu")
    monkeypatch.setattr("dicom_node.server.CERTIFICATE_POLL_S", 0.1)
    folder = tmp_path / "later"
    folder.mkdir()
    (port,) = free_ports(1)
    serve(TlsSettings(str(folder / "certificate.pem"), str(folder / "key.pem"), port=port))
    made = make_certificate(folder=folder)
    wait(lambda: echo(port, "+tla", "+cf", made.certificate).returncode == 0)


@pytest.mark.peer
def test_an_ended_certificate_is_told_and_still_served(serve, certificate, require, caplog):
    # whether it is good enough is the peer's decision; a fallback that stops by itself is none
    require("echoscu")
    serve(certificate.settings, clock=lambda: datetime.now(UTC) + timedelta(days=101))
    assert echo(certificate.port, "+tla", "-ic").returncode == 0
    (line,) = [line for line in caplog.records if line.message == "certificate_runs_out"]
    assert line.count < 0


@pytest.mark.peer
def test_check_and_status_tell_how_long_the_certificate_is_good(make_node, make_certificate):
    tls = make_certificate(days=20).settings
    node = make_node(f"tls.certificate={tls.certificate}", f"tls.private_key={tls.private_key}")
    assert re.search(r"note +TLS port: .* ends in (19|20) days", node.run("check").stdout)
    assert json.loads(node.run("status", "--json").stdout)["certificate"]["days_left"] in (19, 20)
    node.settings[-1] = "--set=tls.private_key=/nowhere"
    assert re.search(r"FAIL +TLS port: .* there is no TLS port", node.run("check").stdout)
