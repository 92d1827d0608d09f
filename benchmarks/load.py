"""Many clients at once, in a process of their own: `python -m benchmarks.load` with a plan."""

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.peers import REPOSITORY
from benchmarks.processes import LOOPBACK, BenchmarkError

CONNECTIONS: Final = 16
_TIMEOUT_S: Final = 300
_BUFFER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What the clients ask for.

    `address` has places for center and width; each request has a center of its own, from `center`
    upwards in steps so small that the picture stays the same.
    """

    port: int
    address: str
    media_type: str
    center: float
    width: float
    requests: int
    connections: int = CONNECTIONS


def answers_per_second(plan: Plan) -> float:
    """Carry a plan out in another process.

    Raises
    ------
    BenchmarkError
        Not every answer came, or not in time.
    """
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(asdict(plan))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=REPOSITORY, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError("the clients were not answered in time") from error
    if done.returncode:
        raise BenchmarkError(f"the clients failed: {done.stderr.strip().splitlines()[-1:]}")
    return plan.requests / float(done.stdout)


def _carry_out(plan: Plan) -> float:
    """Ask over all connections at once; one loop, as cheap as it can be: it shares the machine."""
    numbers = iter(range(plan.requests))
    buffer = bytearray(_BUFFER_BYTES)
    begin = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for _ in range(plan.connections):
            client = _Client(plan, numbers)
            if client.ask():
                selector.register(client.connection, selectors.EVENT_READ, client)
        while selector.get_map():
            for key, _ in selector.select():
                if not key.data.read(buffer):
                    selector.unregister(key.fileobj)
                    key.data.connection.close()
    return time.perf_counter() - begin


class _Client:
    """One connection, which asks for the next picture when it has the last."""

    def __init__(self, plan: Plan, numbers: Iterator[int]) -> None:
        self._plan = plan
        self._numbers = numbers
        self._head = b""
        self._left = 0
        self.connection = socket.create_connection((LOOPBACK, plan.port))

    def read(self, buffer: bytearray) -> bool:
        """Take what has come; return whether more is to come."""
        size = self.connection.recv_into(buffer)
        if not size:
            raise SystemExit("the connection was closed")
        if self._left:
            self._left -= size
        else:
            self._head += buffer[:size]
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return True
            self._left, self._head = _length(head) - len(body), b""
        return self._left > 0 or self.ask()

    def ask(self) -> bool:
        """Ask for the next picture; return whether there is one."""
        number = next(self._numbers, None)
        if number is None:
            return False
        plan = self._plan
        path = plan.address.format(f"{plan.center + number / 1000:.3f}", plan.width)
        host, accept = f"Host: {LOOPBACK}:{plan.port}", f"Accept: {plan.media_type}"
        self.connection.sendall(f"GET {path} HTTP/1.1\r\n{host}\r\n{accept}\r\n\r\n".encode())
        return True


def _length(head: bytes) -> int:
    status, *fields = head.decode("latin-1").split("\r\n")
    if " 200 " not in status:
        raise SystemExit(status)
    lengths = [
        field.split(":")[1] for field in fields if field.lower().startswith("content-length")
    ]
    return int(lengths[0])


if __name__ == "__main__":
    sys.stdout.write(str(_carry_out(Plan(**json.loads(sys.argv[1])))))
