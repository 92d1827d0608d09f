"""When does an outage begin, and when is it over? Pure rules: what was found, and a time, go in.

NORMAL -> SUSPECT -> OUTAGE -> RECOVERING -> NORMAL. It takes several bad probes to suspect, time to
believe, several good ones to hope, and three proofs to trust again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from dicom_node.setting_tables import ModeSettings
from dicom_node.verdict import Condition, Layer, Verdict


class Mode(StrEnum):
    """How the node stands to the PACS."""

    NORMAL = "normal"
    """The PACS does its work."""
    SUSPECT = "suspect"
    """Several probes failed; it may be down."""
    OUTAGE = "outage"
    """It is down, or a person says so."""
    RECOVERING = "recovering"
    """It answers again, but has not yet proven that it stores and commits."""
    DRILL = "drill"
    """A person rehearses an outage; the PACS is up."""


class Proof(StrEnum):
    """What ends a recovery, all three together."""

    ECHO = "echo"
    STORE = "store"
    COMMITMENT = "commitment"


ALL_PROOFS: Final = frozenset(Proof)
_SEVERITY: Final = (Mode.NORMAL, Mode.SUSPECT, Mode.RECOVERING, Mode.OUTAGE)


@dataclass(frozen=True, slots=True)
class PacsMode:
    """Where one PACS stands.

    `failures` and `answers` count bad and good probes in a row. `failing_since_s` is when, on a
    clock that never jumps, it was first found down in this row; `failing_layer` where it failed
    last. `proofs` are those since it was last found down.
    """

    mode: Mode = Mode.NORMAL
    failures: int = 0
    answers: int = 0
    failing_since_s: float | None = None
    failing_layer: Layer | None = None
    proofs: frozenset[Proof] = frozenset()

    @property
    def is_undecided(self) -> bool:
        """Whether the next probe may change the mode, so that it should come soon."""
        counting = self.answers if self.mode is Mode.OUTAGE else self.failures
        return self.mode is Mode.SUSPECT or counting > 0

    @property
    def missing_proofs(self) -> frozenset[Proof]:
        """What it has yet to prove; nothing unless it was down."""
        is_owed = self.mode in (Mode.OUTAGE, Mode.RECOVERING)
        return ALL_PROOFS - self.proofs if is_owed else frozenset()


def after_verdict(
    state: PacsMode, verdict: Verdict, now_s: float, settings: ModeSettings
) -> PacsMode:
    """Return where a PACS stands after it was looked at.

    Parameters
    ----------
    state : PacsMode
        Before.
    verdict : Verdict
        Of a probe, or of a delivery that the PACS would not take.
    now_s : float
        Of a clock that never jumps, seconds.
    settings : ModeSettings

    Returns
    -------
    PacsMode
        At most one mode further.
    """
    if verdict.is_healthy:
        return _after_answer(state, verdict, settings)
    return _after_failure(state, verdict, now_s, settings)


def after_proof(state: PacsMode, proof: Proof) -> PacsMode:
    """Return where a PACS stands after real work proved something.

    Parameters
    ----------
    state : PacsMode
        Before.
    proof : Proof
        `STORE`: it took an instance; `COMMITMENT`: it vouched for one.

    Returns
    -------
    PacsMode
    """
    if _fails_to_store(state):
        state = replace(state, failures=0, failing_since_s=None, failing_layer=None)
    if state.mode not in (Mode.OUTAGE, Mode.RECOVERING):
        return state
    return _trusted_when_proven(replace(state, proofs=state.proofs | {proof}))


def worst(modes: Iterable[Mode]) -> Mode:
    """Return the mode that tells people most: of several archives, that of the one worst off."""
    return max(modes, key=_SEVERITY.index, default=Mode.NORMAL)


def with_order(found: Mode, ordered: Mode | None) -> Mode:
    """Return the mode that is shown when a person may have ordered one.

    Parameters
    ----------
    found : Mode
        By the probes.
    ordered : Mode or None
        `OUTAGE` or `DRILL`.

    Returns
    -------
    Mode
        The ordered one, except that a drill never hides an outage.
    """
    if ordered is None or (ordered is Mode.DRILL and found is Mode.OUTAGE):
        return found
    return ordered


def _after_answer(state: PacsMode, verdict: Verdict, settings: ModeSettings) -> PacsMode:
    if _fails_to_store(state) and verdict.layer < Layer.STORE:
        return state  # it always answered C-ECHO: that says nothing new
    proofs = state.proofs | {Proof.ECHO}
    if verdict.layer >= Layer.STORE:
        proofs |= {Proof.STORE}
    state = PacsMode(state.mode, answers=state.answers + 1, proofs=proofs)
    is_believed = state.answers >= settings.answers_to_recover
    if state.mode is Mode.SUSPECT and is_believed:
        return PacsMode(Mode.NORMAL)
    if state.mode is Mode.OUTAGE and is_believed:
        return replace(state, mode=Mode.RECOVERING)
    return _trusted_when_proven(state)


def _after_failure(
    state: PacsMode, verdict: Verdict, now_s: float, settings: ModeSettings
) -> PacsMode:
    is_down = verdict.condition is not Condition.TRANSIENTLY_FULL
    since_s = now_s if state.failing_since_s is None and is_down else state.failing_since_s
    state = PacsMode(
        state.mode,
        failures=state.failures + 1,
        failing_since_s=since_s,
        failing_layer=verdict.layer,
        proofs=_still_proven(state, verdict),
    )
    is_believed = state.failures >= settings.failures_to_suspect
    if state.mode is Mode.NORMAL and is_believed:
        return replace(state, mode=Mode.SUSPECT)
    if state.mode is Mode.SUSPECT and is_believed and is_down:
        is_lasting = since_s is not None and now_s - since_s >= settings.outage_after_s
        return replace(state, mode=Mode.OUTAGE) if is_lasting else state
    if state.mode is Mode.RECOVERING and is_believed and is_down and not _fails_to_store(state):
        return replace(state, mode=Mode.OUTAGE, proofs=frozenset())
    return state


def _still_proven(state: PacsMode, verdict: Verdict) -> frozenset[Proof]:
    if state.mode is not Mode.RECOVERING:
        return frozenset()
    if verdict.layer >= Layer.STORE:
        return state.proofs - {Proof.STORE, Proof.COMMITMENT}
    return state.proofs - {Proof.ECHO}


def _trusted_when_proven(state: PacsMode) -> PacsMode:
    is_trusted = state.mode is Mode.RECOVERING and state.proofs == ALL_PROOFS
    return PacsMode(Mode.NORMAL) if is_trusted else state


def _fails_to_store(state: PacsMode) -> bool:
    return state.failing_layer is not None and state.failing_layer >= Layer.STORE
