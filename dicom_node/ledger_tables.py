"""The tables of the ledger: what we promised and decided, which no file can tell."""

from typing import Final

import sqlalchemy as sa

from dicom_node.database import text_column

SCHEMA_VERSION: Final = "4"
"""An older ledger is brought up to date by `ledger_migration`, which has a step for each."""

metadata = sa.MetaData()


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
    text_column("ae_title"),
    text_column("host"),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("is_reachable", sa.Boolean),
    text_column("probed_at"),
    text_column("changed_at"),
    text_column("detail"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("delivery_id", sa.Integer, primary_key=True),
    text_column("destination"),
    text_column("study_instance_uid"),
    text_column("series_instance_uid"),
    text_column("sop_instance_uid"),
    text_column("sop_class_uid"),
    text_column("transfer_syntax_uid"),
    text_column("path"),
    text_column("digest"),
    text_column("state"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    text_column("queued_at"),
    text_column("sent_at"),
    text_column("stored_at"),
    text_column("proven_at"),
    text_column("proof"),
    text_column("transaction_uid"),
    text_column("next_attempt_at"),
    sa.Column("last_status", sa.Integer),
    text_column("last_error"),
    text_column("sent_transfer_syntax_uid"),
    text_column("first_failed_at"),
    text_column("verified_at"),
    text_column("identity_state"),
    text_column("correction_id"),
    text_column("sent_study_instance_uid"),
    text_column("sent_series_instance_uid"),
    text_column("sent_sop_instance_uid"),
    text_column("sent_digest"),
    sa.UniqueConstraint("destination", "sop_instance_uid", "digest"),
    sa.Index("deliveries_study", "study_instance_uid", "destination", "state"),
    sa.Index("deliveries_due", "destination", "state", "queued_at"),
    sa.Index("deliveries_verified", "destination", "state", "verified_at"),
    sa.Index("deliveries_transaction", "transaction_uid", "state", "destination"),
    sa.Index("deliveries_stored", "destination", "stored_at"),
    sa.Index("deliveries_proven", "destination", "proven_at"),
)
"""What is owed. Each index answers one question that is asked of a ledger of a million rows."""

commitments = sa.Table(
    "commitments",
    metadata,
    sa.Column("transaction_uid", sa.Text, primary_key=True),
    text_column("destination"),
    text_column("requested_at"),
)

commitment_items = sa.Table(
    "commitment_items",
    metadata,
    sa.Column("transaction_uid", sa.Text, primary_key=True),
    sa.Column("delivery_id", sa.Integer, primary_key=True),
    text_column("sop_instance_uid"),
)
"""What each request named; kept for answers that come late."""

identity_difference = sa.Table(
    "identity_difference",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("study_instance_uid", sa.Text, primary_key=True),
    text_column("found_at"),
    text_column("state"),
    text_column("differences"),
)
"""Studies a PACS keeps under another identity than ours; `differences` is JSON."""

identity_decisions = sa.Table(
    "identity_decisions",
    metadata,
    sa.Column("decision_id", sa.Integer, primary_key=True),
    text_column("destination"),
    text_column("place"),
    text_column("study_instance_uid"),
    text_column("decision"),
    text_column("meaning"),
    text_column("kept"),
    text_column("differences"),
    text_column("at"),
    text_column("by"),
    text_column("reason"),
    sa.Index("identity_decisions_study", "study_instance_uid", "destination"),
)
"""What people decided about such studies; rows are added and never changed."""

reissues = sa.Table(
    "reissues",
    metadata,
    sa.Column("reissue_id", sa.Integer, primary_key=True),
    text_column("destination"),
    text_column("study_instance_uid"),
    text_column("correction_id"),
    text_column("namespace"),
    text_column("title"),
    text_column("at"),
    text_column("by"),
    text_column("reason"),
    text_column("state"),
    text_column("settled_at"),
    text_column("detail"),
    sa.Column("still_listed", sa.Integer),
    text_column("looked_at"),
    sa.Index("reissues_study", "study_instance_uid", "destination"),
)
"""Studies a PACS is sent once more under new UIDs; see `reissue.Reissue`."""

rejected_instances = sa.Table(
    "rejected_instances",
    metadata,
    sa.Column("reissue_id", sa.Integer, primary_key=True),
    sa.Column("delivery_id", sa.Integer, primary_key=True),
    text_column("sent_at"),
    text_column("stored_at"),
    text_column("correction_id"),
)
"""What a PACS had, or perhaps had, under the old UIDs, and what the ledger said of it then."""

LAST_TABLE: Final = rejected_instances.name
"""Where it is there, the ledger has the form of today."""

events = sa.Table(
    "events",
    metadata,
    sa.Column("event_id", sa.Integer, primary_key=True),
    text_column("at"),
    text_column("kind"),
    text_column("destination"),
    text_column("detail"),
)
