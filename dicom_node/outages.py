"""Outages as the ledger remembers them: when the mode changed, and what lay between."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dicom_node.errors import BadSettings
from dicom_node.ledger import RecordedMode
from dicom_node.outage_mode import Mode

_NAMED = (Mode.OUTAGE, Mode.DRILL)


@dataclass(frozen=True, slots=True)
class ModeBand:
    """One mode from `began_at` until `ended_at`, ISO 8601 in UTC; '' is until now."""

    mode: str
    began_at: str
    ended_at: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outage:
    """From the first suspicion until all was normal again; `number` counts from 1, the oldest.

    `kind` is `outage` or `drill`; `ended_at` is '' while it lasts.
    """

    number: int
    kind: str
    began_at: str
    ended_at: str
    bands: tuple[ModeBand, ...]


def mode_bands(changes: Iterable[RecordedMode]) -> list[ModeBand]:
    """Return the modes one after the other, the oldest first.

    Parameters
    ----------
    changes : iterable of RecordedMode
        In any order.

    Returns
    -------
    list of ModeBand
    """
    ordered = sorted(changes, key=lambda change: change.event_id)
    ends = [*(change.at for change in ordered), ""][1:]
    return [
        ModeBand(change.mode, change.at, end, change.by, change.reason)
        for change, end in zip(ordered, ends, strict=True)
    ]


def outages(bands: Sequence[ModeBand]) -> list[Outage]:
    """Return the outages and drills, the oldest first.

    Parameters
    ----------
    bands : sequence of ModeBand
        The oldest first.

    Returns
    -------
    list of Outage
        A suspicion that came to nothing is none.
    """
    found: list[Outage] = []
    together: list[ModeBand] = []
    for band in [*bands, ModeBand(Mode.NORMAL, "", "", "", "")]:
        if band.mode != Mode.NORMAL:
            together.append(band)
            continue
        kinds = {one.mode for one in together} & set(_NAMED)
        if kinds:
            kind = Mode.OUTAGE if Mode.OUTAGE in kinds else Mode.DRILL
            ends = together[-1].ended_at
            found.append(
                Outage(len(found) + 1, kind.value, together[0].began_at, ends, tuple(together))
            )
        together = []
    return found


def choose_outage(found: Sequence[Outage], wanted: str) -> Outage:
    """Return the outage a person names.

    Parameters
    ----------
    found : sequence of Outage
    wanted : str
        Its number, or `last`.

    Raises
    ------
    BadSettings
        There is none of that name.
    """
    for outage in found:
        if wanted == str(outage.number) or (wanted == "last" and outage is found[-1]):
            return outage
    numbers = ", ".join(str(outage.number) for outage in found) or "none"
    raise BadSettings(f"no outage {wanted!r} is on record; there are: {numbers}")
