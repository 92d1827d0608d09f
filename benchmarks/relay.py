"""`python -m benchmarks.relay PORT`: a slow line to a port on loopback, which counts what passes.

It works on bytes, so it holds for pages, workers and every viewer alike. All connections share one
rate in each direction. Half of the round trip is added each way, and a whole one to a new
connection (the handshake of TCP). There is no loss and no slow start: real lines are worse, for
everybody.

The first line it prints is the port it listens on. Then every line it reads is a command in JSON,
answered with a line of JSON: `{"mbit_per_s": 10, "round_trip_s": 0.05}` sets the line and clears
the counters (0 is without limit), `{"until": 1700000000.5}` asks for what had passed at that time.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.processes import LOOPBACK

_CHUNK_BYTES: Final = 16384
_UNLIMITED_CHUNK_BYTES: Final = 1 << 18
_REQUEST: Final = re.compile(rb"(?:GET|POST|HEAD|OPTIONS|PUT|DELETE|PATCH) ")
_UP: Final = "up"
_DOWN: Final = "down"


@dataclass(frozen=True, slots=True)
class Passed:
    """What passed the line: bytes to the browser, requests, connections; seconds of silence."""

    bytes: int
    requests: int
    connections: int
    silent_s: float


@dataclass(frozen=True, slots=True)
class _Event:
    at: float
    bytes: int = 0
    requests: int = 0
    connections: int = 0


class Line:
    """A line to one port, with a rate and a round-trip time.

    Parameters
    ----------
    port : int
        On loopback, where everything goes.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.set(0.0, 0.0)

    def set(self, mbit_per_s: float, round_trip_s: float) -> None:
        """Make the line this fast, and forget what passed; 0 is without limit."""
        self._bytes_per_s = mbit_per_s * 1e6 / 8
        self._round_trip_s = round_trip_s
        self._free_at = {_UP: 0.0, _DOWN: 0.0}
        self._events: list[_Event] = []

    def passed(self, until: float) -> Passed:
        """Return what had passed at a time, seconds since the epoch."""
        events = [event for event in self._events if event.at <= until]
        last = max((event.at for event in events if event.bytes), default=0.0)
        return Passed(
            sum(event.bytes for event in events),
            sum(event.requests for event in events),
            sum(event.connections for event in events),
            time.time() - last if last else 0.0,
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        self._events.append(_Event(time.time(), connections=1))
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._port)
        except OSError:
            writer.close()
            return
        ready_at = _now() + self._round_trip_s
        ways = [
            asyncio.ensure_future(self._carry(reader, far_writer, _UP, ready_at)),
            asyncio.ensure_future(self._carry(far_reader, writer, _DOWN, ready_at)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way, end in zip(ways, (far_writer, writer), strict=True):
            way.cancel()
            end.close()

    async def _carry(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        way: str,
        ready_at: float,
    ) -> None:
        """Carry one direction; a queue holds what is on its way."""
        queue: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
        delivery = asyncio.ensure_future(_deliver(queue, target))
        try:
            while data := await source.read(self._chunk_bytes()):
                self._count(way, data)
                now = _now()
                sent_at = self._sent_at(way, len(data), now)
                arrives_at = max(sent_at, ready_at if way == _UP else 0.0) + self._round_trip_s / 2
                queue.put_nowait((arrives_at, data))
                await asyncio.sleep(sent_at - now)  # until then the line is busy
            queue.put_nowait(None)
            await delivery
        except OSError:
            pass  # either end went away: so does the other
        finally:
            delivery.cancel()

    def _chunk_bytes(self) -> int:
        return _CHUNK_BYTES if self._bytes_per_s else _UNLIMITED_CHUNK_BYTES

    def _sent_at(self, way: str, length: int, now: float) -> float:
        taken_s = length / self._bytes_per_s if self._bytes_per_s else 0.0
        self._free_at[way] = max(self._free_at[way], now) + taken_s
        return self._free_at[way]

    def _count(self, way: str, data: bytes) -> None:
        if way == _DOWN:
            self._events.append(_Event(time.time(), bytes=len(data)))
        elif _REQUEST.match(data):
            self._events.append(_Event(time.time(), requests=1))


async def _deliver(
    queue: asyncio.Queue[tuple[float, bytes] | None], target: asyncio.StreamWriter
) -> None:
    while (item := await queue.get()) is not None:
        arrives_at, data = item
        if (wait_s := arrives_at - _now()) > 0:
            await asyncio.sleep(wait_s)
        target.write(data)
        await target.drain()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _answer(line: Line, command: dict[str, Any]) -> dict[str, Any]:
    if "until" in command:
        return asdict(line.passed(float(command["until"])))
    line.set(float(command["mbit_per_s"]), float(command["round_trip_s"]))
    return {}


async def run(port: int) -> None:
    """Relay to a port on loopback until standard input ends."""
    line = Line(port)
    server = await asyncio.start_server(line.serve, LOOPBACK, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while text := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(_answer(line, json.loads(text))), flush=True)


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1])))
