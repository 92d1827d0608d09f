"""The tables of the ledger: what we promised and decided, which no file can tell."""

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
"""Schema version, and up to where index and commitment reports were read."""

destinations = sa.Table(
    "destinations",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    _text("ae_title"),
    _text("host"),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("is_reachable", sa.Boolean),
    _text("probed_at"),
    _text("changed_at"),
    _text("detail"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("delivery_id", sa.Integer, primary_key=True),
    _text("destination"),
    _text("study_instance_uid"),
    _text("series_instance_uid"),
    _text("sop_instance_uid"),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _text("path"),
    _text("digest"),
    _text("state"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _text("queued_at"),
    _text("sent_at"),
    _text("stored_at"),
    _text("proven_at"),
    _text("proof"),
    _text("transaction_uid"),
    _text("next_attempt_at"),
    sa.Column("last_status", sa.Integer),
    _text("last_error"),
    sa.UniqueConstraint("destination", "sop_instance_uid", "digest"),
    sa.Index("deliveries_state", "destination", "state"),
    sa.Index("deliveries_study", "study_instance_uid"),
)

commitments = sa.Table(
    "commitments",
    metadata,
    sa.Column("transaction_uid", sa.Text, primary_key=True),
    _text("destination"),
    _text("requested_at"),
    _text("answered_at"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("event_id", sa.Integer, primary_key=True),
    _text("at"),
    _text("kind"),
    _text("destination"),
    _text("detail"),
)
