"""The writing side of the index: batches of instances into studies, series and counts."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dicom_node.database import writer_engine
from dicom_node.index import CommitmentReport
from dicom_node.index_tables import (
    SCHEMA_VERSION,
    about,
    commitment_reports,
    fold_text,
    instances,
    metadata,
    series,
    studies,
)


@dataclass(frozen=True, slots=True)
class IndexedInstance:
    """One instance as it enters the index: keywords of PS3.6 in snake case."""

    path: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    size_bytes: int
    digest: str
    received_at: str
    calling_ae_title: str
    version: int
    values: dict[str, Any]
    """Every other column of the three tables."""


_STUDY_TEXTS: Final = (
    "patient_name",
    "patient_id",
    "issuer_of_patient_id",
    "patient_birth_date",
    "patient_sex",
    "accession_number",
    "study_id",
    "study_date",
    "study_time",
    "study_description",
    "referring_physician_name",
)
_COMPLETE: Final = "complete"
_SERIES_VALUES: Final = (
    "modality",
    "series_number",
    "series_description",
    "body_part_examined",
    "laterality",
)
_INSTANCE_VALUES: Final = (
    "instance_number",
    "rows",
    "columns",
    "number_of_frames",
    "bits_allocated",
    "photometric_interpretation",
    "image_position_patient",
    "image_orientation_patient",
)


class OutdatedIndex(sa.exc.DatabaseError):
    """The index has the tables of another version of Lifeboat; it is built anew from the files."""


class Index:
    """The writing side; exactly one in one process.

    Parameters
    ----------
    path : Path
        The SQLite file, made when missing.

    Raises
    ------
    sqlalchemy.exc.DatabaseError
        The file is damaged, or (OutdatedIndex) of another version; it may be deleted and rebuilt.
    """

    def __init__(self, path: Path) -> None:
        self._engine = writer_engine(path)
        _check(self._engine)
        metadata.create_all(self._engine)
        with self._engine.begin() as connection:
            for key, value in (("schema", SCHEMA_VERSION), ("generation", uuid.uuid4().hex)):
                connection.execute(
                    insert(about).values(key=key, value=value).on_conflict_do_nothing()
                )

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def add(self, batch: Sequence[IndexedInstance]) -> None:
        """Enter instances; those already entered are left as they are.

        Parameters
        ----------
        batch : sequence of IndexedInstance
            One transaction; when it returns the rows survive a power cut.
        """
        with self._engine.begin() as connection:
            _add_studies(connection, batch)
            _add_series(connection, batch)
            _add_instances(connection, batch)
            _mark_conflicts(connection, {item.sop_instance_uid for item in batch})
            _count(connection, batch)

    def is_complete(self) -> bool:
        """Tell whether every stored file was entered once; a new index is not."""
        statement = sa.select(about.c.value).where(about.c.key == _COMPLETE)
        with self._engine.connect() as connection:
            return connection.scalar(statement) is not None

    def mark_complete(self) -> None:
        """Remember that every stored file was entered."""
        statement = insert(about).values(key=_COMPLETE, value="yes").on_conflict_do_nothing()
        with self._engine.begin() as connection:
            connection.execute(statement)

    def mark_damaged(self, path: str, when: str) -> None:
        """Remember that a stored file is damaged, so that it is never shown without saying so.

        Parameters
        ----------
        path : str
            Relative to the data folder.
        when : str
            ISO 8601 in UTC; '' for a file that turned out to be sound.
        """
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(instances).where(instances.c.path == path).values(damaged_at=when)
            )
            of_path = sa.select(instances.c.study_instance_uid).where(instances.c.path == path)
            damaged = sa.and_(
                instances.c.study_instance_uid == studies.c.study_instance_uid,
                instances.c.damaged_at != "",
            )
            connection.execute(
                sa.update(studies)
                .where(studies.c.study_instance_uid.in_(of_path))
                .values(number_of_damaged_instances=_of(sa.func.count(), instances, damaged))
            )

    def add_commitment_reports(self, reports: Iterable[CommitmentReport]) -> None:
        """Enter answers of a PACS to storage commitment."""
        rows = [
            {field.name: getattr(report, field.name) for field in fields(report)[1:]}
            for report in reports
        ]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(commitment_reports), rows)


def _check(engine: sa.Engine) -> None:
    """Raise DatabaseError when the file is damaged or of another version."""
    with engine.connect() as connection:
        result = connection.scalar(sa.text("PRAGMA quick_check(1)"))
    if result != "ok":
        raise sa.exc.DatabaseError("PRAGMA quick_check", None, Exception("damaged"))
    if sa.inspect(engine).has_table(about.name):
        statement = sa.select(about.c.value).where(about.c.key == "schema")
        with engine.connect() as connection:
            if connection.scalar(statement) not in (SCHEMA_VERSION, None):
                raise OutdatedIndex("schema", None, Exception("of another version"))


def _add_studies(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    rows: dict[Any, dict[str, Any]] = {}
    for item in batch:
        row = _values(studies, item, _STUDY_TEXTS)
        row["study_instance_uid"] = item.study_instance_uid
        row["patient_name_folded"] = fold_text(row["patient_name"])
        row["search_text"] = fold_text(
            row["patient_name"], row["patient_id"], row["accession_number"]
        )
        row["first_received_at"] = row["last_received_at"] = item.received_at
        rows.setdefault(item.study_instance_uid, row)
    statement = insert(studies).on_conflict_do_nothing()
    connection.execute(statement, list(rows.values()))
    _mark_patient_conflicts(connection, batch)


def _mark_patient_conflicts(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    """Flag studies whose instances do not all name the same patient."""
    patients = {
        (item.study_instance_uid, *(item.values.get(name, "") for name in _STUDY_TEXTS[:4]))
        for item in batch
    }
    for study_instance_uid, name, patient_id, issuer, birth_date in patients:
        connection.execute(
            sa.update(studies)
            .where(
                studies.c.study_instance_uid == study_instance_uid,
                sa.or_(
                    studies.c.patient_id != patient_id,
                    studies.c.patient_name != name,
                    studies.c.issuer_of_patient_id != issuer,
                    studies.c.patient_birth_date != birth_date,
                ),
            )
            .values(has_patient_conflict=True)
        )


def _add_series(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    rows: dict[Any, dict[str, Any]] = {}
    for item in batch:
        row = _values(series, item, _SERIES_VALUES)
        row |= {
            "study_instance_uid": item.study_instance_uid,
            "series_instance_uid": item.series_instance_uid,
            "last_received_at": item.received_at,
        }
        rows.setdefault((item.study_instance_uid, item.series_instance_uid), row)
    statement = insert(series).on_conflict_do_nothing()
    connection.execute(statement, list(rows.values()))


def _add_instances(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    own = [field.name for field in fields(IndexedInstance) if field.name != "values"]
    rows = [
        {name: getattr(item, name) for name in own} | _values(instances, item, _INSTANCE_VALUES)
        for item in batch
    ]
    statement = insert(instances).on_conflict_do_nothing(index_elements=["path"])
    connection.execute(statement, rows)


def _values(table: sa.Table, item: IndexedInstance, names: Sequence[str]) -> dict[str, Any]:
    """Pick columns of one instance; an absent text is ''."""
    absent = {name: None if table.c[name].nullable else "" for name in names}
    return {name: item.values.get(name, absent[name]) for name in names}


def _mark_conflicts(connection: sa.Connection, sop_instance_uids: set[str]) -> None:
    """Flag every instance whose UID also exists with other bytes, wherever it lies."""
    several = (
        sa.select(instances.c.sop_instance_uid)
        .where(instances.c.sop_instance_uid.in_(sop_instance_uids))
        .group_by(instances.c.sop_instance_uid)
        .having(sa.func.count(instances.c.digest.distinct()) > 1)
    )
    found = [row.sop_instance_uid for row in connection.execute(several)]
    if found:
        connection.execute(
            sa.update(instances)
            .where(instances.c.sop_instance_uid.in_(found))
            .values(is_conflict=True)
        )


def _count(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    for study_uid, series_uid in {
        (item.study_instance_uid, item.series_instance_uid) for item in batch
    }:
        _count_series(connection, study_uid, series_uid)
    for study_uid in {item.study_instance_uid for item in batch}:
        _count_study(connection, study_uid)


def _count_series(connection: sa.Connection, study_uid: str, series_uid: str) -> None:
    of_series = sa.and_(
        instances.c.study_instance_uid == study_uid,
        instances.c.series_instance_uid == series_uid,
    )
    connection.execute(
        sa.update(series)
        .where(series.c.study_instance_uid == study_uid, series.c.series_instance_uid == series_uid)
        .values(
            number_of_series_related_instances=_of(sa.func.count(), instances, of_series),
            last_received_at=_of(sa.func.max(instances.c.received_at), instances, of_series),
        )
    )


def _count_study(connection: sa.Connection, study_uid: str) -> None:
    of_study = instances.c.study_instance_uid == study_uid
    own_series = series.c.study_instance_uid == study_uid
    conflicts = sa.and_(of_study, instances.c.is_conflict)
    modalities = sa.func.group_concat(series.c.modality.distinct())
    total = sa.func.sum(series.c.number_of_series_related_instances)
    connection.execute(
        sa.update(studies)
        .where(studies.c.study_instance_uid == study_uid)
        .values(
            number_of_study_related_series=_of(sa.func.count(), series, own_series),
            number_of_study_related_instances=_of(total, series, own_series),
            number_of_conflicts=_of(sa.func.count(), instances, conflicts),
            modalities_in_study=_of(modalities, series, own_series),
            last_received_at=_of(sa.func.max(series.c.last_received_at), series, own_series),
        )
    )


def _of(
    value: sa.ColumnElement[Any], table: sa.Table, condition: sa.ColumnElement[bool]
) -> sa.ScalarSelect[Any]:
    return sa.select(value).select_from(table).where(condition).scalar_subquery()
