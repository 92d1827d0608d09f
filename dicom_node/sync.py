"""Returning what we hold: ask the PACS, send what it lacks, have it proven. Never give up."""

import logging
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from pydicom.uid import generate_uid

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.courier import Courier
from dicom_node.errors import NodeError, PeerUnreachable
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import CommitmentReport, IndexReader
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import Delivery, State
from dicom_node.ledger_writer import CONFLICT_REASON, Ledger
from dicom_node.pacs import Outcome, Pacs, Receipt, Shipment
from dicom_node.settings import PacsSettings, Settings, SyncSettings
from dicom_node.storage import make_data_folder

_log = logging.getLogger(__name__)

OBJECT_ATTEMPTS: Final = 5
"""Refusals of one instance after which a person must look; it stays, and can be sent again."""
READ_LIMIT: Final = 2000
PROOF_LIMIT: Final = 500
STEP_S: Final = 1.0

_AGAIN: Final = frozenset((0x0110, 0x0112, 0x0131, 0x0213))
"""Commitment failures after which asking or sending again helps (PS3.3 C.14)."""
_NO_SUCH_INSTANCE: Final = 0x0112


class Adopter:
    """Reads what receive wrote: new instances, conflicts, answers of the PACS.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    index : IndexReader
    clock : Clock
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, index: IndexReader, clock: Clock = utc_now
    ) -> None:
        self._data = settings.node.data
        self._destinations = [pacs.name for pacs in settings.pacs]
        self._ledger = ledger
        self._index = index
        self._clock = clock

    def step(self) -> bool:
        """Enter in the ledger whatever is new; return whether there is more."""
        generation = self._index.generation()
        if not generation:
            return False
        # a rebuilt index counts anew, and a new destination is owed everything;
        # what the ledger knows already is left as it is
        self._restart_if_changed("generation", generation, ("instance_id", "report_id"))
        destinations = " ".join(sorted(self._destinations))
        self._restart_if_changed("destinations", destinations, ("instance_id",))
        self._adopt_reports()
        return self._adopt_instances()

    def _restart_if_changed(self, key: str, value: str, positions: Sequence[str]) -> None:
        if self._ledger.mark(key) != value:
            for position in positions:
                self._ledger.set_mark(position, "0")
            self._ledger.set_mark(key, value)

    def _adopt_instances(self) -> bool:
        last = int(self._ledger.mark("instance_id") or 0)
        records = self._index.instances_after(last, READ_LIMIT)
        if not records:
            return False
        self._ledger.enqueue(
            records,
            self._destinations,
            data=self._data,
            now=stamp(self._clock()),
            marks={"instance_id": str(records[-1].instance_id)},
        )
        conflicts = {record.sop_instance_uid for record in records if record.is_conflict}
        if conflicts:
            self._ledger.hold(conflicts, CONFLICT_REASON)
        return len(records) == READ_LIMIT

    def _adopt_reports(self) -> None:
        last = int(self._ledger.mark("report_id") or 0)
        reports = self._index.commitment_reports_after(last)
        record_reports(self._ledger, reports, self._clock())
        if reports:
            self._ledger.set_mark("report_id", str(reports[-1].report_id))


def record_reports(ledger: Ledger, reports: Iterable[CommitmentReport], now: datetime) -> None:
    """Enter what a PACS said about instances we asked it to commit.

    Parameters
    ----------
    ledger : Ledger
    reports : iterable of CommitmentReport
    now : datetime
    """
    for report in reports:
        reason = report.failure_reason
        if reason is None:
            ledger.record_committed(
                report.transaction_uid, report.sop_instance_uid, report.received_at or stamp(now)
            )
        else:
            ledger.record_not_committed(
                report.transaction_uid,
                report.sop_instance_uid,
                stamp(now),
                _after_failed_commitment(reason),
            )


def _after_failed_commitment(reason: int) -> dict[str, Any]:
    text = f"the PACS would not commit it: {reason:04X}"
    if reason == _NO_SUCH_INSTANCE:
        return {"state": State.QUEUED, "last_error": text + ", sending it again"}
    state = State.STORED if reason in _AGAIN else State.ATTENTION
    return {"state": state, "last_error": text}


class Destination:
    """Delivery to one PACS. `step` does what is due and says when to come again.

    Parameters
    ----------
    pacs : PacsSettings
    settings : Settings
    ledger : Ledger
    courier : Courier
    clock : Clock
    jitter : callable
        Returns a number in [0, 1).
    """

    def __init__(
        self,
        pacs: PacsSettings,
        settings: Settings,
        ledger: Ledger,
        courier: Courier | Pacs,
        clock: Clock = utc_now,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._pacs = pacs
        self._sync: SyncSettings = settings.sync
        self._data = settings.node.data
        self._ledger = ledger
        self._courier = courier
        self._clock = clock
        self._jitter = jitter
        self._has_commitment = pacs.proof != "c-find"
        self._is_reachable = False
        self._failures = 0
        self._probe_at: datetime | None = None
        self._retry_at: datetime | None = None

    def step(self) -> bool:
        """Probe, send and prove, whatever is due; return whether more is to be done at once."""
        try:
            self._probe()
            if not self._is_reachable or self._is_waiting():
                return False
            has_sent = self._deliver()
            self._prove()
            self._failures, self._retry_at = 0, None
        except NodeError as error:
            self._back_off(str(error))
            return False
        return has_sent

    def _now(self) -> str:
        return stamp(self._clock())

    def _after(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)

    def _is_waiting(self) -> bool:
        return self._retry_at is not None and self._clock() < self._retry_at

    def _probe(self) -> None:
        if self._probe_at is not None and self._clock() < self._probe_at:
            return
        self._probe_at = self._after(self._sync.probe_interval_s)
        was_reachable = self._is_reachable
        try:
            self._courier.probe()
        except NodeError as error:
            self._is_reachable, detail = False, str(error)
        else:
            self._is_reachable, detail = True, "it answers C-ECHO"
        if self._is_reachable and not was_reachable:
            self._failures, self._retry_at = 0, None
            self._has_commitment = self._pacs.proof != "c-find"
        self._ledger.record_probe(
            self._pacs.name, is_reachable=self._is_reachable, detail=detail, now=self._now()
        )

    def _back_off(self, detail: str) -> None:
        wait_s = retry_delay_s(self._failures, self._sync, self._jitter())
        self._failures += 1
        self._retry_at = self._after(wait_s)
        self._probe_at = None  # whether it is still there is worth knowing at once
        self._ledger.record_event("delivery_paused", self._pacs.name, detail, self._now())
        _log.warning("delivery_paused", extra={"destination": self._pacs.name})

    def _deliver(self) -> bool:
        batch = self._ledger.due(self._pacs.name, self._now(), self._sync.batch_size)
        missing = self._without_held(batch)
        if not missing:
            return bool(batch)
        self._ledger.update(
            [item.delivery_id for item in missing], state=State.SENDING, sent_at=self._now()
        )
        try:
            self._send(missing)
        finally:
            # whatever has no receipt is asked for before it is sent again
            self._ledger.requeue_unknown(self._pacs.name)
        return True

    def _without_held(self, batch: Sequence[Delivery]) -> list[Delivery]:
        """Leave out what the PACS holds already."""
        missing: list[Delivery] = []
        for study_uid, series_uid in {
            (item.study_instance_uid, item.series_instance_uid): None for item in batch
        }:
            of_series = [item for item in batch if item.series_instance_uid == series_uid]
            held = self._courier.held_instances(study_uid, series_uid) or set()
            there = [item.delivery_id for item in of_series if item.sop_instance_uid in held]
            if there:
                self._ledger.update(there, state=State.STORED, stored_at=self._now(), last_error="")
            missing += [item for item in of_series if item.sop_instance_uid not in held]
        return missing

    def _send(self, batch: Sequence[Delivery]) -> None:
        shipments = [
            Shipment(
                item.delivery_id,
                self._data / item.path,
                item.sop_class_uid,
                item.sop_instance_uid,
                item.transfer_syntax_uid,
            )
            for item in batch
        ]
        attempts = {item.delivery_id: item.attempts for item in batch}
        outcomes = set()
        for receipt in self._courier.send(shipments):
            self._record(receipt, attempts[receipt.delivery_id])
            outcomes.add(receipt.outcome)
        if outcomes <= {Outcome.UNKNOWN, Outcome.NOT_SENT}:
            raise PeerUnreachable("it takes instances but does not answer")

    def _record(self, receipt: Receipt, attempts: int) -> None:
        if receipt.outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN):
            return
        if receipt.outcome is Outcome.STORED:
            self._ledger.record_attempt(
                receipt.delivery_id,
                state=State.STORED,
                error="",
                status=receipt.status,
                stored_at=self._now(),
            )
            return
        is_ours_to_wait = receipt.status is not None and receipt.status >> 8 == 0xA7
        is_final = attempts + 1 >= OBJECT_ATTEMPTS and not is_ours_to_wait
        wait_s = retry_delay_s(attempts, self._sync, self._jitter())
        self._ledger.record_attempt(
            receipt.delivery_id,
            state=State.ATTENTION if is_final else State.QUEUED,
            error=_refusal(receipt),
            status=receipt.status,
            next_attempt_at=stamp(self._after(wait_s)),
        )

    def _prove(self) -> None:
        overdue = self._after(-self._pacs.commitment_wait_s)
        for transaction_uid in self._ledger.unanswered_commitments(self._pacs.name, stamp(overdue)):
            self._ledger.withdraw_commitment(transaction_uid, "the commitment was not answered")
            self._has_commitment = self._pacs.proof == "commitment"
        batch = self._ledger.unproven(self._pacs.name, PROOF_LIMIT)
        if not batch:
            return
        if self._has_commitment:
            self._has_commitment = self._request_commitment(batch)
        if not self._has_commitment and self._pacs.proof != "commitment":
            self._prove_by_query(batch)

    def _request_commitment(self, batch: Sequence[Delivery]) -> bool:
        """Ask for commitment; return whether the PACS offers it."""
        transaction_uid = str(generate_uid(prefix=None))
        ids = [item.delivery_id for item in batch]
        # written down first: the answer may come before the request returns
        self._ledger.record_commitment_request(transaction_uid, self._pacs.name, ids, self._now())
        try:
            answer = self._courier.request_commitment(
                transaction_uid, [(item.sop_class_uid, item.sop_instance_uid) for item in batch]
            )
        except NodeError as error:
            self._ledger.withdraw_commitment(transaction_uid, str(error))
            raise
        if not answer.is_supported:
            self._ledger.withdraw_commitment(transaction_uid, "it offers no storage commitment")
        record_reports(self._ledger, answer.reports, self._clock())
        return answer.is_supported

    def _prove_by_query(self, batch: Sequence[Delivery]) -> None:
        for study_uid, series_uid in {
            (item.study_instance_uid, item.series_instance_uid): None for item in batch
        }:
            held = self._courier.held_instances(study_uid, series_uid)
            if held is None:
                continue  # it offers no query either: stored is all that can be said
            of_series = [item for item in batch if item.series_instance_uid == series_uid]
            there = [item.delivery_id for item in of_series if item.sop_instance_uid in held]
            gone = [item.delivery_id for item in of_series if item.sop_instance_uid not in held]
            self._ledger.update(
                there, state=State.PROVEN, proven_at=self._now(), proof="c-find", last_error=""
            )
            self._ledger.update(
                gone, state=State.QUEUED, last_error="the PACS took it but does not list it"
            )


class SyncService:
    """The delivering process: one adopter, one thread for each destination.

    Parameters
    ----------
    settings : Settings
    clock : Clock
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        data = make_data_folder(settings.node.data)
        self._ledger = Ledger(data / LEDGER_FILE)
        self._index = IndexReader(data / INDEX_FILE)
        self._ledger.record_destinations(settings.pacs)
        self._ledger.requeue_unknown()
        adopter = Adopter(settings, self._ledger, self._index, clock)
        self._couriers = [Courier(pacs, settings.dicom.ae_title) for pacs in settings.pacs]
        destinations = [
            Destination(pacs, settings, self._ledger, courier, clock)
            for pacs, courier in zip(settings.pacs, self._couriers, strict=True)
        ]
        steps = [adopter.step]
        if settings.sync.enabled:
            steps += [destination.step for destination in destinations]
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(step,), daemon=True) for step in steps
        ]

    def start(self) -> None:
        """Start delivering."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End at once: what was on its way is asked for at the next start."""
        self._stopping.set()
        for courier in self._couriers:
            courier.stop()
        for thread in self._threads:
            thread.join()
        self._index.close()
        self._ledger.close()

    def _loop(self, step: Callable[[], bool]) -> None:
        while not self._stopping.is_set():
            try:
                has_more = step()
            except Exception:  # noqa: BLE001 - the edge of the thread: the next step tries again
                _log.exception("sync_step_failed")
                has_more = False
            self._stopping.wait(0 if has_more else STEP_S)


def retry_delay_s(failures: int, sync: SyncSettings, jitter: float) -> float:
    """Return how long to wait after a number of failures in a row.

    Parameters
    ----------
    failures : int
        Before this one; 0 for the first.
    sync : SyncSettings
    jitter : float
        In [0, 1); spreads the result by 20 % either way.

    Returns
    -------
    float
        Seconds, at least `retry_min_s` less the spread.
    """
    base = min(sync.retry_max_s, sync.retry_min_s * 2.0 ** min(failures, 32))
    return base * (0.8 + 0.4 * jitter)


def _refusal(receipt: Receipt) -> str:
    if receipt.outcome is Outcome.NO_CONTEXT:
        return "the PACS does not accept this SOP class in this transfer syntax"
    if receipt.outcome is Outcome.UNREADABLE:
        return "our file cannot be read"
    return f"the PACS refused it: {receipt.status or 0:04X}"
