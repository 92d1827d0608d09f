"""What is looked for among studies, and the conditions of SQL that say so."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dicom_node.index_tables import fold_text, studies


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """What to look for. Values take the wildcards `*` and `?`; '' matches everything.

    `text` is looked for anywhere in name, patient ID and accession number, every word of it;
    `study_date` is YYYYMMDD or a range `a-b`, `a-`, `-b`.
    """

    text: str = ""
    patient_name: str = ""
    patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    modality: str = ""
    study_instance_uid: str = ""
    limit: int = 100
    offset: int = 0


def conditions(query: StudyQuery) -> list[sa.ColumnElement[bool]]:
    """Return the conditions a study must meet.

    Parameters
    ----------
    query : StudyQuery

    Returns
    -------
    list of sqlalchemy.ColumnElement
    """
    wanted = [_contains(word) for word in fold_text(query.text).split()]
    if query.patient_name:
        wanted.append(_matches(studies.c.patient_name_folded, fold_text(query.patient_name)))
    for name in ("patient_id", "accession_number", "study_instance_uid"):
        if value := getattr(query, name):
            wanted.append(_matches(studies.c[name], value))
    if query.study_date:
        wanted.extend(_in_range(studies.c.study_date, query.study_date))
    if query.modality:
        listed = "," + studies.c.modalities_in_study + ","
        wanted.append(listed.like(f"%,{_like(query.modality.upper())},%", escape="!"))
    return wanted


def _contains(word: str) -> sa.ColumnElement[bool]:
    return studies.c.search_text.like(f"%{_like(word)}%", escape="!")


def _matches(column: sa.Column[Any], value: str) -> sa.ColumnElement[bool]:
    """Match a single value, a list of UIDs, or wildcards (PS3.4 C.2.2.2)."""
    if "\\" in value:
        return column.in_(value.split("\\"))
    if "*" in value or "?" in value:
        return column.like(_like(value), escape="!")
    return column == value


def _in_range(column: sa.Column[Any], value: str) -> list[sa.ColumnElement[bool]]:
    first, dash, last = value.partition("-")
    if not dash:
        return [column == value]
    conditions: list[sa.ColumnElement[bool]] = [column != ""]
    conditions += [column >= first] if first else []
    conditions += [column <= last] if last else []
    return conditions


def _like(value: str) -> str:
    """Turn DICOM wildcards into those of LIKE, with `!` as the escape character."""
    for special in "!%_":
        value = value.replace(special, "!" + special)
    return value.replace("*", "%").replace("?", "_")
