"""How delivery to one PACS went over time: owed, sent and proven at evenly spaced moments."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any, Final

import sqlalchemy as sa

from dicom_node.clock import stamp
from dicom_node.ledger import LedgerReader, State
from dicom_node.ledger_tables import deliveries

POINTS: Final = 96
"""Moments of a picture: more are not seen."""
SLICE_S: Final = 60.0
SLICES: Final = 10
"""The rate is that of the last ten minutes, minute by minute."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Instances owed, sent and proven up to each moment, ISO 8601 in UTC, the first one first."""

    moments: tuple[str, ...]
    owed: tuple[int, ...]
    sent: tuple[int, ...]
    proven: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it is sent, instances per second, and how long the rest takes, seconds.

    `left_s` is None while nobody can tell; `fastest_s` and `slowest_s` are what it would be at
    the best and at the worst of the last minutes.
    """

    rate: float
    left_s: float | None = None
    fastest_s: float | None = None
    slowest_s: float | None = None


def drain_of(
    ledger: LedgerReader, destination: str, since: datetime, until: datetime, points: int = POINTS
) -> Drain:
    """Return how delivery to a destination went.

    Parameters
    ----------
    ledger : LedgerReader
    destination : str
    since, until : datetime
        Aware; the first and the last moment.
    points : int
        How many moments.

    Returns
    -------
    Drain
        It takes about a tenth of a second for a million instances: only indexes are read.
    """
    step = (until - since) / (points - 1)
    moments = [stamp(since + number * step) for number in range(points)]
    return Drain(
        tuple(moments),
        *(_up_to(ledger, destination, name, moments) for name in _COLUMNS),
    )


def pace_of(ledger: LedgerReader, destination: str, now: datetime, left: int) -> Pace:
    """Return how fast a destination is sent to now, and how long the rest takes.

    Parameters
    ----------
    ledger : LedgerReader
    destination : str
    now : datetime
        Aware.
    left : int
        How many instances are still to be sent.

    Returns
    -------
    Pace
    """
    edges = [now - timedelta(seconds=SLICE_S * number) for number in range(SLICES, -1, -1)]
    up_to = _up_to(ledger, destination, "stored_at", [stamp(edge) for edge in edges])
    sent = [after - before for before, after in pairwise(up_to)]
    return pace(sent, left)


def pace(sent: Sequence[int], left: int) -> Pace:
    """Return the pace that the numbers sent in the last minutes tell of.

    Parameters
    ----------
    sent : sequence of int
        In each of the last minutes, the latest one last.
    left : int

    Returns
    -------
    Pace
        Without an estimate until two whole minutes have been sent in.
    """
    first = next((at for at, number in enumerate(sent) if number), len(sent))
    whole = sent[first + 1 :]  # sending began somewhere within the first one
    rate = sum(whole[-3:]) / (SLICE_S * len(whole[-3:])) if whole else sum(sent) / SLICE_S
    busy = [number / SLICE_S for number in whole if number]
    if len(busy) < 2 or not left or not sent[-1]:
        return Pace(rate)
    return Pace(rate, left / median(busy), left / max(busy), left / min(busy))


def _up_to(
    ledger: LedgerReader, destination: str, column: str, moments: Sequence[str]
) -> tuple[int, ...]:
    edges = json.dumps(["", *moments])
    values = {"destination": destination, "edges": edges}
    total, found = 0, []
    for row in ledger.rows(_COLUMNS[column].params(values)):
        total += row["n"]
        found.append(total)
    return tuple(found[: len(moments)])


def _counted(column: sa.Column[Any], *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Select how many values lie after each edge and not after the next; '' is none of them."""
    edges = sa.bindparam("edges", type_=sa.Text)
    each = sa.func.json_each(edges).table_valued("key", "value")
    place = sa.literal("$[") + sa.cast(each.c.key + 1, sa.Text) + sa.literal("]")
    until = sa.func.json_extract(edges, place)
    between = (
        sa.select(sa.func.count())
        .where(
            deliveries.c.destination == sa.bindparam("destination"),
            column > each.c.value,
            column <= until,
            *conditions,
        )
        .correlate(each)
        .scalar_subquery()
    )
    return sa.select(each.c.key, between.label("n")).order_by(each.c.key)


_COLUMNS: Final = {
    # every state by name: the index begins with it
    "queued_at": _counted(deliveries.c.queued_at, deliveries.c.state.in_(list(State))),
    "stored_at": _counted(deliveries.c.stored_at),
    "proven_at": _counted(deliveries.c.proven_at),
}
