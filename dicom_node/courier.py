"""A child process that talks to one PACS, and can be killed when the PACS freezes."""

import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from dicom_node.corrected_copy import sweep
from dicom_node.errors import ConversationLost, NodeError, PeerUnreachable
from dicom_node.in_hand import InHand
from dicom_node.log import configure_logging
from dicom_node.pacs import CommitmentAnswer, Pacs, most_in_hand
from dicom_node.process import keep_what_stands
from dicom_node.setting_tables import PacsSettings
from dicom_node.shipment import Receipt, Shipment
from dicom_node.study_answer import StudyAnswer
from dicom_node.study_search import FoundStudy, StudyKeys
from dicom_node.trial_object import TrialObject
from dicom_node.verdict import Layer, Verdict, stuck_at
from dicom_node.worklist_search import ScheduledStep, WorklistKeys

_MOVING = "moving"
_HALT = "halt"
_MOVING_EVERY_S = 1.0
_START_S = 30.0
"""How much longer a first answer may take, while the child starts, seconds."""
_PROBE_MARGIN_S = 2.0
"""How much longer than its timeout a layer may take before the child is killed, seconds."""


class Courier:
    """Runs the conversations of a `Pacs` in a child process.

    An answer that does not come in time kills the child; the next conversation starts another.

    Parameters
    ----------
    settings : PacsSettings
    our_ae_title : str
    """

    def __init__(self, settings: PacsSettings, our_ae_title: str) -> None:
        self._settings = settings
        self._our_ae_title = our_ae_title
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._in_hand = InHand([])
        self._is_sending = False
        self._copies: set[Path] = set()
        self._is_closed = False

    def close(self) -> None:
        """End the child, and start no other."""
        self._is_closed = True
        self.stop()

    def probe(self, trial: TrialObject | None = None) -> Verdict:
        """See `Pacs.probe`; a layer that hangs past every timeout costs the child.

        Raises
        ------
        PeerUnreachable
            The child did not start or was ended: nothing is known of the PACS.
        """
        self._ask("probe", trial)
        layer = Layer.NAME
        while True:
            found = self._layer_or_verdict(self._settings.probe_timeout_s + _PROBE_MARGIN_S)
            if found is None:
                self.stop()
                if self._is_closed:  # it was we who ended it
                    raise PeerUnreachable("delivery is being stopped")
                return stuck_at(layer)
            if isinstance(found, Verdict):
                return found
            if isinstance(found, NodeError):
                raise found
            layer = found

    def _layer_or_verdict(self, patience_s: float) -> Any:
        """Return what the child says next of a probe, None when it says nothing in time."""
        pipe = self._pipe
        try:
            return pipe.recv() if pipe is not None and pipe.poll(patience_s) else None
        except (EOFError, OSError):
            return PeerUnreachable("the sending process ended")

    def held_instances(self, study_instance_uid: str, series_instance_uid: str) -> set[str] | None:
        """See `Pacs.held_instances`."""
        held: set[str] | None = self._call(
            "held_instances", study_instance_uid, series_instance_uid
        )
        return held

    def held_among(
        self, study_instance_uid: str, series_instance_uid: str, sop_instance_uids: Sequence[str]
    ) -> set[str] | None:
        """See `Pacs.held_among`."""
        held: set[str] | None = self._call(
            "held_among", study_instance_uid, series_instance_uid, sop_instance_uids
        )
        return held

    def find_studies(self, keys: StudyKeys) -> list[FoundStudy] | None:
        """See `Pacs.find_studies`."""
        found: list[FoundStudy] | None = self._call("find_studies", keys)
        return found

    def find_scheduled(self, keys: WorklistKeys) -> list[ScheduledStep] | None:
        """See `Pacs.find_scheduled`."""
        found: list[ScheduledStep] | None = self._call("find_scheduled", keys)
        return found

    def find_study(self, study_instance_uid: str) -> list[StudyAnswer] | None:
        """See `Pacs.find_study`."""
        answers: list[StudyAnswer] | None = self._call("find_study", study_instance_uid)
        return answers

    def accepted_contexts(self, proposed: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """See `Pacs.accepted_contexts`."""
        accepted: set[tuple[str, str]] = self._call("accepted_contexts", proposed)
        return accepted

    def request_commitment(
        self, transaction_uid: str, instances: Sequence[tuple[str, str]]
    ) -> CommitmentAnswer:
        """See `Pacs.request_commitment`."""
        answer: CommitmentAnswer = self._call("request_commitment", transaction_uid, instances)
        return answer

    def send(self, shipments: Sequence[Shipment]) -> Iterator[Receipt]:
        """See `Pacs.send`."""
        for group in self.send_in_groups(shipments):
            yield from group

    def send_in_groups(self, shipments: Sequence[Shipment]) -> Iterator[list[Receipt]]:
        """See `Pacs.send_in_groups`.

        Raises
        ------
        PeerUnreachable
            The PACS froze; what has no receipt has an unknown outcome.
        """
        self._copies |= {item.copy_order.folder for item in shipments if item.copy_order}
        self._ask("send", shipments)
        self._is_sending = True
        missing = len(shipments)
        try:
            while missing:
                group: list[Receipt] = self._answer()
                missing -= len(group)
                yield group
        finally:
            self._is_sending = False
            if missing:
                self.stop()  # what is still in the pipe answers no later question

    def halt(self) -> None:
        """See `Pacs.halt`."""
        if self._is_sending and self._pipe is not None:
            with contextlib.suppress(OSError):  # whoever waits for a receipt will notice
                self._pipe.send((_HALT, ()))

    def stop(self) -> None:
        """End the child at once, and remove what it leaves behind."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            for folder in self._copies:
                sweep(folder, self._process.pid)
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None

    def _call(self, method: str, *arguments: Any) -> Any:
        self._ask(method, *arguments)
        return self._answer()

    def _ask(self, method: str, *arguments: Any) -> None:
        if self._is_closed:
            raise PeerUnreachable("delivery is being stopped")
        if self._process is None or not self._process.is_alive():
            self.stop()
            self._start()
        assert self._pipe is not None  # just started
        self._pipe.send((method, arguments))

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        places = context.RawArray("q", most_in_hand(self._settings))
        self._in_hand = InHand(places)
        self._process = context.Process(
            target=_run,
            args=(theirs, self._settings, self._our_ae_title, places),
            name=f"courier-{self._settings.name}",
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._pipe = ours
        try:
            is_ready = ours.poll(_START_S) and ours.recv() == "ready"
        except (EOFError, OSError):
            is_ready = False  # it ended
        if not is_ready:
            self.stop()
            raise PeerUnreachable("the sending process did not start")

    def _hear(self, patience_s: float) -> Any:
        """Return the next word of the child, None when none comes in time."""
        assert self._pipe is not None  # asked before
        return self._pipe.recv() if self._pipe.poll(patience_s) else None

    def _answer(self) -> Any:
        patience_s = self._settings.answer_timeout_s + 2 * self._settings.connect_timeout_s
        try:
            answer = self._hear(patience_s)
            while answer == _MOVING:
                answer = self._hear(patience_s)
        except (EOFError, OSError):
            answer = self._lost("the sending process ended")
        if answer is None:
            answer = self._lost("it accepts connections but does not answer")
        if isinstance(answer, NodeError):
            if isinstance(answer, PeerUnreachable):
                self.stop()
            raise answer
        return answer[0]

    def _lost(self, words: str) -> ConversationLost:
        return ConversationLost(words, self._in_hand.delivery_ids())


def _run(
    pipe: Connection, settings: PacsSettings, our_ae_title: str, places: MutableSequence[int]
) -> None:
    """Serve conversations until the pipe ends; the parent decides when."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logging()
    voice = _Voice(pipe)
    pacs = Pacs(settings, our_ae_title, voice.say_moving, InHand(places))
    keep_what_stands()
    try:
        voice.send("ready")
        while True:
            method, arguments = voice.next_request()
            if method != _HALT:  # one that comes when all was sent already
                _converse(voice, pacs, method, arguments)
    except (EOFError, OSError):
        return  # the parent is gone


class _Voice:
    """The child's end of the pipe, for the conversation and the thread that moves its bytes."""

    def __init__(self, pipe: Connection, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pipe = pipe
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._said_at = 0.0
        self._kept: Any = None

    def send(self, answer: object) -> None:
        with self._lock:
            self._pipe.send(answer)

    def next_request(self) -> Any:
        """Wait for what the parent asks next; return the method and its arguments."""
        kept, self._kept = self._kept, None
        return self._pipe.recv() if kept is None else kept

    def is_told_to_halt(self) -> bool:
        """Tell whether the parent interrupts; what it asks else, after the last, comes next."""
        if self._kept is not None or not self._pipe.poll():
            return False
        self._kept = self._pipe.recv()
        if self._kept[0] != _HALT:
            return False
        self._kept = None
        return True

    def say_moving(self) -> None:
        """Tell the parent, now and then, that bytes move: a long transfer is no frozen one."""
        now = self._monotonic()
        if now - self._said_at > _MOVING_EVERY_S:
            self._said_at = now
            with contextlib.suppress(OSError):  # the conversation itself will notice
                self.send(_MOVING)


def _converse(voice: _Voice, pacs: Pacs, method: str, arguments: Any) -> None:
    try:
        if method == "send":
            for group in pacs.send_in_groups(*arguments):
                voice.send((group,))
                if voice.is_told_to_halt():
                    pacs.halt()
        elif method == "probe":
            (trial,) = arguments
            voice.send(pacs.probe(trial, voice.send))
        else:
            voice.send((getattr(pacs, method)(*arguments),))
    except NodeError as error:
        voice.send(error)
