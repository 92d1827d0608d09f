"""The slow line of the race is as slow as it says, and counts what passes."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.race import LineSpeed, SlowLine, slow_line

BODY = b"x" * 250_000
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@pytest.fixture
def server_port() -> Iterator[int]:
    """A server that answers every connection's first bytes with BODY."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(BODY)

    thread = threading.Thread(target=serve)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def fetch(line: SlowLine) -> float:
    """Return how long one request takes, seconds."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", line.port)) as connection:
        connection.sendall(REQUEST)
        received = 0
        while data := connection.recv(1 << 16):
            received += len(data)
    assert received == len(BODY)
    return time.monotonic() - begin


def test_a_line_takes_the_time_of_its_rate_and_round_trips(server_port: int) -> None:
    with slow_line(server_port) as line:
        line.set(LineSpeed("slow", 10, 0.1, 0))
        taken_s = fetch(line)
        passed = line.passed(time.time())
    # 0.2 s for 2 Mbit, one round trip for the connection and one for the answer
    assert taken_s >= 0.4
    assert (passed.bytes, passed.requests, passed.connections) == (len(BODY), 1, 1)


def test_a_line_that_is_set_anew_forgets_what_passed(server_port: int) -> None:
    with slow_line(server_port) as line:
        fetch(line)
        line.set(LineSpeed("LAN", 0, 0, 0))
        assert line.passed(time.time()).bytes == 0
        fetch(line)
        assert line.passed(time.time()).bytes == len(BODY)
