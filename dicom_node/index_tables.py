"""The tables of the index."""

import unicodedata
from typing import Any, Final

import sqlalchemy as sa

SCHEMA_VERSION: Final = "1"

metadata = sa.MetaData()


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="", **options)


about = sa.Table(
    "about",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

studies = sa.Table(
    "studies",
    metadata,
    sa.Column("study_instance_uid", sa.Text, primary_key=True),
    _text("patient_name"),
    _text("patient_id"),
    _text("issuer_of_patient_id"),
    _text("patient_birth_date"),
    _text("patient_sex"),
    _text("accession_number", index=True),
    _text("study_id"),
    _text("study_date"),
    _text("study_time"),
    _text("study_description"),
    _text("referring_physician_name"),
    _text("modalities_in_study"),
    _text("patient_name_folded", index=True),
    _text("search_text"),
    sa.Column("number_of_study_related_series", sa.Integer, nullable=False, server_default="0"),
    sa.Column("number_of_study_related_instances", sa.Integer, nullable=False, server_default="0"),
    sa.Column("number_of_conflicts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("has_patient_conflict", sa.Boolean, nullable=False, server_default="0"),
    _text("first_received_at"),
    _text("last_received_at"),
    sa.Index("studies_newest", sa.text("study_date DESC, study_time DESC, last_received_at DESC")),
    sa.Index("studies_patient_id", "patient_id"),
)

series = sa.Table(
    "series",
    metadata,
    sa.Column("study_instance_uid", sa.Text, primary_key=True),
    sa.Column("series_instance_uid", sa.Text, primary_key=True),
    _text("modality"),
    sa.Column("series_number", sa.Integer),
    _text("series_description"),
    _text("body_part_examined"),
    _text("laterality"),
    sa.Column("number_of_series_related_instances", sa.Integer, nullable=False, server_default="0"),
    _text("last_received_at"),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("instance_id", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),
    _text("study_instance_uid"),
    _text("series_instance_uid"),
    _text("sop_instance_uid", index=True),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    sa.Column("instance_number", sa.Integer),
    sa.Column("rows", sa.Integer),
    sa.Column("columns", sa.Integer),
    sa.Column("number_of_frames", sa.Integer, nullable=False, server_default="1"),
    sa.Column("bits_allocated", sa.Integer),
    _text("photometric_interpretation"),
    _text("image_position_patient"),
    _text("image_orientation_patient"),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    _text("digest"),
    _text("received_at"),
    _text("calling_ae_title"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("is_conflict", sa.Boolean, nullable=False, server_default="0"),
    sa.Index("instances_of_series", "study_instance_uid", "series_instance_uid"),
)

commitment_reports = sa.Table(
    "commitment_reports",
    metadata,
    sa.Column("report_id", sa.Integer, primary_key=True),
    _text("transaction_uid"),
    _text("sop_instance_uid"),
    sa.Column("failure_reason", sa.Integer),
    _text("received_at"),
)
"""Answers to storage commitment as they arrive on our port; the ledger takes them from here."""


def fold_text(*texts: str) -> str:
    """Fold texts for searching: upper case, no accents, name components apart.

    Examples
    --------
    >>> fold_text("Müller^Jörg", "PH-1")
    'MULLER JORG PH-1'
    """
    folded = unicodedata.normalize("NFKD", " ".join(texts)).upper()
    plain = "".join(mark for mark in folded if not unicodedata.combining(mark))
    return " ".join(plain.translate(str.maketrans("^=,", "   ")).split())
