"""Steps that bring an older ledger up to date, one for each version of its form.

A step is never changed once it was released: it names columns itself, because the tables of
today are not those it made.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from dicom_node.durable_file import sync_file, sync_folder
from dicom_node.errors import StorageFailed
from dicom_node.ledger_version import begin_change, set_ledger_version


def migrate_ledger(engine: sa.Engine, path: Path, version: int) -> None:
    """Bring a ledger from an older version to the newest, all in one transaction.

    A crash leaves the old ledger or the new one. A copy of the old one is kept beside it.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        The one writer of the file.
    path : Path
        The file.
    version : int
        Of the ledger as it is.

    Raises
    ------
    StorageFailed
        There is no room for the copy; nothing was changed.
    """
    _copy(engine, path, path.with_name(f"{path.stem}-v{version}{path.suffix}"))
    with engine.begin() as connection:
        begin_change(connection)
        operations = Operations(MigrationContext.configure(connection))
        for number in sorted(STEPS):
            if number > version:
                STEPS[number](operations)
                set_ledger_version(connection, number)


def _copy(engine: sa.Engine, path: Path, copy: Path) -> None:
    fresh = copy.with_name(f"{copy.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        _back_up(engine, fresh)
        sync_file(fresh)
        fresh.replace(copy)
        sync_folder(copy.parent)
    except (OSError, sqlite3.Error) as exc:
        raise StorageFailed(
            f"{path.name} cannot be copied before it is brought up to date: "
            f"make room beside it, at least its own size; nothing was changed"
        ) from exc


def _back_up(engine: sa.Engine, target: Path) -> None:
    with engine.connect() as connection:
        source = cast(sqlite3.Connection, connection.connection.driver_connection)
        copy = sqlite3.connect(target)
        try:
            source.backup(copy)
        finally:
            copy.close()


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _to_2(operations: Operations) -> None:
    for name in (
        "sent_transfer_syntax_uid",
        "first_failed_at",
        "verified_at",
        "identity_state",
        "correction_id",
    ):
        operations.add_column("deliveries", _text(name))
    operations.drop_index("deliveries_state")
    operations.drop_index("deliveries_study")
    for name, columns in (
        ("deliveries_study", ["study_instance_uid", "destination", "state"]),
        ("deliveries_due", ["destination", "state", "queued_at"]),
        ("deliveries_verified", ["destination", "state", "verified_at"]),
        ("deliveries_transaction", ["transaction_uid", "state", "destination"]),
        ("deliveries_stored", ["destination", "stored_at"]),
        ("deliveries_proven", ["destination", "proven_at"]),
    ):
        operations.create_index(name, "deliveries", columns)
    operations.create_table(
        "identity_difference",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("study_instance_uid", sa.Text, primary_key=True),
        *map(_text, ("found_at", "state", "differences")),
    )


def _to_3(operations: Operations) -> None:
    names = ("destination", "place", "study_instance_uid", "decision", "meaning")
    more = ("kept", "differences", "at", "by", "reason")
    operations.create_table(
        "identity_decisions",
        sa.Column("decision_id", sa.Integer, primary_key=True),
        *map(_text, (*names, *more)),
    )
    columns = ["study_instance_uid", "destination"]
    operations.create_index("identity_decisions_study", "identity_decisions", columns)


def _to_4(operations: Operations) -> None:
    uids = ("sent_study_instance_uid", "sent_series_instance_uid", "sent_sop_instance_uid")
    for name in (*uids, "sent_digest"):
        operations.add_column("deliveries", _text(name))
    names = ("destination", "study_instance_uid", "correction_id", "namespace", "title")
    more = ("at", "by", "reason", "state", "settled_at", "detail")
    operations.create_table(
        "reissues",
        sa.Column("reissue_id", sa.Integer, primary_key=True),
        *map(_text, (*names, *more)),
        sa.Column("still_listed", sa.Integer),
        _text("looked_at"),
    )
    operations.create_index("reissues_study", "reissues", ["study_instance_uid", "destination"])
    operations.create_table(
        "rejected_instances",
        sa.Column("reissue_id", sa.Integer, primary_key=True),
        sa.Column("delivery_id", sa.Integer, primary_key=True),
        *map(_text, ("sent_at", "stored_at", "correction_id")),
    )


STEPS: Final[Mapping[int, Callable[[Operations], None]]] = {2: _to_2, 3: _to_3, 4: _to_4}
"""The step that makes each version out of the one before."""
