"""What we hold: studies, series and instances. Derived from the files, and rebuildable from them.

A patient is a set of columns of the study, not a table: a patient ID without its issuer is no
identity, and joining two people by it would show one under the other's name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from dicom_node.database import ReadOnlyDatabase
from dicom_node.index_tables import (
    about,
    commitment_reports,
    fold_text,
    instances,
    series,
    studies,
)
from dicom_node.known_rows import KnownRows
from dicom_node.study_query import StudyQuery, conditions

FILE: Final = "index.sqlite"
_IS_DAMAGED: Final = instances.c.damaged_at != ""
_DECIMALS_KEPT: Final = 4096
_MOST_KNOWN: Final = 2000
"""Instances that are remembered: about 3 MB."""
_UIDS: Final = ("study", "series", "instance")


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What a PACS said of one instance: `failure_reason` None is success (PS3.4 J.3.3)."""

    report_id: int
    transaction_uid: str
    sop_instance_uid: str
    failure_reason: int | None
    received_at: str


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """One study; texts are '' when absent, times ISO 8601 in UTC.

    `has_patient_conflict` tells that instances of this study name different patients.
    """

    study_instance_uid: str
    patient_name: str
    patient_id: str
    issuer_of_patient_id: str
    patient_birth_date: str
    patient_sex: str
    accession_number: str
    study_id: str
    study_date: str
    study_time: str
    study_description: str
    referring_physician_name: str
    modalities_in_study: tuple[str, ...]
    number_of_study_related_series: int
    number_of_study_related_instances: int
    number_of_conflicts: int
    number_of_damaged_instances: int
    has_patient_conflict: bool
    first_received_at: str
    last_received_at: str


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """One series."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    series_number: int | None
    series_description: str
    body_part_examined: str
    laterality: str
    number_of_series_related_instances: int
    last_received_at: str
    station_name: str = ""


@dataclass(frozen=True, slots=True)
class ImageCount:
    """Images of one series that came from one sender and say the same of side and acquisition.

    `calling_ae_title` is who sent them; `first_number` and `last_number` are the lowest and the
    highest Instance Number (0020,0013), None where there is none.
    """

    study_instance_uid: str
    series_instance_uid: str
    calling_ae_title: str
    image_laterality: str
    acquisition_number: int | None
    images_in_acquisition: int | None
    number_of_images: int
    first_number: int | None
    last_number: int | None


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance. `path` is absolute; positions are in mm (PS3.3 C.7.6.2).

    `slice_thickness` (mm), `trigger_time` (ms) and `echo_time` (ms) are as written; several values
    of `image_type` and `echo_numbers` are joined by a backslash.
    `damaged_at` is when its file was found damaged on disk, ISO 8601 in UTC; '' while it is sound.
    """

    instance_id: int
    path: Path
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    rows: int | None
    columns: int | None
    number_of_frames: int
    bits_allocated: int | None
    photometric_interpretation: str
    image_position_patient: tuple[float, ...] | None
    image_orientation_patient: tuple[float, ...] | None
    frame_of_reference_uid: str
    pixel_spacing: tuple[float, ...] | None
    slice_thickness: str
    image_type: str
    acquisition_time: str
    acquisition_number: int | None
    images_in_acquisition: int | None
    temporal_position_identifier: int | None
    trigger_time: str
    echo_numbers: str
    echo_time: str
    diffusion_b_value: float | None
    size_bytes: int
    digest: str
    received_at: str
    calling_ae_title: str
    version: int
    is_conflict: bool
    damaged_at: str
    image_laterality: str = ""


class IndexReader:
    """The reading side, for any thread of any process. A missing file is an empty index.

    Parameters
    ----------
    path : Path
        The SQLite file; stored instances lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self._database = ReadOnlyDatabase(path, last_table=commitment_reports.name)
        self._rows = self._database.rows
        self._folder = path.parent
        self._known: KnownRows[tuple[str, str, str], InstanceRecord | None] = KnownRows(
            self._database, _MOST_KNOWN
        )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def search_studies(self, query: StudyQuery) -> list[StudyRecord]:
        """Find studies, newest first."""
        statement = (
            sa.select(studies)
            .where(*conditions(query))
            .order_by(
                studies.c.study_date.desc(),
                studies.c.study_time.desc(),
                studies.c.last_received_at.desc(),
                studies.c.study_instance_uid,  # a total order, so that pages never overlap
            )
            .limit(query.limit)
            .offset(query.offset)
        )
        return [_study_record(row) for row in self._rows(statement)]

    def study(self, study_instance_uid: str) -> StudyRecord | None:
        """Return one study, None when unknown."""
        statement = sa.select(studies).where(studies.c.study_instance_uid == study_instance_uid)
        return next((_study_record(row) for row in self._rows(statement)), None)

    def series(self, study_instance_uid: str) -> list[SeriesRecord]:
        """Return the series of a study by number."""
        statement = (
            sa.select(series)
            .where(series.c.study_instance_uid == study_instance_uid)
            .order_by(series.c.series_number.nulls_last(), series.c.series_instance_uid)
        )
        return [SeriesRecord(**row) for row in self._rows(statement)]

    def series_of(self, study_instance_uids: Sequence[str]) -> list[SeriesRecord]:
        """Return the series of several studies, in no order."""
        statement = sa.select(series).where(series.c.study_instance_uid.in_(study_instance_uids))
        return [SeriesRecord(**row) for row in self._rows(statement)]

    def image_counts(self, study_instance_uids: Sequence[str]) -> list[ImageCount]:
        """Return how many images several studies hold, by what tells whether any are missing."""
        said = (
            instances.c.study_instance_uid,
            instances.c.series_instance_uid,
            instances.c.calling_ae_title,
            instances.c.image_laterality,
            instances.c.acquisition_number,
            instances.c.images_in_acquisition,
        )
        statement = (
            sa.select(
                *said,
                sa.func.count().label("number_of_images"),
                sa.func.min(instances.c.instance_number).label("first_number"),
                sa.func.max(instances.c.instance_number).label("last_number"),
            )
            .where(
                instances.c.study_instance_uid.in_(study_instance_uids), instances.c.version == 1
            )
            .group_by(*said)
        )
        return [ImageCount(**row) for row in self._rows(statement)]

    def patient_ids_here(self, patient_ids: Sequence[str], without: Sequence[str] = ()) -> set[str]:
        """Return which of these Patient IDs (0010,0020) any study is held of.

        Parameters
        ----------
        patient_ids : sequence of str
        without : sequence of str
            Study Instance UIDs of studies that do not count.

        Returns
        -------
        set of str
        """
        statement = (
            sa.select(studies.c.patient_id)
            .where(
                studies.c.patient_id.in_(patient_ids),
                studies.c.study_instance_uid.not_in(without),
            )
            .distinct()
        )
        return {row["patient_id"] for row in self._rows(statement)}

    def namesakes(
        self, found: Sequence[StudyRecord], without: Sequence[str] = ()
    ) -> list[tuple[str, str, str]]:
        """Return everyone held who was born on the day, or has the name, of one of these patients.

        Parameters
        ----------
        found : sequence of StudyRecord
        without : sequence of str
            Study Instance UIDs of studies that do not count.

        Returns
        -------
        list of tuple of str
            Patient's Name, birth date and Patient ID.
        """
        who = (studies.c.patient_name, studies.c.patient_birth_date, studies.c.patient_id)
        names = {fold_text(study.patient_name) for study in found}
        days = {study.patient_birth_date for study in found} - {""}
        is_alike = sa.or_(
            studies.c.patient_birth_date.in_(days), studies.c.patient_name_folded.in_(names)
        )
        counts = studies.c.study_instance_uid.not_in(without)
        statement = sa.select(*who).where(is_alike, counts).distinct()
        return [
            (row["patient_name"], row["patient_birth_date"], row["patient_id"])
            for row in self._rows(statement)
        ]

    def instances(
        self, study_instance_uid: str, series_instance_uid: str | None = None
    ) -> list[InstanceRecord]:
        """Return the instances of a study, or of one series, by instance number."""
        if series_instance_uid is None:
            return self._instances(_OF_STUDY, {"study": study_instance_uid})
        return self._instances(
            _OF_SERIES, {"study": study_instance_uid, "series": series_instance_uid}
        )

    def instance(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        asked_at: float = math.inf,
    ) -> InstanceRecord | None:
        """Return one instance, its first version where it has several; None when unknown.

        It is remembered until anything is committed to the index. Of those who asked at about the
        same time, `asked_at` by the monotonic clock in seconds, one looks for all.
        """
        uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
        known = self._known.since(asked_at)
        if uids not in known:
            row = self._database.first_row(_ONE_INSTANCE, dict(zip(_UIDS, uids, strict=True)))
            known[uids] = None if row is None else self._instance_record(row)
        return known[uids]

    def instances_after(self, instance_id: int, limit: int) -> list[InstanceRecord]:
        """Return instances in the order they were indexed, after a given one."""
        return self._instances(_AFTER, {"after": instance_id, "limit": limit})

    def stored_after(self, path: str, limit: int) -> list[InstanceRecord]:
        """Return instances in the order of their paths (relative, as stored), after a given one."""
        return self._instances(_STORED_AFTER, {"after": path, "limit": limit})

    def holds_path(self, path: str) -> bool:
        """Tell whether a file is indexed, by its path relative to the data folder."""
        statement = sa.select(instances.c.instance_id).where(instances.c.path == path)
        return bool(self._rows(statement))

    def newest_instance_id(self) -> int:
        """Return the number of the instance that was indexed last, 0 when there is none."""
        statement = sa.select(sa.func.max(instances.c.instance_id).label("last"))
        return next((row["last"] or 0 for row in self._rows(statement)), 0)

    def studies_after(self, instance_id: int) -> set[str]:
        """Return the studies of what was indexed after a given instance."""
        return {row[0] for row in self._database.plain_rows(_GROWN, {"after": instance_id})}

    def damaged_paths(self) -> dict[str, str]:
        """Return when each damaged file was found so, by its path relative to the data folder."""
        statement = sa.select(instances.c.path, instances.c.damaged_at).where(_IS_DAMAGED)
        return {row["path"]: row["damaged_at"] for row in self._rows(statement)}

    def count_after(self, instance_id: int) -> int:
        """Return how many instances were indexed after a given one."""
        statement = sa.select(sa.func.count().label("n")).where(
            instances.c.instance_id > instance_id
        )
        return next((row["n"] for row in self._rows(statement)), 0)

    def commitment_reports_after(self, report_id: int) -> list[CommitmentReport]:
        """Return answers to storage commitment after a given one, oldest first."""
        statement = (
            sa.select(commitment_reports)
            .where(commitment_reports.c.report_id > report_id)
            .order_by(commitment_reports.c.report_id)
        )
        return [CommitmentReport(**row) for row in self._rows(statement)]

    def commitment_reports_of(self, transaction_uid: str) -> list[CommitmentReport]:
        """Return the answers to one request for storage commitment so far."""
        statement = sa.select(commitment_reports).where(
            commitment_reports.c.transaction_uid == transaction_uid
        )
        return [CommitmentReport(**row) for row in self._rows(statement)]

    def generation(self) -> str:
        """Return the identity of this index; a rebuilt one has another."""
        statement = sa.select(about.c.value).where(about.c.key == "generation")
        return next((row["value"] for row in self._rows(statement)), "")

    def revision(self) -> str:
        """Return a text that changes whenever anything was indexed."""
        row = self._database.first_row(_REVISION, {})
        return "-0-0" if row is None else f"{row[0] or ''}-{row[1] or 0}-{row[2]}"

    def study_revision(self, study_instance_uid: str) -> str:
        """Return a text that changes whenever anything of a study was indexed or found damaged."""
        row = self._database.first_row(_STUDY_REVISION, {"study": study_instance_uid})
        return "" if row is None else "-".join(str(part or 0) for part in row)

    def counts(self) -> dict[str, int]:
        """Return how many studies, series, instances, conflicts and damaged files there are."""
        statement = sa.select(
            sa.select(sa.func.count()).select_from(studies).scalar_subquery().label("studies"),
            sa.select(sa.func.count()).select_from(series).scalar_subquery().label("series"),
            sa.select(sa.func.count()).select_from(instances).scalar_subquery().label("instances"),
            sa.select(sa.func.count())
            .where(instances.c.is_conflict)
            .scalar_subquery()
            .label("conflicts"),
            sa.select(sa.func.count())
            .select_from(instances)
            .where(_IS_DAMAGED)
            .scalar_subquery()
            .label("damaged"),
        )
        empty = {"studies": 0, "series": 0, "instances": 0, "conflicts": 0, "damaged": 0}
        return next((dict(row) for row in self._rows(statement)), empty)

    def paths(self) -> set[str]:
        """Return the path of every indexed instance, relative to the data folder."""
        return {row["path"] for row in self._rows(sa.select(instances.c.path))}

    def _instances(
        self, statement: sa.Select[Any], parameters: dict[str, str | int]
    ) -> list[InstanceRecord]:
        rows = self._database.plain_rows(statement, parameters)
        return [self._instance_record(row) for row in rows]

    def _instance_record(self, row: Sequence[Any]) -> InstanceRecord:
        """Make a record of a row's values, which stand in the order of its fields."""
        values = list(row)
        values[_PATH] = Path(f"{self._folder}/{values[_PATH]}")  # half the time of joining
        for place in _DECIMALS:
            values[place] = _decimals(values[place])
        values[_IS_CONFLICT] = bool(values[_IS_CONFLICT])
        return InstanceRecord(*values)


_FIELDS: Final = tuple(field.name for field in fields(InstanceRecord))
_PATH: Final = _FIELDS.index("path")
_IS_CONFLICT: Final = _FIELDS.index("is_conflict")
_DECIMALS: Final = tuple(
    map(_FIELDS.index, ("image_position_patient", "image_orientation_patient", "pixel_spacing"))
)

# made once: building a statement costs more than running it
_INSTANCES: Final = sa.select(*(instances.c[name] for name in _FIELDS))
_OF_STUDY: Final = _INSTANCES.where(
    instances.c.study_instance_uid == sa.bindparam("study")
).order_by(
    instances.c.series_instance_uid,
    instances.c.instance_number.nulls_last(),
    instances.c.instance_id,
)
_OF_SERIES: Final = _OF_STUDY.where(instances.c.series_instance_uid == sa.bindparam("series"))
_ONE_INSTANCE: Final = _INSTANCES.where(
    instances.c.study_instance_uid == sa.bindparam("study"),
    instances.c.series_instance_uid == sa.bindparam("series"),
    instances.c.sop_instance_uid == sa.bindparam("instance"),
).order_by(instances.c.version)
_AFTER: Final = (
    _INSTANCES.where(instances.c.instance_id > sa.bindparam("after"))
    .order_by(instances.c.instance_id)
    .limit(sa.bindparam("limit"))
)
_REVISION: Final = sa.select(
    sa.select(about.c.value).where(about.c.key == "generation").scalar_subquery(),
    sa.select(sa.func.max(instances.c.instance_id)).scalar_subquery(),
    sa.select(sa.func.count())
    .select_from(instances)
    .where(instances.c.damaged_at != sa.literal_column("''"))  # written out: for its own index
    .scalar_subquery(),
)
_STUDY_REVISION: Final = sa.select(
    sa.select(about.c.value).where(about.c.key == "generation").scalar_subquery(),
    sa.func.max(instances.c.instance_id),
    sa.func.count(),
    sa.func.count().filter(_IS_DAMAGED),
    sa.func.count().filter(instances.c.is_conflict),
).where(instances.c.study_instance_uid == sa.bindparam("study"))
_GROWN: Final = (
    sa.select(instances.c.study_instance_uid)
    .where(instances.c.instance_id > sa.bindparam("after"))
    .distinct()
)
_STORED_AFTER: Final = (
    _INSTANCES.where(instances.c.path > sa.bindparam("after"))
    .order_by(instances.c.path)
    .limit(sa.bindparam("limit"))
)


def _study_record(row: sa.RowMapping) -> StudyRecord:
    values = {field.name: row[field.name] for field in fields(StudyRecord)}
    values["modalities_in_study"] = tuple(
        sorted(filter(None, (row["modalities_in_study"] or "").split(",")))
    )
    return StudyRecord(**values)


@lru_cache(maxsize=_DECIMALS_KEPT)  # orientation and spacing are the same in a whole series
def _decimals(text: str) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in text.split("\\")) if text else None
    except ValueError:
        return None
    return numbers if numbers and all(map(math.isfinite, numbers)) else None
