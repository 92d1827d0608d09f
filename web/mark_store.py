"""The marks people set on images: measurements, notes and key images, kept in desk.sqlite.

A mark says where it was set and on which bytes; what it measures is worked out from the image each
time it is shown. It holds nothing of the patient.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dicom_node.database import text_column
from dicom_node.desk_file import open_desk, read_desk
from web.errors import BadParameter, ChangedMeanwhile

MOST_MARKS: Final = 500
"""Marks one user may keep of one study."""

Point = tuple[float, float]

_metadata: Final = sa.MetaData()

_lists: Final = sa.Table(
    "mark_lists",
    _metadata,
    sa.Column("user", sa.Text, primary_key=True),
    sa.Column("study_instance_uid", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
)
"""How often the marks of one user and study changed; it never goes back."""

_marks: Final = sa.Table(
    "marks",
    _metadata,
    sa.Column("user", sa.Text, primary_key=True),
    sa.Column("study_instance_uid", sa.Text, primary_key=True),
    sa.Column("mark_id", sa.Text, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    text_column("series_instance_uid"),
    text_column("sop_instance_uid"),
    sa.Column("frame_number", sa.Integer, nullable=False),
    text_column("digest"),
    text_column("kind"),
    text_column("points"),
    text_column("text"),
    text_column("changed_at"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark on one frame.

    `mark_id` is chosen by who set it. `revision` is that of the list when it was last changed, 0
    before it is stored. `digest` is that of the instance it was set on. `points` are (column, row)
    from the upper left corner of the first pixel. `changed_at` is ISO 8601 in UTC.
    """

    mark_id: str
    series_instance_uid: str
    sop_instance_uid: str
    frame_number: int
    digest: str
    kind: str
    points: tuple[Point, ...]
    text: str = ""
    revision: int = 0
    changed_at: str = ""


@dataclass(frozen=True, slots=True)
class MarkList:
    """The marks of one user and study, oldest change first, and how often they changed."""

    revision: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """A change under way: its transaction, and the revision it gives the list."""

    connection: sa.Connection
    revision: int


class MarkStore:
    """Keeps marks, for any thread of the web process.

    Parameters
    ----------
    data : Path
        The data folder.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._reader = read_desk(data, _metadata)
        self._lock = Lock()
        self._opened: sa.Engine | None = None

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._reader.close()
        with self._lock:
            if self._opened is not None:
                self._opened.dispose()
                self._opened = None

    def of_study(self, user: str, study_instance_uid: str) -> MarkList:
        """Return the marks of one user and study.

        Parameters
        ----------
        user : str
            Whose marks.
        study_instance_uid : str
            The study.

        Returns
        -------
        MarkList
            A change that is made meanwhile may be among the marks, but never only in the revision.
        """
        lists, marks = _lists.c, _marks.c
        revisions = self._reader.rows(
            sa.select(lists.revision).where(
                lists.user == user, lists.study_instance_uid == study_instance_uid
            )
        )
        rows = self._reader.rows(
            sa.select(_marks)
            .where(marks.user == user, marks.study_instance_uid == study_instance_uid)
            .order_by(marks.revision, marks.mark_id)
        )
        revision = revisions[0]["revision"] if revisions else 0
        return MarkList(revision, tuple(_mark(row) for row in rows))

    def save(self, user: str, study_instance_uid: str, mark: Mark, now: str) -> Mark:
        """Store a new mark, or a change of one that nobody else changed meanwhile.

        Parameters
        ----------
        user : str
            Whose mark.
        study_instance_uid : str
            The study.
        mark : Mark
            Its `revision` is the one it was changed from, 0 for a new one.
        now : str
            ISO 8601 in UTC.

        Returns
        -------
        Mark
            As stored.

        Raises
        ------
        ChangedMeanwhile
            The stored mark has another revision, or is no longer there.
        BadParameter
            The study has as many marks as are kept.
        """
        with self._change(user, study_instance_uid, mark.mark_id, mark.revision) as change:
            if mark.revision == 0:
                _check_room(change.connection, user, study_instance_uid)
            stored = replace(mark, revision=change.revision, changed_at=now)
            row = asdict(stored) | {
                "user": user,
                "study_instance_uid": study_instance_uid,
                "points": json.dumps(mark.points),
            }
            statement = insert(_marks).values(row)
            change.connection.execute(statement.on_conflict_do_update(set_=row))
        return stored

    def delete(self, user: str, study_instance_uid: str, mark_id: str, revision: int) -> int:
        """Take a mark away that nobody else changed meanwhile.

        Parameters
        ----------
        user : str
            Whose mark.
        study_instance_uid : str
            The study.
        mark_id : str
            The mark.
        revision : int
            The one it is known by.

        Returns
        -------
        int
            The revision of the list.

        Raises
        ------
        ChangedMeanwhile
            As for `save`.
        """
        with self._change(user, study_instance_uid, mark_id, revision) as change:
            where = _is(user, study_instance_uid, mark_id)
            change.connection.execute(sa.delete(_marks).where(*where))
        return change.revision

    @contextmanager
    def _change(
        self, user: str, study_instance_uid: str, mark_id: str, known: int
    ) -> Iterator[_Change]:
        """Change one mark whose stored revision is the known one, or nothing at all."""
        with self._writer().begin() as connection:
            # the first statement writes, so that no other process comes between it and the rest
            revision = connection.execute(_next_revision(user, study_instance_uid)).scalar_one()
            where = _is(user, study_instance_uid, mark_id)
            stored = connection.scalar(sa.select(_marks.c.revision).where(*where))
            if (stored or 0) != known:
                raise ChangedMeanwhile(
                    "This mark was changed or removed in another window meanwhile."
                )
            yield _Change(connection, int(revision))

    def _writer(self) -> sa.Engine:
        with self._lock:
            if self._opened is None:
                self._opened = open_desk(self._data, _metadata)
            return self._opened


def _next_revision(user: str, study_instance_uid: str) -> Any:
    first = {"user": user, "study_instance_uid": study_instance_uid, "revision": 1}
    statement = insert(_lists).values(first)
    return statement.on_conflict_do_update(set_={"revision": _lists.c.revision + 1}).returning(
        _lists.c.revision
    )


def _is(user: str, study_instance_uid: str, mark_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    marks = _marks.c
    return (
        marks.user == user,
        marks.study_instance_uid == study_instance_uid,
        marks.mark_id == mark_id,
    )


def _check_room(connection: sa.Connection, user: str, study_instance_uid: str) -> None:
    marks = _marks.c
    counted = connection.scalar(
        sa.select(sa.func.count()).where(
            marks.user == user, marks.study_instance_uid == study_instance_uid
        )
    )
    if (counted or 0) >= MOST_MARKS:
        raise BadParameter(f"A study can have at most {MOST_MARKS} marks. Delete some first.")


def _mark(row: Any) -> Mark:
    values = {name: row[name] for name in Mark.__slots__}
    points = tuple((float(x), float(y)) for x, y in json.loads(row["points"]))
    return Mark(**values | {"points": points})
