"""The form of the ledger: made whole, brought up to date, or refused."""

from pathlib import Path

import sqlalchemy as sa

from dicom_node.errors import BadSettings
from dicom_node.ledger_tables import SCHEMA_VERSION, about, deliveries, metadata


def prepare_ledger(engine: sa.Engine, path: Path) -> None:
    """Make the tables of a new ledger, or bring those of an older one up to date.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        The one writer of the file.
    path : Path
        The file: an older ledger is copied beside it before it is changed.

    Raises
    ------
    BadSettings
        A newer version of Lifeboat wrote it.
    StorageFailed
        There is no room for the copy.
    """
    with engine.connect() as connection:
        version = ledger_version(connection)
    if version == 0:
        _make(engine)
    elif version < int(SCHEMA_VERSION):
        # takes a third of a second to import, and is needed once in the life of a ledger
        from dicom_node.ledger_migration import migrate_ledger

        migrate_ledger(engine, path, version)
    elif version > int(SCHEMA_VERSION):
        raise BadSettings(
            f"{path.name} was written by a newer version of Lifeboat (form {version}, this one "
            f"knows up to {SCHEMA_VERSION}): install that one again; nothing was changed"
        )


def ledger_version(connection: sa.Connection) -> int:
    """Return the version of the form of a ledger, 0 when there are no tables yet.

    Parameters
    ----------
    connection : sqlalchemy.Connection

    Returns
    -------
    int
    """
    inspector = sa.inspect(connection)
    if not inspector.has_table(deliveries.name):
        return 0
    value = None
    if inspector.has_table(about.name):
        value = connection.scalar(sa.select(about.c.value).where(about.c.key == "schema"))
    # only the first version could be cut off between its tables and its version
    return int(value or 1)


def set_ledger_version(connection: sa.Connection, version: int) -> None:
    """Write down the version of the form, in the transaction that made it."""
    connection.execute(sa.delete(about).where(about.c.key == "schema"))
    connection.execute(sa.insert(about).values(key="schema", value=str(version)))


def begin_change(connection: sa.Connection) -> None:
    """Begin a transaction that holds changes of tables too, which the driver does not."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        begin_change(connection)
        metadata.create_all(connection)
        set_ledger_version(connection, int(SCHEMA_VERSION))
