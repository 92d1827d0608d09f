"""Many clients at once, in a process of their own: `python -m benchmarks.load` with a plan."""

import asyncio
import json
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


async def _carry_out(plan: Plan) -> float:
    numbers = iter(range(plan.requests))
    begin = time.perf_counter()
    await asyncio.gather(*(_client(plan, numbers) for _ in range(plan.connections)))
    return time.perf_counter() - begin


async def _client(plan: Plan, numbers: Iterator[int]) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, plan.port)
    for number in numbers:
        path = plan.address.format(f"{plan.center + number / 1000:.3f}", plan.width)
        host, accept = f"Host: {LOOPBACK}:{plan.port}", f"Accept: {plan.media_type}"
        writer.write(f"GET {path} HTTP/1.1\r\n{host}\r\n{accept}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(_length(head))
    writer.close()


def _length(head: bytes) -> int:
    status, *fields = head.decode("latin-1").split("\r\n")
    if " 200 " not in status:
        raise SystemExit(status)
    lengths = [
        field.split(":")[1] for field in fields if field.lower().startswith("content-length")
    ]
    return int(lengths[0])


if __name__ == "__main__":
    sys.stdout.write(str(asyncio.run(_carry_out(Plan(**json.loads(sys.argv[1]))))))
