"""SQLite as we use it: WAL, one writer connection per file, readers that cannot write."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
import sqlalchemy.exc
from sqlalchemy.pool import QueuePool

from dicom_node.errors import DatabaseFailed

BUSY_TIMEOUT_S = 10.0
Rows = Callable[..., list[dict[str, Any]]]
"""Takes a query, and the values of its parameters; returns rows."""

_Text = tuple[str, tuple[str, ...], dict[str, Any]]
"""A statement as text, the names of its values in their order, and those that never change."""


def writer_engine(
    path: Path, journal_mode: str = "WAL", busy_timeout_s: float = BUSY_TIMEOUT_S
) -> sa.Engine:
    """Open a database file for writing.

    Parameters
    ----------
    path : Path
        The SQLite file, made when missing.
    journal_mode : str
        With `WAL` there must be one writer: two that checkpoint at once can corrupt the file before
        SQLite 3.51.3. With `DELETE` there may be several.
    busy_timeout_s : float
        How long to wait for others that write, or with `DELETE` read, seconds.

    Returns
    -------
    sqlalchemy.Engine
        synchronous=FULL: a commit that returned survives a power cut.
    """

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=busy_timeout_s, check_same_thread=False)
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    return _engine(connect, pool_size=1)


def reader_engine(path: Path, *, rolls_back: bool = False) -> sa.Engine:
    """Open a database file for reading only.

    Parameters
    ----------
    path : Path
        An existing SQLite file.
    rolls_back : bool
        It has a rollback journal, which the first reader after a writer was killed must play back:
        only a connection that may write can. Where nothing can be written it is read as it is.

    Returns
    -------
    sqlalchemy.Engine
        Its connections refuse to write.
    """

    def connect() -> sqlite3.Connection:
        # without the right to write, SQLite opens what is `rw` for reading only
        mode = "rw" if rolls_back else "ro"
        uri = f"file:{quote(str(path))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA query_only=ON")
        return connection

    return _engine(connect, pool_size=16)


def text_column(name: str, **options: Any) -> sa.Column[str]:
    """Return a text column that is '' when absent, never NULL."""
    return sa.Column(name, sa.Text, nullable=False, server_default="", **options)


class ReadOnlyDatabase:
    """A database file another process writes; a missing one is empty.

    Parameters
    ----------
    path : Path
        The SQLite file.
    last_table : str
        The table its writer makes last: before it exists, there is nothing to read.
    rolls_back : bool
        As `reader_engine`.
    """

    def __init__(self, path: Path, last_table: str, *, rolls_back: bool = False) -> None:
        self.path = path
        self._rolls_back = rolls_back
        self._last_table = last_table
        self._opened: sa.Engine | None = None
        self._texts: dict[sa.Select[Any], _Text] = {}
        self._watching = threading.Lock()
        self._watch: tuple[sa.Engine, sa.PoolProxiedConnection] | None = None
        self._identity: tuple[int, int] | None = None
        self._seen_without: tuple[object, ...] = ()

    def close(self) -> None:
        """Close the file; the next `rows` opens it again."""
        with self._watching:
            self._end_watch()
        if self._opened is not None:
            self._opened.dispose()
            self._opened = None

    def version(self) -> Hashable:
        """Return what is another one after every commit, and in a file that was replaced.

        What is read after it was taken is as new as it is, or newer. So it may be used for as long
        as this returns the same.

        Returns
        -------
        hashable
            None while the file is missing.

        Raises
        ------
        DatabaseFailed
            The file is damaged, or the disk failed.
        """
        try:
            engine = self._engine()
            return None if engine is None else self._commits_seen(engine)
        except (sqlite3.Error, sa.exc.DBAPIError) as exc:
            raise self._failed() from exc

    def _commits_seen(self, engine: sa.Engine) -> Hashable:
        """Return SQLite's `data_version` and whose it is: it counts for one connection only."""
        with self._watching:
            if self._watch is None or self._watch[0] is not engine:
                self._end_watch()
                self._watch = engine, engine.raw_connection()
            cursor = self._watch[1].cursor()
            cursor.execute("PRAGMA data_version")
            ((number,),) = cursor.fetchall()
            return self._watch[1], number

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch[1].close()
            self._watch = None

    def rows(self, statement: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        """Return the rows of a query, none while the file is missing.

        Raises
        ------
        DatabaseFailed
            The file is damaged, or the disk failed.
        """
        try:
            engine = self._engine()
            if engine is None:
                return []
            with engine.connect() as connection:
                return connection.execute(statement).mappings().all()
        except sa.exc.DBAPIError as exc:
            raise self._failed() from exc

    @contextmanager
    def snapshot(self) -> Iterator[Rows]:
        """Open the file as it is at this moment, however long it is read from.

        Yields
        ------
        callable
            Returns the rows of a query with its parameters; none while the file is missing.

        Raises
        ------
        DatabaseFailed
            The file is damaged, or the disk failed.
        """
        try:
            engine = self._engine()
            if engine is None:
                yield lambda *_: []
                return
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                # only the first reading fixes the moment
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
                yield partial(_dictionaries, connection)
        except sa.exc.DBAPIError as exc:
            raise self._failed() from exc

    def first_row(
        self, statement: sa.Select[Any], parameters: Mapping[str, str | int]
    ) -> tuple[Any, ...] | None:
        """Return the first of `plain_rows`, None without any.

        Parameters
        ----------
        statement, parameters
            As `plain_rows`.

        Raises
        ------
        DatabaseFailed
            The file is damaged, or the disk failed.
        """
        return next(iter(self.plain_rows(statement, parameters, most=1)), None)

    def plain_rows(
        self, statement: sa.Select[Any], parameters: Mapping[str, str | int], most: int = -1
    ) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query that is asked often, or gives many.

        The query is turned into text once, and values are those of the file: a boolean is 0 or 1.
        For one row that takes a tenth of what `rows` does.

        Parameters
        ----------
        statement : sqlalchemy.Select
            The same object each time; what differs is a bound parameter.
        parameters : dict
            Value of each.
        most : int
            How many rows are wanted; -1 for all.

        Raises
        ------
        DatabaseFailed
            The file is damaged, or the disk failed.
        """
        try:
            engine = self._engine()
            if engine is None:
                return []
            text, names, constants = self._text(engine, statement)
            values = {**constants, **parameters}
            with closing(engine.raw_connection()) as connection:
                cursor = connection.cursor()
                cursor.execute(text, [values[name] for name in names])
                return cursor.fetchall() if most < 0 else cursor.fetchmany(most)
        except (sqlite3.Error, sa.exc.DBAPIError) as exc:
            raise self._failed() from exc

    def _text(self, engine: sa.Engine, statement: sa.Select[Any]) -> _Text:
        if statement not in self._texts:
            compiled = statement.compile(dialect=engine.dialect)
            names = getattr(compiled, "positiontup", None) or ()
            self._texts[statement] = str(compiled), tuple(names), dict(compiled.params)
        return self._texts[statement]

    def _failed(self) -> DatabaseFailed:
        return DatabaseFailed(
            f"{self.path.name} cannot be read; see docs/errors.md, database-failed"
        )

    def _engine(self) -> sa.Engine | None:
        identity = _file_identity(self.path)
        if identity != self._identity:
            self.close()  # the file was replaced: what is open is the old one
        if identity is not None and self._opened is None:
            self._open(identity)
        return self._opened

    def _open(self, identity: tuple[int, int]) -> None:
        seen = _file_state(self.path)
        if seen == self._seen_without:
            return  # looking for a table again and again takes longer than most queries
        engine = reader_engine(self.path, rolls_back=self._rolls_back)
        if sa.inspect(engine).has_table(self._last_table):
            self._opened, self._identity = engine, identity
        else:
            engine.dispose()
            self._seen_without = seen


def _dictionaries(
    connection: sa.Connection,
    statement: sa.Select[Any],
    parameters: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(statement, parameters).mappings()]


def _file_state(path: Path) -> tuple[object, ...]:
    """Return what changes with every commit, of the file and its write-ahead log."""
    found: list[object] = []
    for one in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(FileNotFoundError):
            status = one.stat()
            found += (status.st_ino, status.st_mtime_ns, status.st_size)
    return tuple(found)


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _engine(connect: Callable[[], Any], pool_size: int) -> sa.Engine:
    return sa.create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an error must not quote a patient
    )
