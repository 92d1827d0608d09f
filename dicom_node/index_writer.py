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
    COMPLETE,
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
_SERIES_VALUES: Final = (
    "modality",
    "series_number",
    "series_description",
    "body_part_examined",
    "laterality",
    "station_name",
)
_PATIENT: Final = _STUDY_TEXTS[:4]
_INSTANCE_VALUES: Final = (
    "instance_number",
    "rows",
    "columns",
    "number_of_frames",
    "bits_allocated",
    "photometric_interpretation",
    "image_position_patient",
    "image_orientation_patient",
    "frame_of_reference_uid",
    "image_laterality",
    "pixel_spacing",
    "slice_thickness",
    "image_type",
    "acquisition_time",
    "acquisition_number",
    "images_in_acquisition",
    "temporal_position_identifier",
    "trigger_time",
    "echo_numbers",
    "echo_time",
    "diffusion_b_value",
)


_OWN_VALUES: Final = tuple(
    field.name for field in fields(IndexedInstance) if field.name != "values"
)
_ABSENT: Final = {
    table.name: {column.name: None if column.nullable else "" for column in table.columns}
    for table in (studies, series, instances)
}
"""What a column holds where an instance has no such element."""


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
        statement = sa.select(about.c.value).where(about.c.key == COMPLETE)
        with self._engine.connect() as connection:
            return connection.scalar(statement) is not None

    def mark_complete(self) -> None:
        """Remember that every stored file was entered."""
        statement = insert(about).values(key=COMPLETE, value="yes").on_conflict_do_nothing()
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

    def mark_incomplete(self) -> None:
        """Have the next start look for files that were not entered."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(about).where(about.c.key == COMPLETE))

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
    # backwards: of each study the first instance counts
    first = {item.study_instance_uid: item for item in reversed(batch)}
    connection.execute(_ADD_STUDY, [_study_row(item) for item in first.values()])
    _mark_patient_conflicts(connection, batch)


def _study_row(item: IndexedInstance) -> dict[str, Any]:
    row = _values(studies, item, _STUDY_TEXTS)
    row["study_instance_uid"] = item.study_instance_uid
    row["patient_name_folded"] = fold_text(row["patient_name"])
    row["search_text"] = fold_text(row["patient_name"], row["patient_id"], row["accession_number"])
    row["first_received_at"] = row["last_received_at"] = item.received_at
    return row


def _mark_patient_conflicts(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    """Flag studies whose instances do not all name the same patient."""
    patients = {
        (item.study_instance_uid, *(item.values.get(name, "") for name in _PATIENT))
        for item in batch
    }
    names = ("study", *(f"of_{name}" for name in _PATIENT))
    connection.execute(_MARK_PATIENT, [dict(zip(names, row, strict=True)) for row in patients])


def _add_series(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    first = {(item.study_instance_uid, item.series_instance_uid): item for item in reversed(batch)}
    rows = [
        _values(series, item, _SERIES_VALUES)
        | {
            "study_instance_uid": item.study_instance_uid,
            "series_instance_uid": item.series_instance_uid,
            "last_received_at": item.received_at,
        }
        for item in first.values()
    ]
    connection.execute(_ADD_SERIES, rows)


def _add_instances(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    rows = [
        {name: getattr(item, name) for name in _OWN_VALUES}
        | _values(instances, item, _INSTANCE_VALUES)
        for item in batch
    ]
    connection.execute(_ADD_INSTANCE, rows)


def _values(table: sa.Table, item: IndexedInstance, names: Sequence[str]) -> dict[str, Any]:
    """Pick columns of one instance; an absent text is ''."""
    given, absent = item.values, _ABSENT[table.name]
    return {name: given.get(name, absent[name]) for name in names}


def _mark_conflicts(connection: sa.Connection, sop_instance_uids: set[str]) -> None:
    """Flag every instance whose UID also exists with other bytes, wherever it lies."""
    rows = connection.execute(_WITH_SEVERAL_DIGESTS, {"uids": list(sop_instance_uids)})
    found = [row.sop_instance_uid for row in rows]
    if found:
        connection.execute(_MARK_CONFLICT, {"uids": found})


def _count(connection: sa.Connection, batch: Sequence[IndexedInstance]) -> None:
    of_series = {(item.study_instance_uid, item.series_instance_uid) for item in batch}
    connection.execute(
        _COUNT_SERIES,
        [{"study": study, "of_series": series_uid} for study, series_uid in of_series],
    )
    connection.execute(_COUNT_STUDY, [{"study": study} for study in {key[0] for key in of_series}])


def _of(
    value: sa.ColumnElement[Any], table: sa.Table, *conditions: sa.ColumnElement[bool]
) -> sa.ScalarSelect[Any]:
    return sa.select(value).select_from(table).where(*conditions).scalar_subquery()


_STUDY: Final[sa.BindParameter[str]] = sa.bindparam("study")
_SERIES: Final[sa.BindParameter[str]] = sa.bindparam("of_series")
_UIDS: Final[sa.BindParameter[str]] = sa.bindparam("uids", expanding=True)
_OF_SERIES: Final = (
    instances.c.study_instance_uid == _STUDY,
    instances.c.series_instance_uid == _SERIES,
)
_SERIES_OF_STUDY: Final = series.c.study_instance_uid == _STUDY

# made once: building a statement costs more than running it
_ADD_STUDY: Final = insert(studies).on_conflict_do_nothing()
_ADD_SERIES: Final = insert(series).on_conflict_do_nothing()
_ADD_INSTANCE: Final = insert(instances).on_conflict_do_nothing(index_elements=["path"])
_MARK_PATIENT: Final = (
    sa.update(studies)
    .where(
        studies.c.study_instance_uid == _STUDY,
        sa.or_(*(studies.c[name] != sa.bindparam(f"of_{name}") for name in _PATIENT)),
    )
    .values(has_patient_conflict=sa.true())
)
_WITH_SEVERAL_DIGESTS: Final = (
    sa.select(instances.c.sop_instance_uid)
    .where(instances.c.sop_instance_uid.in_(_UIDS))
    .group_by(instances.c.sop_instance_uid)
    .having(sa.func.count(instances.c.digest.distinct()) > 1)
)
_MARK_CONFLICT: Final = (
    sa.update(instances).where(instances.c.sop_instance_uid.in_(_UIDS)).values(is_conflict=True)
)
_COUNT_SERIES: Final = (
    sa.update(series)
    .where(_SERIES_OF_STUDY, series.c.series_instance_uid == _SERIES)
    .values(
        number_of_series_related_instances=_of(sa.func.count(), instances, *_OF_SERIES),
        last_received_at=_of(sa.func.max(instances.c.received_at), instances, *_OF_SERIES),
    )
)
_COUNT_STUDY: Final = (
    sa.update(studies)
    .where(studies.c.study_instance_uid == _STUDY)
    .values(
        number_of_study_related_series=_of(sa.func.count(), series, _SERIES_OF_STUDY),
        number_of_study_related_instances=_of(
            sa.func.sum(series.c.number_of_series_related_instances), series, _SERIES_OF_STUDY
        ),
        number_of_conflicts=_of(
            sa.func.count(),
            instances,
            instances.c.study_instance_uid == _STUDY,
            instances.c.is_conflict,
        ),
        modalities_in_study=_of(
            sa.func.group_concat(series.c.modality.distinct()), series, _SERIES_OF_STUDY
        ),
        last_received_at=_of(sa.func.max(series.c.last_received_at), series, _SERIES_OF_STUDY),
    )
)
