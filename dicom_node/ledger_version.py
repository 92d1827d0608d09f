"""The version of the form of a ledger, written down inside it."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa
import sqlalchemy.exc

from dicom_node.database import reader_engine
from dicom_node.ledger_tables import SCHEMA_VERSION, about, deliveries


def is_current(path: Path) -> bool:
    """Tell whether a ledger can be read now and has the form of today.

    Parameters
    ----------
    path : Path
        An existing file; while it is made or brought up to date it says nothing.

    Returns
    -------
    bool
    """
    engine = reader_engine(path)
    try:
        with engine.connect() as connection:
            return ledger_version(connection) == int(SCHEMA_VERSION)
    except (sa.exc.DBAPIError, sqlite3.Error, ValueError):
        return False
    finally:
        engine.dispose()


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
