"""Keeps the mode: hears what each PACS is found to be and what people order, and writes it down."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.errors import StorageFailed
from dicom_node.ledger import MODE_KIND
from dicom_node.ledger_writer import Ledger
from dicom_node.mode_hook import ModeChange
from dicom_node.mode_order import ModeOrders, Order
from dicom_node.mode_state import (
    NODE,
    ModeState,
    PacsState,
    in_force,
    ordered,
    read_recorded,
    write_recorded,
)
from dicom_node.outage_mode import Mode, PacsMode, Proof, after_proof, after_verdict, worst
from dicom_node.settings import Settings
from dicom_node.verdict import Verdict

_log = logging.getLogger(__name__)

_IS_OVER: Final = "the time that was set for it is over"
_DRILL_ENDS: Final = "a real outage began, so the drill is over"


class ModeKeeper:
    """The mode of one node; exactly one in one process, used by the threads of all destinations.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
        Every change is an event in it.
    announce : callable
        Told each change after it is on record.
    clock : Clock
        For what is written down.
    monotonic : callable
        For how long something lasts, seconds: a wall clock that is set begins no outage.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        announce: Callable[[ModeChange], None] = lambda change: None,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._data = settings.node.data
        self._ledger = ledger
        self._announce = announce
        self._clock = clock
        self._monotonic = monotonic
        self._orders = ModeOrders(self._data, clock)
        self._lock = threading.Lock()
        self._recorded = read_recorded(self._data)
        self._is_written = True
        known = self._recorded.pacs
        names = [pacs.name for pacs in settings.pacs]
        self._pacs = {name: known.get(name, PacsState(name)) for name in names}
        # how long it had failed before we started is not known: it counts anew
        self._standing = {name: PacsMode(state.mode) for name, state in self._pacs.items()}

    def judge(self, name: str, verdict: Verdict) -> None:
        """Hear how a PACS was found."""
        with self._lock:
            standing = after_verdict(
                self._standing[name], verdict, self._monotonic(), self._settings.mode
            )
            self._standing[name] = standing
            self._pacs[name] = PacsState(
                name,
                standing.mode,
                verdict.condition.value,
                verdict.layer.name.lower(),
                verdict.words,
                _unproven(standing),
            )
            self._settle()

    def prove(self, name: str, proof: Proof) -> None:
        """Hear that real work proved something of a PACS."""
        with self._lock:
            standing = self._standing[name] = after_proof(self._standing[name], proof)
            self._pacs[name] = replace(
                self._pacs[name], mode=standing.mode, unproven=_unproven(standing)
            )
            self._settle()

    def standing(self, name: str) -> PacsMode:
        """Return where one PACS stands."""
        with self._lock:
            return self._standing[name]

    def step(self) -> bool:
        """Look for orders, and for orders that ended; return that there is no more to do."""
        with self._lock:
            self._settle()
        return False

    def _settle(self) -> None:
        """Put on record what changed."""
        found = worst(
            self._standing[pacs.name].mode for pacs in self._settings.pacs if pacs.decides_mode
        )
        given = self._orders.current()
        mode, order = in_force(found, given)
        if (
            mode is not self._recorded.mode
            or (order.at if order else "") != self._recorded.order_at
        ):
            self._change(self._next(mode, found, order))
        if given is not None and order is None:
            self._end_drill()
        state = replace(self._recorded, found=found, pacs=dict(self._pacs))
        if state != self._recorded or not self._is_written:
            self._write(state)

    def _next(self, mode: Mode, found: Mode, order: Order | None) -> ModeState:
        state = replace(self._recorded, found=found, pacs=dict(self._pacs))
        if order is not None:
            return ordered(state, order)
        by, reason = NODE, self._reason(mode)
        if self._recorded.order_at:
            by, reason = self._end_of_order(found)
        return replace(
            state,
            mode=mode,
            since=stamp(self._clock()),
            reason=reason,
            by=by,
            until="",
            order_at="",
        )

    def _end_of_order(self, found: Mode) -> tuple[str, str]:
        """Return who ended the order that was in force, and why."""
        last = self._orders.last()
        if last is not None and last.at == self._recorded.order_at:
            is_real = found is Mode.OUTAGE and self._recorded.mode is Mode.DRILL
            return NODE, self._reason(Mode.OUTAGE) if is_real else _IS_OVER
        return (last.by, last.reason) if last is not None else (NODE, "")

    def _reason(self, mode: Mode) -> str:
        if mode is Mode.NORMAL:
            was_down = self._recorded.mode in (Mode.OUTAGE, Mode.RECOVERING)
            return "it answers, stores and commits" if was_down else "it answers again"
        named = [
            (f"{name}: " if len(self._pacs) > 1 else "") + state.words
            for name, state in self._pacs.items()
            if self._standing[name].mode is mode
        ]
        return "; ".join(named)

    def _change(self, state: ModeState) -> None:
        before = self._recorded.mode
        self._ledger.record_event(
            f"{MODE_KIND}{state.mode.value}", "", f"{state.by}: {state.reason}", state.since
        )
        _log.warning("mode_changed", extra={"state": state.mode.value})
        self._write(state)
        self._announce(
            ModeChange(
                self._settings.node.name,
                state.mode.value,
                before.value,
                state.since,
                state.by,
                state.reason,
            )
        )

    def _write(self, state: ModeState) -> None:
        self._recorded = state
        try:
            write_recorded(self._data, state)
            self._is_written = True
        except OSError:
            self._is_written = False  # tried again at the next step
            _log.exception("mode_not_written")

    def _end_drill(self) -> None:
        try:
            self._orders.withdraw(by=NODE, reason=_DRILL_ENDS)
        except StorageFailed:
            _log.exception("drill_not_ended")


def _unproven(standing: PacsMode) -> str:
    missing = standing.missing_proofs if standing.mode is Mode.RECOVERING else ()
    return ", ".join(proof.value for proof in Proof if proof in missing)
