"""SQLite as we use it: WAL, one writer connection per file, readers that cannot write."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

BUSY_TIMEOUT_S = 10.0


def writer_engine(path: Path) -> sa.Engine:
    """Open the one writer of a database file.

    Parameters
    ----------
    path : Path
        The SQLite file, made when missing.

    Returns
    -------
    sqlalchemy.Engine
        WAL, synchronous=FULL: a commit that returned survives a power cut.
    """

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    return _engine(connect, pool_size=1)


def reader_engine(path: Path) -> sa.Engine:
    """Open a database file for reading only.

    Parameters
    ----------
    path : Path
        An existing SQLite file.

    Returns
    -------
    sqlalchemy.Engine
        Its connections refuse to write.
    """
    uri = f"file:{quote(str(path))}?mode=ro"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA query_only=ON")
        return connection

    return _engine(connect, pool_size=16)


def _engine(connect: Callable[[], Any], pool_size: int) -> sa.Engine:
    return sa.create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=pool_size, max_overflow=0
    )
