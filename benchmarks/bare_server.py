"""The least a Python program can do for an HTTP answer: `python -m benchmarks.bare_server`.

A thread for each connection finds the end of a request and sends bytes it has in memory. It looks
nothing up, knows no rights, and reads no request: what a server in Python cannot go below.
"""

import socket
import sys
import threading
from pathlib import Path

from benchmarks.processes import LOOPBACK


def serve(port: int, body: bytes) -> None:
    """Answer every request with the same body, until the process is ended."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode("ascii")
    with socket.create_server((LOOPBACK, port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_answer, args=(connection, head + body), daemon=True).start()


def _answer(connection: socket.socket, answer: bytes) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        request = b""
        while data := connection.recv(65536):
            request += data
            if request.endswith(b"\r\n\r\n"):
                connection.sendall(answer)
                request = b""


if __name__ == "__main__":
    number, path, size_bytes = sys.argv[1:]
    serve(int(number), Path(path).read_bytes()[-int(size_bytes) :])
