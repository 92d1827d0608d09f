"""The served process under bad settings, slow clients and malformed requests."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicom_node.errors import BadSettings
from dicom_node.settings import Settings
from web.server import check_free, check_loopback

REPOSITORY = Path(__file__).resolve().parents[2]


def exchange(port: int, request: bytes, timeout_s: float = 10.0) -> bytes:
    """Send raw bytes and read until the server closes; it is asked to close after its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        connection.sendall(request)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return received


def get(port: int, path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *headers]
    return exchange(port, "\r\n".join([*lines, "", ""]).encode())


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org", ""])
def test_other_machines_are_not_served_without_accounts(settings: Settings, host: str) -> None:
    with pytest.raises(BadSettings, match="no user accounts"):
        check_loopback(replace(settings.web, host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1"])
def test_this_machine_is_served(settings: Settings, host: str) -> None:
    check_loopback(replace(settings.web, host=host))


def test_a_taken_port_is_one_clear_line(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadSettings, match=f"web.port {port}.*in use"):
            check_free(replace(settings.web, port=port))
        command = [sys.executable, "-m", "lifeboat", "web", f"--set=web.port={port}"]
        result = subprocess.run(
            [*command, f"--data={settings.node.data}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=REPOSITORY,
        )
    assert result.returncode != 0
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_it_answers_and_stops_on_sigterm(start_web: Callable[..., Any]) -> None:
    web = start_web("web.workers=2")
    assert status(get(web.port, "/healthz")) == 200
    web.process.terminate()
    assert web.process.wait(15) == 0
    with pytest.raises(OSError, match=r".*"):
        socket.create_connection(("127.0.0.1", web.port), 1).close()


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def test_a_dead_worker_is_replaced(start_web: Callable[..., Any], wait: Callable[..., Any]) -> None:
    web = start_web()
    [worker] = children(web.process.pid)
    os.kill(worker, signal.SIGKILL)
    wait(lambda: web.answers() and worker not in children(web.process.pid), 20)


def test_workers_do_not_outlive_their_parent(
    start_web: Callable[..., Any], wait: Callable[..., Any]
) -> None:
    web = start_web()
    [worker] = children(web.process.pid)
    web.process.kill()
    web.process.wait()
    wait(lambda: not Path(f"/proc/{worker}").exists(), 10)


def test_slow_clients_do_not_keep_others_waiting(served_empty: int) -> None:
    head = f"POST /api/v1/studies/search HTTP/1.1\r\nHost: 127.0.0.1:{served_empty}\r\n".encode()
    body = b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", served_empty), 5))
            for _ in range(150)
        ]
        for number, connection in enumerate(slow):
            connection.sendall(head + body + b'{"te' if number % 2 else head)
        start = time.monotonic()
        for connection in slow[1::10]:
            connection.sendall(b"x")
        answer = exchange(
            served_empty,
            head
            + b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        )
        assert status(answer) == 200
        assert status(get(served_empty, "/")) == 200
        assert time.monotonic() - start < 2, "waited for the slow ones"


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ("Content-Length: 4294967296", {400, 413}),
        ("Content-Length: -1", {400}),
        ("Content-Length: 2\r\nContent-Length: 3", {400}),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked", {400}),
        ("Content-Length: abc", {400}),
        ("Transfer-Encoding: nonsense", {400, 501}),
        ("Content-Length: 2\r\nContent-Encoding: gzip", {415}),
    ],
)
def test_malformed_lengths_are_refused(served_empty: int, headers: str, accepted: set[int]) -> None:
    request = (
        f"POST /api/v1/studies/search HTTP/1.1\r\nHost: 127.0.0.1:{served_empty}\r\n"
        f"Content-Type: application/json\r\nConnection: close\r\n{headers}\r\n\r\n{{}}"
    )
    assert status(exchange(served_empty, request.encode())) in accepted
    assert status(get(served_empty, "/healthz")) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/%00",
        "/..%5c..%5cwindows",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/studies/../../x",
        "/dicom-web/studies/1.2/../../..",
        "/" + "a" * 60_000,
    ],
)
def test_no_path_leads_out(served_empty: int, path: str) -> None:
    answer = get(served_empty, path)
    assert status(answer) in (400, 404, 414, 431)
    assert b"root:" not in answer
    assert b"create_app" not in answer


def test_oversized_heads_are_refused(served_empty: int) -> None:
    large = get(served_empty, "/healthz", "X-Large: " + "a" * 1_000_000)
    many = get(served_empty, "/healthz", *(f"X-{n}: 1" for n in range(10_000)))
    endless = get(served_empty, "/" + "a" * 200_000)
    assert {status(large), status(many), status(endless)} <= {0, 400, 414, 431}
    assert status(get(served_empty, "/healthz")) == 200


@pytest.mark.parametrize(
    "request_line",
    [
        "TRACE / HTTP/1.1",
        "PUT /x HTTP/1.1",
        "DELETE /dicom-web/studies/1.2 HTTP/1.1",
        "CONNECT evil.example:80 HTTP/1.1",
    ],
)
def test_other_methods_are_refused(served_empty: int, request_line: str) -> None:
    request = f"{request_line}\r\nHost: 127.0.0.1:{served_empty}\r\nConnection: close\r\n\r\n"
    assert status(exchange(served_empty, request.encode())) in (400, 403, 405)


def test_a_websocket_is_not_opened(served_empty: int) -> None:
    answer = get(
        served_empty,
        "/",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    )
    assert status(answer) != 101


def test_a_thousand_ranges_are_no_work(served_empty: int) -> None:
    ranges = ",".join(f"{n}-{n}" for n in range(1000))
    answer = get(served_empty, "/static/js/viewer.js", f"Range: bytes={ranges}")
    assert status(answer) in (200, 416)


def test_two_requests_in_one_are_not_smuggled(served_empty: int) -> None:
    hidden = "GET /healthz HTTP/1.1\r\nHost: evil\r\n\r\n"
    request = (
        f"POST /api/v1/studies/search HTTP/1.1\r\nHost: 127.0.0.1:{served_empty}\r\n"
        f"Content-Length: {len(hidden) + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
    )
    assert b'"status":"live"' not in exchange(served_empty, request.encode())


def test_the_log_names_no_patient(
    start_web: Callable[..., Any], keeper: Any, make_instance: Callable[..., Any], address: Any
) -> None:
    dataset = make_instance(
        PatientName="CANARY^BIRD", PatientID="CANARY-1", AccessionNumber="CANARY"
    )
    damaged = make_instance(PatientName="CANARY^DEAD")
    damaged.PixelData = b"\0\0"
    keeper.keep(dataset, damaged)
    web = start_web()
    for item in (dataset, damaged):
        for path in ("rendered", "metadata", "frames/1", "thumbnail", "frames/9"):
            get(web.port, f"/dicom-web{address(item)}/{path}")
    get(web.port, "/dicom-web/studies?PatientName=CANARY*")
    get(web.port, "/dicom-web/studies?EyeColour=CANARY")
    search = json.dumps({"text": "CANARY", "limit": "CANARY"})
    exchange(
        web.port,
        f"POST /api/v1/studies/search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(search)}\r\n\r\n{search}".encode(),
    )
    web.stop()
    assert "CANARY" not in web.log.read_text()
    assert dataset.StudyInstanceUID not in web.log.read_text()
