"""C-STORE by one sender into each receiver in turn."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.data import (
    CT,
    DX,
    MR,
    InstanceFile,
    Kind,
    UidFactory,
    give_new_identity,
    make_series,
)
from benchmarks.figures import middle
from benchmarks.processes import LOOPBACK, BenchmarkError, free_ports, require_program, wait_until
from benchmarks.receivers import RECEIVERS, Receiver, Started

SENDER: Final = "dcmsend"
MEMORY: Final = "/dev/shm"
DISK: Final = "disk: write, sync file + folder"
_SEND_TIMEOUT_S: Final = 180
_HELD_TIMEOUT_S: Final = 20
_WARM_UP: Final = 2
_PROBE_WRITES: Final = 60

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent, and how.

    `is_prompt` sets TCP_NODELAY=1 for the sender and for receivers built on DCMTK. Without it
    DCMTK leaves Nagle's algorithm on, as most scanners do. `in_memory` lets the receivers write to
    a tmpfs, where a sync costs nothing: what is left is the protocol.
    """

    kind: Kind
    count: int
    associations: int = 1
    is_prompt: bool = True
    in_memory: bool = False

    @property
    def title(self) -> str:
        """What is sent, in words."""
        kind = self.kind
        megabytes = kind.rows * kind.columns * 2 / 1e6
        lines = "1 association" if self.associations == 1 else f"{self.associations} associations"
        untuned = "" if self.is_prompt else ", sender and peers with Nagle's algorithm on"
        size = f"{kind.rows}x{kind.columns}, {megabytes:.2g} MB"
        instances = "1 instance" if self.count == 1 else f"{self.count} instances"
        place = ", to memory (tmpfs): the protocol alone" if self.in_memory else ""
        return f"{kind.name} {size}: {instances}, {lines}{untuned}{place}"


CASES: Final = (
    Case(CT, 200),
    Case(CT, 200, associations=4),
    Case(CT, 100, is_prompt=False),
    Case(MR, 200),
    Case(DX, 6),
    Case(CT, 200, in_memory=True),
    Case(CT, 200, associations=4, in_memory=True),
)
QUICK_CASES: Final = (Case(CT, 20), Case(CT, 20, associations=4), Case(DX, 1))


@dataclass(slots=True)
class Row:
    """What one receiver did: instances per second in each round, None where it failed."""

    name: str
    durable: str
    rates: list[float | None] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The rows of one case; `sender_start_s` is what the sender needs to read its files."""

    title: str
    instance_bytes: int
    sender_start_s: float
    rows: list[Row]


class IngestBenchmark:
    """Sends the same series, with new identities each time, to every receiver in turn.

    Parameters
    ----------
    folder : Path
        On the disk to be measured; everything is written below it.
    uids : UidFactory
    rng : numpy.random.Generator
        Makes the noise of the instances.
    """

    def __init__(self, folder: Path, uids: UidFactory, rng: np.random.Generator) -> None:
        self._sender = require_program(SENDER)
        self._folder = folder
        self._uids = uids
        self._rng = rng
        self._series: dict[str, list[InstanceFile]] = {}
        self._probes = 0

    def measure(self, cases: Sequence[Case], rounds: int, progress: Progress) -> list[CaseResult]:
        """Measure every case.

        Parameters
        ----------
        cases : sequence of Case
        rounds : int
            How often each receiver has its turn in each case.
        progress : callable
            Called with the turns done and to do.
        """
        self._make_series(cases)
        total = len(cases) * rounds
        results = []
        for number, case in enumerate(cases):

            def tell(done: int, before: int = number * rounds) -> None:
                progress(before + done, total)

            results.append(self._measure_case(number, case, rounds, tell))
        return results

    def _make_series(self, cases: Sequence[Case]) -> None:
        for kind in {case.kind for case in cases}:
            count = max(case.count for case in cases if case.kind == kind)
            folder = self._folder / "sent"
            self._series[kind.name] = make_series(kind, folder, count, self._uids, self._rng)

    def _measure_case(
        self, number: int, case: Case, rounds: int, tell: Callable[[int], None]
    ) -> CaseResult:
        files = self._series[case.kind.name][: case.count]
        rows = {name: Row(name, durable) for name, durable in _row_names(case)}
        environment = _environment(case)
        with contextlib.ExitStack() as stack:
            folder = self._folder_for(case, stack) / f"case{number}"
            turns = list(_start_all(stack, folder, environment, rows, self._sender))
            for row, sending in turns:
                self._warm_up(row, sending, files, case)
            for done in range(rounds):
                if DISK in rows:
                    rows[DISK].rates.append(self._probe_disk(files[0].size_bytes, case.count))
                # nobody always comes after the same one
                first = done % max(1, len(turns))
                for row, sending in turns[first:] + turns[:first]:
                    _take_turn(row, sending, files, case, self._uids)
                tell(done + 1)
            sender_start_s = _sender_start_s(self._sender, files, case, environment)
        return CaseResult(case.title, files[0].size_bytes, sender_start_s, list(rows.values()))

    def _folder_for(self, case: Case, stack: contextlib.ExitStack) -> Path:
        if not case.in_memory:
            return self._folder
        return Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))

    def _warm_up(
        self, row: Row, sending: "Sending", files: Sequence[InstanceFile], case: Case
    ) -> None:
        with _noting_failure(row):
            sending.send(files[: max(_WARM_UP, case.associations)], case, self._uids)

    def _probe_disk(self, size_bytes: int, count: int) -> float:
        """Write files as one writer does that keeps them; return files per second.

        The probe is what any node pays at least that is durable before it answers.
        """
        self._probes += 1
        folder = self._folder / f"probe{self._probes}"
        folder.mkdir()
        content, count = self._rng.bytes(size_bytes), min(count, _PROBE_WRITES)
        os.sync()
        begin = time.perf_counter()
        for number in range(count):
            _write_durably(folder / str(number), content)
        return count / (time.perf_counter() - begin)


class Sending:
    """Sends to one receiver and checks that it holds what it acknowledged.

    Parameters
    ----------
    sender : str
        Path of dcmsend.
    receiver : Receiver
    started : Started
    environment : mapping
        The sender's.
    """

    def __init__(
        self, sender: str, receiver: Receiver, started: Started, environment: Mapping[str, str]
    ) -> None:
        self._command = [sender, "-dn", "-aec", receiver.ae_title, LOOPBACK, str(started.port)]
        self._held = started.held
        self._environment = environment
        self._sent = 0

    def send(self, files: Sequence[InstanceFile], case: Case, uids: UidFactory) -> float:
        """Send instances that nobody has seen; return the seconds it took.

        Raises
        ------
        BenchmarkError
            The sender failed, or the receiver does not hold everything.
        """
        give_new_identity(files, uids)
        os.sync()  # what others left unwritten is not on this one's account
        seconds = dcmsend(self._command, files, case.associations, self._environment)
        self._sent += len(files)
        self._check_held()
        return seconds

    def _check_held(self) -> None:
        with contextlib.suppress(BenchmarkError):
            wait_until(lambda: self._held() >= self._sent, "everything is held", _HELD_TIMEOUT_S)
        held, sent = self._held(), self._sent
        if held != sent:
            self._sent = held
            raise BenchmarkError(f"holds {held} of {sent} acknowledged instances")


def _start_all(
    stack: contextlib.ExitStack,
    folder: Path,
    environment: Mapping[str, str],
    rows: Mapping[str, Row],
    sender: str,
) -> Iterator[tuple[Row, "Sending"]]:
    for number, receiver in enumerate(RECEIVERS):
        own = folder / str(number)
        own.mkdir(parents=True)
        try:
            started = stack.enter_context(receiver.start(own, environment))
        except BenchmarkError as error:
            rows[receiver.name].failure = str(error)
        else:
            yield rows[receiver.name], Sending(sender, receiver, started, environment)


def _row_names(case: Case) -> Iterator[tuple[str, str]]:
    if not case.in_memory:
        yield DISK, "what durability costs at least"
    for receiver in RECEIVERS:
        yield receiver.name, receiver.durable


def _environment(case: Case) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    return environment | ({"TCP_NODELAY": "1"} if case.is_prompt else {})


def _take_turn(
    row: Row, sending: Sending, files: Sequence[InstanceFile], case: Case, uids: UidFactory
) -> None:
    rate = None
    with _noting_failure(row):
        rate = len(files) / sending.send(files, case, uids)
    row.rates.append(rate)


@contextlib.contextmanager
def _noting_failure(row: Row) -> Iterator[None]:
    try:
        yield
    except BenchmarkError as error:
        row.failure = str(error)


def dcmsend(
    command: Sequence[str],
    files: Sequence[InstanceFile],
    associations: int,
    environment: Mapping[str, str],
) -> float:
    """Send files with dcmsend, over several associations by several of it; return the seconds."""
    groups = [files[first::associations] for first in range(associations)]
    senders: list[subprocess.Popen[bytes]] = []
    begin = time.perf_counter()
    try:
        for group in groups:
            arguments = [*command, *(str(file.path) for file in group)]
            senders.append(
                subprocess.Popen(
                    arguments,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                )
            )
        codes = [sender.wait(_SEND_TIMEOUT_S) for sender in senders]
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"the sender did not end within {_SEND_TIMEOUT_S} s") from error
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
    seconds = time.perf_counter() - begin
    if any(codes):
        raise BenchmarkError(f"the sender ended with {max(codes)}")
    return seconds


def _sender_start_s(
    sender: str, files: Sequence[InstanceFile], case: Case, environment: Mapping[str, str]
) -> float:
    """Time a sender that finds nobody: it starts, reads its files, and fails to connect."""
    (port,) = free_ports(1)
    command = [sender, "-dn", LOOPBACK, str(port)]
    times: list[float | None] = []
    for _ in range(3):
        begin = time.perf_counter()
        with contextlib.suppress(BenchmarkError):
            dcmsend(command, files, case.associations, environment)
        times.append(time.perf_counter() - begin)
    return middle(times)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(content)
        os.fdatasync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
