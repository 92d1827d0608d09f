"""Draining: what is stored and owed to a PACS, sent to it by Lifeboat and by DCMTK dcmsend."""

import contextlib
import hashlib
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import numpy as np
from isal import isal_zlib

from benchmarks.data import CT, InstanceFile, UidFactory, give_new_identity, make_series
from benchmarks.ingest import SENDER, Progress, dcmsend
from benchmarks.processes import LOOPBACK, BenchmarkError, require_program, wait_until
from benchmarks.receivers import ORTHANC, STORESCP, Receiver, Started
from dicom_node.courier import Courier
from dicom_node.errors import NodeError
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader, InstanceRecord
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import LedgerReader
from dicom_node.ledger_writer import Ledger
from dicom_node.mode_keeper import ModeKeeper
from dicom_node.mode_order import ModeOrders
from dicom_node.pacs import CommitmentAnswer
from dicom_node.part10 import build_head, read_head, seal
from dicom_node.process import keep_what_stands
from dicom_node.setting_tables import PacsSettings
from dicom_node.settings import load_settings
from dicom_node.shipment import Outcome, Receipt, Shipment
from dicom_node.sync import Destination
from dicom_node.trial import new_trial

COUNT: Final = 1000
QUICK_COUNT: Final = 30
WARM_UP: Final = 2
"""Instances that go before the clock runs: a node that delivers has delivered before."""
MOST_ROUNDS: Final = 3
"""A round takes a minute and more: there are no more, however many the others have."""
DELIVERY: Final = "Lifeboat, whole delivery"
ONE: Final = "Lifeboat, 1 association"
SEVERAL: Final = "Lifeboat, 2 associations"
UNCHECKED: Final = "Lifeboat, 2 a., not checked"
DCMSEND: Final = "DCMTK dcmsend"
NOTES: Final = {
    DELIVERY: "asked what it has, every outcome in the ledger, synced; up to 2 associations",
    ONE: "sent by the child process, each file checked",
    SEVERAL: "the same, grown from 1",
    UNCHECKED: "never so in a node: what the check costs",
    DCMSEND: "1 association; its start counts",
}
BARS: Final = {ORTHANC.name: 1.0, STORESCP.name: 1.2}
"""What the whole delivery is to reach, times dcmsend."""
_RECEIVED_AT: Final = "2026-01-15T10:11:12.130+00:00"
_HELD_TIMEOUT_S: Final = 60
_LONGEST_S: Final = 600


@dataclass(slots=True)
class DrainRow:
    """What one way to send did in each round, None where it failed.

    `rates` are instances per second, `processor_ms` the processor time of the sending side for
    each instance: on a machine with other work to do that is the fairer figure.
    """

    name: str
    note: str
    rates: list[float | None] = field(default_factory=list)
    processor_ms: list[float | None] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a drain took: seconds by the clock, and of the processor on the sending side."""

    seconds: float
    processor_s: float


@dataclass(frozen=True, slots=True)
class DrainResult:
    """The rows of one receiver; `bar` is what the whole delivery is to reach, times dcmsend."""

    title: str
    bar: float
    rows: list[DrainRow]


class DrainBenchmark:
    """Sends the same stored instances, with new identities each time, in several ways in turn.

    Parameters
    ----------
    folder : Path
        On the disk to be measured.
    uids : UidFactory
    rng : numpy.random.Generator
    count : int
        Instances of one drain.
    """

    def __init__(
        self, folder: Path, uids: UidFactory, rng: np.random.Generator, count: int
    ) -> None:
        self._dcmsend = require_program(SENDER)
        self._folder = folder / "drain"
        self._uids = uids
        self._data = self._folder / "data"
        files = make_series(CT, self._data / "sent", WARM_UP + count, uids, rng)
        self._files = [_as_stored(file) for file in files]
        self._count = count
        self._environment = os.environ | {"TCP_NODELAY": "1"}

    def measure(
        self,
        rounds: int,
        progress: Progress,
        receivers: Sequence[Receiver] = (ORTHANC, STORESCP),
    ) -> list[DrainResult]:
        """Measure every way into every receiver; `progress` is told turns done and to do."""
        results = [self._new_result(receiver) for receiver in receivers]
        for done in range(rounds):
            for number, receiver in enumerate(receivers):
                self._measure_round(done, receiver, results[number].rows)
                progress(done * len(receivers) + number + 1, rounds * len(receivers))
        shutil.rmtree(self._folder)
        return results

    def _new_result(self, receiver: Receiver) -> DrainResult:
        title = f"CT 512x512, 0.53 MB: {self._count} instances into {receiver.name}"
        rows = [DrainRow(name, note) for name, note in NOTES.items()]
        return DrainResult(title, BARS[receiver.name], rows)

    def _measure_round(self, done: int, receiver: Receiver, rows: Sequence[DrainRow]) -> None:
        """Give each way its turn with one receiver; nobody always comes after the same one."""
        # kept to the end: ext4 searches long for a place among files that were deleted just before
        folder = Path(mkdtemp(dir=self._folder))
        try:
            with receiver.start(folder, self._environment) as started:
                turn = _Turn(started)
                ways = self._ways(receiver, started.port)
                first = done % len(rows)
                for row in [*rows[first:], *rows[:first]]:
                    self._take_turn(row, turn, ways[row.name])
        except BenchmarkError as error:
            for row in rows:
                row.failure = str(error)

    def _ways(self, receiver: Receiver, port: int) -> Mapping[str, Callable[[], Spent]]:
        def pacs(associations: int) -> PacsSettings:
            return PacsSettings(
                "pacs", receiver.ae_title, LOOPBACK, port, associations=associations
            )

        command = [self._dcmsend, "-dn", "-aec", receiver.ae_title, LOOPBACK, str(port)]
        return {
            DELIVERY: lambda: self._deliver(pacs(2)),
            ONE: lambda: self._send(pacs(1)),
            SEVERAL: lambda: self._send(pacs(2)),
            UNCHECKED: lambda: self._send(pacs(2), is_checked=False),
            DCMSEND: lambda: self._dcmsend_all(command),
        }

    def _take_turn(self, row: DrainRow, turn: "_Turn", way: Callable[[], Spent]) -> None:
        give_new_identity(self._files, self._uids)
        for file in self._files:
            _renew_digest(file.path)
        os.sync()  # what others left unwritten is not on this one's account
        rate = processor_ms = None
        count = self._count
        try:
            spent = way()
            rate, processor_ms = count / spent.seconds, 1e3 * spent.processor_s / count
            turn.check(len(self._files))
        except (BenchmarkError, NodeError) as error:
            row.failure = str(error)
        row.rates.append(rate)
        row.processor_ms.append(processor_ms)

    def _dcmsend_all(self, command: Sequence[str]) -> Spent:
        dcmsend(command, self._files[:WARM_UP], 1, self._environment)
        before = _of_children()
        seconds = dcmsend(command, self._files[WARM_UP:], 1, self._environment)
        return Spent(seconds, _of_children() - before)

    def _send(self, pacs: PacsSettings, *, is_checked: bool = True) -> Spent:
        """Send by the child process alone, which runs already, as it does in a node."""
        shipments = [
            _shipment(number, record) for number, record in enumerate(_records(self._files))
        ]
        if not is_checked:
            shipments = [item._replace(digest="") for item in shipments]
        with closing(_Watched(pacs, "LIFEBOAT")) as courier:
            receipts: list[Receipt] = []
            for some in (shipments[:WARM_UP], shipments[WARM_UP:]):
                courier.begin()
                receipts += courier.send(some)
            spent = courier.spent_sending
        stored = [receipt.outcome for receipt in receipts].count(Outcome.STORED)
        if stored != len(shipments):
            raise BenchmarkError(f"stored {stored} of {len(shipments)}")
        return spent

    def _deliver(self, pacs: PacsSettings) -> Spent:
        """Deliver what a ledger owes, by the node's own cycle, until all is stored."""
        (self._data / LEDGER_FILE).unlink(missing_ok=True)
        settings = load_settings(environment={}, data=self._data)
        with (
            closing(Ledger(self._data / LEDGER_FILE)) as ledger,
            closing(LedgerReader(self._data / LEDGER_FILE)) as reader,
            closing(IndexReader(self._data / INDEX_FILE)) as index,
            closing(_Watched(pacs, "LIFEBOAT")) as courier,
        ):
            ledger.record_destinations([pacs])
            modes = ModeKeeper(replace(settings, pacs=(pacs,)), ledger)
            trial = new_trial(pacs, settings, courier, ModeOrders(self._data), index)
            destination = Destination(pacs, settings, ledger, courier, modes, trial)
            records = list(_records(self._files))
            for some in (records[:WARM_UP], records[WARM_UP:]):
                ledger.enqueue(some, [pacs.name], data=self._data, now=_RECEIVED_AT, marks={})
                courier.begin()
                while destination.step() and courier.spent().seconds < _LONGEST_S:
                    pass
            (state,) = reader.destinations()
        if state.counts["stored"] != len(self._files):
            raise BenchmarkError(f"delivered {state.counts}")
        return courier.spent_sending


class _Watched(Courier):
    """Knows what it and its child spent, and takes every request for commitment as made.

    Proof is not what is measured.
    """

    spent_sending = Spent(0.0, 0.0)

    def begin(self) -> None:
        """Start the child where it does not run yet, and count from now on."""
        with contextlib.suppress(NodeError):
            self.probe()
        keep_what_stands()
        self._began_at, self._before = time.perf_counter(), self._processor_s()

    def send_in_groups(self, shipments: Sequence[Shipment]) -> Iterator[list[Receipt]]:
        yield from super().send_in_groups(shipments)
        self.spent_sending = self.spent()  # whoever is given the groups has entered the last one

    def spent(self) -> Spent:
        """Return what was spent since the beginning."""
        seconds = time.perf_counter() - self._began_at
        return Spent(seconds, self._processor_s() - self._before)

    def _processor_s(self) -> float:
        if self._process is None or self._process.pid is None:
            raise BenchmarkError("the sending process ended")
        # the clock of all threads of another process, those that ended too
        clock = ~self._process.pid << 3 | 2
        return time.process_time() + time.clock_gettime(clock)

    def request_commitment(
        self, transaction_uid: str, instances: Sequence[tuple[str, str]]
    ) -> CommitmentAnswer:
        return CommitmentAnswer(is_supported=True)


def _of_children() -> float:
    """Return the processor time of all children that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Turn:
    """Checks that a receiver holds what it was sent."""

    def __init__(self, started: Started) -> None:
        self._held = started.held
        self._sent = started.held()

    def check(self, count: int) -> None:
        self._sent += count
        with contextlib.suppress(BenchmarkError):
            wait_until(lambda: self._held() >= self._sent, "everything is held", _HELD_TIMEOUT_S)
        held, sent = self._held(), self._sent
        if held != sent:
            self._sent = held
            raise BenchmarkError(f"holds {held} of {sent} acknowledged instances")


def _as_stored(file: InstanceFile) -> InstanceFile:
    """Write a file anew as the node stores it: the same data set behind a head of ours."""
    content = file.path.read_bytes()
    head = read_head(content)
    ours = build_head(
        head.sop_class_uid,
        head.sop_instance_uid,
        head.transfer_syntax_uid,
        source_ae_title="BENCHMARK",
        received_at=_RECEIVED_AT,
    )
    file.path.write_bytes(ours + content[head.dataset_offset :])
    return InstanceFile(file.path, file.uids)


def _renew_digest(path: Path) -> None:
    content = path.read_bytes()
    data_set = content[read_head(content).dataset_offset :]
    with path.open("r+b") as file:
        digest = hashlib.sha256(data_set).hexdigest()
        head = content[: len(content) - len(data_set)]
        offset, end = seal(head, isal_zlib.crc32(data_set), digest)
        file.seek(offset)
        file.write(end)


def _records(files: Sequence[InstanceFile]) -> Iterator[InstanceRecord]:
    for number, file in enumerate(files, start=1):
        head = read_head(file.path.read_bytes())
        yield InstanceRecord(
            instance_id=number,
            path=file.path,
            study_instance_uid=file.uids["StudyInstanceUID"],
            series_instance_uid=file.uids["SeriesInstanceUID"],
            sop_instance_uid=head.sop_instance_uid,
            sop_class_uid=head.sop_class_uid,
            transfer_syntax_uid=head.transfer_syntax_uid,
            instance_number=number,
            rows=CT.rows,
            columns=CT.columns,
            number_of_frames=1,
            frame_of_reference_uid="",
            pixel_spacing=None,
            slice_thickness="",
            image_type="",
            acquisition_time="",
            acquisition_number=None,
            images_in_acquisition=None,
            temporal_position_identifier=None,
            trigger_time="",
            echo_numbers="",
            echo_time="",
            diffusion_b_value=None,
            bits_allocated=16,
            photometric_interpretation="MONOCHROME2",
            image_position_patient=None,
            image_orientation_patient=None,
            size_bytes=file.size_bytes,
            digest=head.digest,
            received_at=head.received_at,
            calling_ae_title="BENCHMARK",
            version=1,
            is_conflict=False,
            damaged_at="",
        )


def _shipment(number: int, record: InstanceRecord) -> Shipment:
    return Shipment(
        number,
        str(record.path),
        record.sop_class_uid,
        record.sop_instance_uid,
        record.transfer_syntax_uid,
        record.digest,
    )
