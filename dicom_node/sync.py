"""Returning what we hold: ask the PACS, send what it lacks, have it proven. Never give up."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Final

from pydicom.uid import UID

from dicom_node.adoption import Adopter
from dicom_node.blame import Blame
from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.converter import FOLDER, Converter
from dicom_node.corrected_copy import CopyOrder, sweep
from dicom_node.correction_desk import CorrectionReader
from dicom_node.courier import Courier
from dicom_node.errors import ConversationLost, NodeError, PeerRefused, PeerUnreachable
from dicom_node.identity import Identity
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import Delivery, State
from dicom_node.ledger_proofs import LedgerProofs
from dicom_node.ledger_writer import Ledger
from dicom_node.mode_hook import ModeHook
from dicom_node.mode_keeper import ModeKeeper
from dicom_node.mode_order import ModeOrders
from dicom_node.order_keeper import OrderKeeper
from dicom_node.outage_mode import Proof
from dicom_node.outgoing_corrections import OutgoingCorrections
from dicom_node.pacs import Pacs
from dicom_node.prover import Prover, by_series
from dicom_node.quiet_hours import QuietHours
from dicom_node.rejecter import Rejecter
from dicom_node.retry import Pause, longest_wait_s, retry_delay_s
from dicom_node.sending_forms import SendingForms
from dicom_node.setting_tables import PacsSettings, SyncSettings
from dicom_node.settings import Settings
from dicom_node.shipment import Outcome, Receipt, Shipment
from dicom_node.storage import lock_folder, make_data_folder
from dicom_node.sync_order import SyncOrders
from dicom_node.trial import Trial, new_trial
from dicom_node.verdict import Condition, Layer, Verdict
from dicom_node.verifier import IdentityOf, Verifier

_log = logging.getLogger(__name__)

LOCK: Final = "deliver.lock"
STEP_S: Final = 1.0
_MANY: Final = 32
"""Failures after which a wait is the longest."""
RECHECK_S: Final = 3.0
"""How soon a PACS is looked at again when what was found may change the mode, seconds."""


class Destination:
    """Delivery to one PACS. `step` does what is due.

    Parameters
    ----------
    pacs : PacsSettings
    settings : Settings
    ledger : Ledger
    courier : Courier
    modes : ModeKeeper
        Hears how the PACS is found.
    trial : Trial
        Tries it with a test image, where that is allowed.
    clock : Clock
        For what is written down.
    monotonic : callable
        For waiting, seconds: a wall clock that is set changes no wait.
    jitter : callable
        Returns a number in [0, 1).
    is_paused : callable
        Tells whether a person ordered that nothing is sent.
    identity_of : callable
        Returns the identity a study is sent with, by its Study Instance UID.
    converter : Converter, optional
        Makes another form of what a PACS does not take as it is.
    """

    def __init__(
        self,
        pacs: PacsSettings,
        settings: Settings,
        ledger: Ledger,
        courier: Courier | Pacs,
        modes: ModeKeeper,
        trial: Trial,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        is_paused: Callable[[], bool] = lambda: False,
        identity_of: IdentityOf = lambda study_instance_uid: None,
        converter: Converter | None = None,
    ) -> None:
        self._is_paused = is_paused
        self._pacs = pacs
        self._sync: SyncSettings = settings.sync
        self._data = settings.node.data
        self._ledger = ledger
        self._courier = courier
        self._modes = modes
        self._trial = trial
        self._forms = SendingForms(courier, converter, self._tell_converted, monotonic)
        self._begun_study = ""
        self._proven_before: int | None = None
        self._count_at = monotonic()
        self._clock = clock
        self._monotonic = monotonic
        self._jitter = jitter
        self._corrections = OutgoingCorrections(
            settings.node.data, settings.node.name, ledger, pacs.name
        )
        self._blame = Blame(settings.sync, jitter)
        self._proofs = LedgerProofs(ledger, pacs.name)
        self._prover = Prover(pacs, settings.sync, ledger, courier, jitter, clock)
        self._quiet_hours = QuietHours(pacs.quiet_hours)
        self._is_reachable = False
        self._probe_at = monotonic()
        self._delivery = Pause(settings.sync, monotonic, jitter)
        self._proof = Pause(settings.sync, monotonic, jitter)
        self._verifying = Pause(settings.sync, monotonic, jitter)
        self._rejecting = Pause(settings.sync, monotonic, jitter)
        self._rejecter = Rejecter(pacs.name, settings, ledger, courier, clock)
        self._verifier = Verifier(pacs.name, settings.sync, ledger, courier, identity_of, clock)

    def step(self) -> bool:
        """Probe, send and prove, whatever is due; return whether more is to be done at once."""
        self._probe()
        if not self._is_reachable:
            return False
        self._look_for_proof()
        has_sent = not self._is_paused() and self._try(
            self._deliver, self._delivery, "delivery_paused"
        )
        self._try(self._prover.step, self._proof, "proof_paused")
        self._look_for_proof()
        has_rejected = not self._is_paused() and self._try(
            self._reject, self._rejecting, "rejection_paused"
        )
        has_verified = self._try(self._verify, self._verifying, "verification_paused")
        return has_sent or has_verified or has_rejected

    def _reject(self) -> bool:
        return not self._quiet_hours.include(self._clock()) and self._rejecter.step()

    def _verify(self) -> bool:
        """Verify what is new; what is old only when nothing else is to be done, and slowly."""
        if self._verifier.step():
            return True
        if not self._quiet_hours.include(self._clock()):
            self._verifier.step_again()
        return False

    def close(self) -> None:
        """Close what was opened for reading."""
        self._corrections.close()

    def _try(self, work: Callable[[], bool], pause: Pause, event: str) -> bool:
        """Do one kind of work unless it waits after a failure; one never holds up the other."""
        if pause.is_on():
            return False
        try:
            has_done = work()
        except NodeError as error:
            pause.begin()
            self._probe_at = self._monotonic()  # whether it is still there is worth knowing at once
            self._ledger.record_event(event, self._pacs.name, str(error), self._now())
            _log.warning(event, extra={"destination": self._pacs.name})
            return False
        pause.end()
        return has_done

    def _now(self) -> str:
        return stamp(self._clock())

    def _after(self, seconds: float) -> str:
        return stamp(self._clock() + timedelta(seconds=seconds))

    def _latest(self) -> str:
        """Return when the longest wait that begins now would end."""
        return self._after(longest_wait_s(self._sync))

    def _probe(self) -> None:
        if self._monotonic() < self._probe_at:
            return
        self._probe_at = self._monotonic() + self._sync.probe_interval_s
        was_reachable = self._is_reachable
        try:
            verdict = self._judge()
        except NodeError as error:
            self._is_reachable, detail = False, str(error)
        else:
            self._is_reachable, detail = verdict.has_answered_echo, verdict.words
        if self._is_reachable and not was_reachable:
            self._delivery.end()
            self._proof.end()
            self._forms.forget()
        is_back = self._ledger.record_probe(
            self._pacs.name, is_reachable=self._is_reachable, detail=detail, now=self._now()
        )
        if is_back:
            self._prover.hope()

    def _judge(self) -> Verdict:
        """Probe, with a test image where one is wanted, and tell what was found."""
        name = self._pacs.name
        is_silent = self._is_paused() or self._quiet_hours.include(self._clock())
        item = None if is_silent else self._trial.next_object(self._modes.standing(name))
        verdict = self._courier.probe(item)
        if item is not None and verdict.is_healthy:
            self._trial.note_stored(item)
        self._modes.judge(name, verdict)
        if self._modes.standing(name).is_undecided:
            again = self._monotonic() + min(RECHECK_S, self._sync.probe_interval_s)
            self._probe_at = min(self._probe_at, again)
        return verdict

    def _look_for_proof(self) -> None:
        """Tell when a PACS that was down has vouched for something since."""
        name = self._pacs.name
        if Proof.COMMITMENT not in self._modes.standing(name).missing_proofs:
            self._proven_before, self._count_at = None, self._monotonic()
            return
        if self._monotonic() < self._count_at:
            return
        self._count_at = self._monotonic() + RECHECK_S  # counting a million takes its time
        count = self._ledger.count_proven(name)
        if self._proven_before is None:
            self._proven_before = count
        try:
            is_tried = self._trial.is_proven()
        except NodeError:
            is_tried = False  # the next probe says more
        if count > self._proven_before or is_tried:
            self._modes.prove(name, Proof.COMMITMENT)

    def _deliver(self) -> bool:
        if self._quiet_hours.include(self._clock()):
            return False
        self._corrections.release()
        batch = self._ledger.due(
            self._pacs.name, self._now(), self._latest(), self._sync.batch_size, self._begun_study
        )
        self._begun_study = batch[0].study_instance_uid if batch else ""
        try:
            missing, copy_order = self._corrections.take(
                self._without_held(batch), self._courier.find_study, self._now()
            )
        except (PeerRefused, PeerUnreachable) as error:
            self._put_last(batch[0].study_instance_uid, error)
            raise
        if not missing:
            return bool(batch)
        try:
            self._send(missing, copy_order)
        finally:
            # whatever has no receipt is asked for before it is sent again
            self._ledger.requeue_unknown(self._pacs.name)
        return True

    def _put_last(self, study_uid: str, error: NodeError) -> None:
        """Let a study wait that the PACS could not be asked about: it may be the only such one."""
        until = self._after(retry_delay_s(_MANY, self._sync, self._jitter()))
        waits = (self._now(), until, self._latest())
        self._proofs.postpone(study_uid, State.QUEUED, *waits, str(error))

    def _without_held(self, batch: Sequence[Delivery]) -> list[Delivery]:
        """Leave out what the PACS holds already."""
        missing: list[Delivery] = []
        for series, of_series in by_series(batch).items():
            held = self._courier.held_instances(*series)
            if not held:
                missing += of_series
                continue
            there = [item.delivery_id for item in of_series if item.there.sop_instance_uid in held]
            self._ledger.update(
                there,
                expected=State.QUEUED,
                state=State.STORED,
                stored_at=self._now(),
                next_attempt_at="",
                last_error="",
            )
            missing += [item for item in of_series if item.there.sop_instance_uid not in held]
        return missing

    def _send(self, batch: Sequence[Delivery], copy_order: CopyOrder | None) -> None:
        waiting = {item.delivery_id: item for item in batch}
        outcomes: set[Outcome] = set()
        is_full = is_halted = False
        shipments = [self._shipment(item, copy_order) for item in batch]
        try:
            for group in self._forms.send(shipments):
                self._record(group, waiting)
                is_full |= any(receipt.is_out_of_resources for receipt in group)
                outcomes |= {receipt.outcome for receipt in group}
                if self._is_paused():
                    is_halted = True
                    self._forms.halt()
        except ConversationLost as error:
            self._blame_for_loss(error, waiting)
            raise
        except NodeError:
            if len(waiting) == len(batch):  # no association: nothing left
                self._record([Receipt(one, Outcome.NOT_SENT) for one in waiting], waiting)
            raise
        if Outcome.STORED in outcomes:
            self._modes.prove(self._pacs.name, Proof.STORE)
        if is_full:
            self._tell_full()
            raise PeerRefused("it is out of resources")
        if is_halted and outcomes <= {Outcome.NOT_SENT}:
            return  # a person wants it so
        if outcomes <= {Outcome.UNKNOWN, Outcome.NOT_SENT}:
            raise PeerUnreachable("it takes no instance to its end")

    def _blame_for_loss(self, error: ConversationLost, waiting: dict[int, Delivery]) -> None:
        """Blame what was in hand when the conversation broke: it may be what breaks it.

        When nothing was, the first goes behind others, so that not all wait for what breaks it.
        """
        in_hand = [one for one in error.in_hand if one in waiting] or list(waiting)[:1]
        self._record([Receipt(one, Outcome.UNKNOWN) for one in in_hand], waiting)

    def _tell_full(self) -> None:
        words = "it answers C-ECHO but refuses images: it is out of resources"
        verdict = Verdict(Condition.CANNOT_STORE, Layer.STORE, words)
        self._modes.judge(self._pacs.name, verdict)

    def _tell_converted(self, own: str, form: str, count: int) -> None:
        words = f"{count} instances went as {UID(form).name}: it does not take {UID(own).name}"
        self._ledger.record_event("sent_decompressed", self._pacs.name, words, self._now())

    def _shipment(self, item: Delivery, copy_order: CopyOrder | None) -> Shipment:
        return Shipment(
            item.delivery_id,
            os.path.join(self._data, item.path),
            item.sop_class_uid,
            item.there.sop_instance_uid,
            item.transfer_syntax_uid,
            item.digest,
            copy_order,
        )

    def _record(self, receipts: Sequence[Receipt], waiting: dict[int, Delivery]) -> None:
        """Enter what became of instances, in one transaction, and take them off `waiting`."""
        attempts = []
        has_stored_since = self._proofs.has_stored_since
        now = self._clock()  # they came within a moment: of one time, they are one entry
        for receipt in receipts:
            item = waiting.pop(receipt.delivery_id)
            attempt = self._blame.after_sending(receipt, item, now, has_stored_since)
            if attempt.state is State.STORED:
                syntax = self._forms.sent_in.get(receipt.delivery_id, "")
                attempt = attempt._replace(
                    transfer_syntax_uid=syntax, sent_digest=receipt.sent_digest
                )
            attempts.append(attempt)
        self._ledger.record_attempts(attempts)


class SyncService:
    """The delivering process: one adopter, one thread for each destination.

    Parameters
    ----------
    settings : Settings
    clock : Clock
    decompress : sequence of str
        A program for `Converter`; empty where there is none.

    Raises
    ------
    StoreInUse
        Another process delivers from this data folder.
    """

    def __init__(
        self, settings: Settings, clock: Clock = utc_now, decompress: Sequence[str] = ()
    ) -> None:
        data = make_data_folder(settings.node.data)
        self._owner = lock_folder(data, LOCK, "delivers from")
        sweep(data / FOLDER)
        self._ledger = Ledger(data / LEDGER_FILE)
        self._index = IndexReader(data / INDEX_FILE)
        self._corrections = CorrectionReader(data)
        self._ledger.record_destinations(settings.pacs)
        self._ledger.requeue_unknown()
        adopter = Adopter(settings, self._ledger, self._index, clock)
        self._hook = ModeHook(settings.mode)
        modes = ModeKeeper(settings, self._ledger, self._hook.announce, clock)
        orders, sync_orders = ModeOrders(data, clock), SyncOrders(data, clock)
        names = [pacs.name for pacs in settings.pacs]
        in_force = self._corrections.active
        keeper = OrderKeeper(sync_orders, self._ledger, names, clock, in_force)
        self._couriers = [Courier(pacs, settings.dicom.ae_title) for pacs in settings.pacs]
        self._converters = [
            Converter(decompress, data / FOLDER) if decompress else None for pacs in settings.pacs
        ]
        self._destinations = [
            Destination(
                pacs,
                settings,
                self._ledger,
                courier,
                modes,
                new_trial(pacs, settings, courier, orders, self._index, clock),
                clock,
                is_paused=partial(sync_orders.is_paused, pacs.name),
                identity_of=self._identity_of,
                converter=converter,
            )
            for pacs, courier, converter in zip(
                settings.pacs, self._couriers, self._converters, strict=True
            )
        ]
        steps = [adopter.step, modes.step, keeper.step]
        if settings.sync.enabled:
            steps += [destination.step for destination in self._destinations]
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(step,), daemon=True) for step in steps
        ]

    def _identity_of(self, study_instance_uid: str) -> Identity | None:
        study = self._index.study(study_instance_uid)
        if study is None:
            return None
        identity = Identity.of(asdict(study))
        correction = self._corrections.active(study_instance_uid)
        return identity if correction is None else correction.of(identity)

    def start(self) -> None:
        """Start delivering."""
        self._hook.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End at once: what was on its way is asked for at the next start."""
        self._stopping.set()
        for courier in self._couriers:
            courier.close()
        for converter in filter(None, self._converters):
            converter.close()
        for thread in self._threads:
            thread.join()
        self._hook.stop()
        for destination in self._destinations:
            destination.close()
        self._corrections.close()
        self._index.close()
        self._ledger.close()
        self._owner.close()

    def _loop(self, step: Callable[[], bool]) -> None:
        while not self._stopping.is_set():
            try:
                has_more = step()
            except Exception:  # noqa: BLE001 - the edge of the thread: the next step tries again
                _log.exception("sync_step_failed")
                has_more = False
            self._stopping.wait(0 if has_more else STEP_S)
