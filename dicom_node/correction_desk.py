"""Corrections as they are kept: written by the pages, read by what shows and what sends."""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import sqlalchemy as sa

from dicom_node.clock import stamp
from dicom_node.correction import Correction, CorrectionState, Source
from dicom_node.database import text_column
from dicom_node.desk_file import open_desk, read_desk
from dicom_node.errors import CorrectionRefused
from dicom_node.identity import Identity

LOCK_FILE: Final = "corrections.lock"
DRAFT_LASTS: Final = timedelta(days=1)
"""A preview that nobody confirmed is forgotten after this."""

_MOST_ACTIVE: Final = 100_000

metadata = sa.MetaData()

corrections = sa.Table(
    "corrections",
    metadata,
    sa.Column("correction_id", sa.Text, primary_key=True),
    text_column("study_instance_uid", index=True),
    text_column("merge_id", index=True),
    text_column("state"),
    text_column("source"),
    text_column("corrected"),
    text_column("identities"),
    text_column("at"),
    text_column("by"),
    text_column("reason"),
)
"""`corrected` and `identities` are JSON; `at`, `by` and `reason` are of the confirmation."""

sa.Index(
    "corrections_active",
    corrections.c.study_instance_uid,
    unique=True,
    sqlite_where=corrections.c.state == CorrectionState.ACTIVE,
)

correction_steps = sa.Table(
    "correction_steps",
    metadata,
    sa.Column("step_id", sa.Integer, primary_key=True),
    text_column("correction_id", index=True),
    text_column("state"),
    text_column("at"),
    text_column("by"),
    text_column("reason"),
)
"""What was decided about each correction, never changed."""

_ACTIVE_OF: Final = sa.select(corrections).where(
    corrections.c.study_instance_uid == sa.bindparam("study"),
    corrections.c.state == sa.bindparam("state"),
)
_COLUMNS: Final = tuple(corrections.c.keys())


@dataclass(frozen=True, slots=True)
class Step:
    """One decision about a correction: to which state, when, by whom and why."""

    step_id: int
    correction_id: str
    state: str
    at: str
    by: str
    reason: str


@contextmanager
def deciding(data: Path) -> Iterator[None]:
    """Keep corrections as they are while it matters.

    Whoever decides on a correction looks first at what was sent; whoever takes instances to send
    them looks first at what is decided. Only one of them does so at a time.

    Parameters
    ----------
    data : Path
        The data folder.
    """
    with (data / LOCK_FILE).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class CorrectionReader:
    """The reading side, for any thread of any process. A missing file holds no corrections.

    Parameters
    ----------
    data : Path
        The data folder.
    """

    def __init__(self, data: Path) -> None:
        self._database = read_desk(data, metadata)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def active(self, study_instance_uid: str) -> Correction | None:
        """Return the correction in force for a study, None when it is as it was received."""
        values = {"study": study_instance_uid, "state": CorrectionState.ACTIVE.value}
        row = self._database.first_row(_ACTIVE_OF, values)
        return None if row is None else _correction(dict(zip(_COLUMNS, row, strict=True)))

    def all_active(self) -> list[Correction]:
        """Return every correction in force."""
        return self._select(corrections.c.state == CorrectionState.ACTIVE, _MOST_ACTIVE)

    def get(self, correction_id: str) -> Correction | None:
        """Return one correction, in whatever state."""
        found = self._select(corrections.c.correction_id == correction_id)
        return found[0] if found else None

    def merged(self, merge_id: str) -> list[Correction]:
        """Return the corrections of one merge."""
        return self._select(corrections.c.merge_id == merge_id) if merge_id else []

    def decided(self, limit: int = 200) -> list[Correction]:
        """Return what was confirmed, undone or not, newest first."""
        return self._select(corrections.c.state != CorrectionState.DRAFT, limit)

    def steps(self, correction_ids: Sequence[str]) -> list[Step]:
        """Return what was decided about corrections, oldest first."""
        statement = (
            sa.select(correction_steps)
            .where(correction_steps.c.correction_id.in_(correction_ids))
            .order_by(correction_steps.c.step_id)
        )
        return [Step(**row) for row in self._database.rows(statement)]

    def revision(self) -> str:
        """Return a text that changes with every decision."""
        statement = sa.select(sa.func.max(correction_steps.c.step_id).label("last"))
        return next((str(row["last"] or 0) for row in self._database.rows(statement)), "0")

    def _select(self, condition: sa.ColumnElement[bool], limit: int = 1000) -> list[Correction]:
        statement = (
            sa.select(corrections)
            .where(condition)
            .order_by(corrections.c.at.desc(), corrections.c.correction_id)
            .limit(limit)
        )
        return [_correction(dict(row)) for row in self._database.rows(statement)]


class CorrectionDesk:
    """The writing side. A decision that returned survives a power cut.

    Parameters
    ----------
    data : Path
        The data folder.
    """

    def __init__(self, data: Path) -> None:
        self._engine = open_desk(data, metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def draft(self, drafts: Sequence[Correction], now: datetime) -> None:
        """Keep corrections that are previewed together; forget old previews."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.delete(corrections).where(
                    corrections.c.state == CorrectionState.DRAFT,
                    corrections.c.at < stamp(now - DRAFT_LASTS),
                )
            )
            connection.execute(
                sa.insert(corrections), [_row(draft) | {"at": stamp(now)} for draft in drafts]
            )

    def activate(
        self, correction_ids: Sequence[str], *, by: str, reason: str, now: datetime
    ) -> None:
        """Put previewed corrections in force, all or none of them.

        Raises
        ------
        CorrectionRefused
            One is no draft any more, or another correction of the same study is in force.
        """
        try:
            self._decide(
                correction_ids,
                (CorrectionState.DRAFT, CorrectionState.ACTIVE),
                Step(0, "", CorrectionState.ACTIVE, stamp(now), by, reason),
                at=stamp(now),
                by=by,
                reason=reason,
            )
        except sa.exc.IntegrityError as exc:
            raise CorrectionRefused(
                "Another correction of this study is in force. Undo that one first."
            ) from exc

    def undo(self, correction_ids: Sequence[str], *, by: str, reason: str, now: datetime) -> None:
        """Take corrections back, all or none of them.

        Raises
        ------
        CorrectionRefused
            One is not in force.
        """
        self._decide(
            correction_ids,
            (CorrectionState.ACTIVE, CorrectionState.UNDONE),
            Step(0, "", CorrectionState.UNDONE, stamp(now), by, reason),
        )

    def _decide(
        self,
        correction_ids: Sequence[str],
        change: tuple[CorrectionState, CorrectionState],
        step: Step,
        **values: str,
    ) -> None:
        before, after = change
        with self._engine.begin() as connection:
            result = connection.execute(
                sa.update(corrections)
                .where(
                    corrections.c.correction_id.in_(correction_ids), corrections.c.state == before
                )
                .values(state=after, **values)
            )
            if not correction_ids or result.rowcount != len(correction_ids):
                raise CorrectionRefused(
                    "Somebody decided on this correction meanwhile. Look again."
                )
            words = {name: value for name, value in asdict(step).items() if name != "step_id"}
            connection.execute(
                sa.insert(correction_steps),
                [words | {"correction_id": one} for one in correction_ids],
            )


def _row(correction: Correction) -> dict[str, Any]:
    values = {name: getattr(correction, name) for name in _COLUMNS if hasattr(correction, name)}
    return values | {
        "corrected": json.dumps(dict(correction.values)),
        "identities": json.dumps([asdict(one) for one in correction.identities]),
    }


def _correction(row: dict[str, Any]) -> Correction:
    corrected = json.loads(row.pop("corrected"))
    identities = tuple(Identity(**one) for one in json.loads(row["identities"]))
    return Correction(
        **row
        | {
            "values": corrected,
            "identities": identities,
            "state": CorrectionState(row["state"]),
            "source": Source(row["source"]),
        }
    )
