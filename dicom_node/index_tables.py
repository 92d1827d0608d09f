"""The tables of the index."""

import unicodedata
from typing import Final

import sqlalchemy as sa

from dicom_node.database import text_column

SCHEMA_VERSION: Final = "4"
"""An index of another version is set aside and built anew from the files."""

COMPLETE: Final = "complete"
"""Key in `about` of an index that every stored file was entered in; a new one has none."""

metadata = sa.MetaData()


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
    text_column("patient_name"),
    text_column("patient_id"),
    text_column("issuer_of_patient_id"),
    text_column("patient_birth_date"),
    text_column("patient_sex"),
    text_column("accession_number", index=True),
    text_column("study_id"),
    text_column("study_date"),
    text_column("study_time"),
    text_column("study_description"),
    text_column("referring_physician_name"),
    text_column("modalities_in_study"),
    text_column("patient_name_folded", index=True),
    text_column("search_text"),
    sa.Column("number_of_study_related_series", sa.Integer, nullable=False, server_default="0"),
    sa.Column("number_of_study_related_instances", sa.Integer, nullable=False, server_default="0"),
    sa.Column("number_of_conflicts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("number_of_damaged_instances", sa.Integer, nullable=False, server_default="0"),
    sa.Column("has_patient_conflict", sa.Boolean, nullable=False, server_default="0"),
    text_column("first_received_at"),
    text_column("last_received_at"),
    sa.Index("studies_newest", sa.text("study_date DESC, study_time DESC, last_received_at DESC")),
    sa.Index("studies_patient_id", "patient_id"),
    sa.Index("studies_born", "patient_birth_date", "patient_name_folded"),
)

series = sa.Table(
    "series",
    metadata,
    sa.Column("study_instance_uid", sa.Text, primary_key=True),
    sa.Column("series_instance_uid", sa.Text, primary_key=True),
    text_column("modality"),
    sa.Column("series_number", sa.Integer),
    text_column("series_description"),
    text_column("body_part_examined"),
    text_column("laterality"),
    text_column("station_name"),
    sa.Column("number_of_series_related_instances", sa.Integer, nullable=False, server_default="0"),
    text_column("last_received_at"),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("instance_id", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),
    text_column("study_instance_uid"),
    text_column("series_instance_uid"),
    text_column("sop_instance_uid", index=True),
    text_column("sop_class_uid"),
    text_column("transfer_syntax_uid"),
    sa.Column("instance_number", sa.Integer),
    sa.Column("rows", sa.Integer),
    sa.Column("columns", sa.Integer),
    sa.Column("number_of_frames", sa.Integer, nullable=False, server_default="1"),
    sa.Column("bits_allocated", sa.Integer),
    text_column("photometric_interpretation"),
    text_column("image_position_patient"),
    text_column("image_orientation_patient"),
    text_column("frame_of_reference_uid"),
    text_column("image_laterality"),
    text_column("pixel_spacing"),
    text_column("slice_thickness"),
    text_column("image_type"),
    text_column("acquisition_time"),
    sa.Column("acquisition_number", sa.Integer),
    sa.Column("images_in_acquisition", sa.Integer),
    sa.Column("temporal_position_identifier", sa.Integer),
    text_column("trigger_time"),
    text_column("echo_numbers"),
    text_column("echo_time"),
    sa.Column("diffusion_b_value", sa.Float),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    text_column("digest"),
    text_column("received_at"),
    text_column("calling_ae_title"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("is_conflict", sa.Boolean, nullable=False, server_default="0"),
    text_column("damaged_at"),
    # the last six let the board count what is here without reading a row
    sa.Index(
        "instances_of_series",
        "study_instance_uid",
        "series_instance_uid",
        "calling_ae_title",
        "image_laterality",
        "acquisition_number",
        "images_in_acquisition",
        "instance_number",
        "version",
    ),
)

sa.Index(
    "instances_damaged",
    instances.c.study_instance_uid,
    sqlite_where=instances.c.damaged_at != "",
)

sa.Index(
    "instances_conflicting",
    instances.c.study_instance_uid,
    sqlite_where=sa.text("is_conflict = 1"),  # as the queries ask it
)

commitment_reports = sa.Table(
    "commitment_reports",
    metadata,
    sa.Column("report_id", sa.Integer, primary_key=True),
    text_column("transaction_uid"),
    text_column("sop_instance_uid"),
    sa.Column("failure_reason", sa.Integer),
    text_column("received_at"),
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
