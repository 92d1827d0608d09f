"""The form of the ledger: made whole, brought up to date, or refused."""

from pathlib import Path

import sqlalchemy as sa

from dicom_node.errors import BadSettings
from dicom_node.ledger_tables import SCHEMA_VERSION, metadata
from dicom_node.ledger_version import begin_change, ledger_version, set_ledger_version


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


def _make(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        begin_change(connection)
        metadata.create_all(connection)
        set_ledger_version(connection, int(SCHEMA_VERSION))
