"""desk.sqlite: what people decided at the pages. Written by web processes, read by the others."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from dicom_node.database import BUSY_TIMEOUT_S, ReadOnlyDatabase, writer_engine

FILE: Final = "desk.sqlite"


def open_desk(
    data: Path, metadata: sa.MetaData, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> sa.Engine:
    """Open the desk for writing, with the tables of one concern made where they are missing.

    Parameters
    ----------
    data : Path
        The data folder.
    metadata : sqlalchemy.MetaData
        The tables of one concern. Each concern has its own, so that none knows the others.
    busy_timeout_s : float
        How long to wait for others that read or write, seconds.

    Returns
    -------
    sqlalchemy.Engine
        A commit that returned survives a power cut.
    """
    engine = writer_engine(data / FILE, journal_mode="DELETE", busy_timeout_s=busy_timeout_s)
    metadata.create_all(engine)
    return engine


def read_desk(data: Path, metadata: sa.MetaData) -> ReadOnlyDatabase:
    """Return a reader of the desk; while the tables of a concern are missing, it is empty.

    Parameters
    ----------
    data : Path
        The data folder.
    metadata : sqlalchemy.MetaData
        The tables of that concern.

    Returns
    -------
    ReadOnlyDatabase
    """
    return ReadOnlyDatabase(data / FILE, metadata.sorted_tables[-1].name, rolls_back=True)
