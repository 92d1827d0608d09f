"""What was read of a database, remembered until anything is committed to it."""

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dicom_node.database import ReadOnlyDatabase

_Key = TypeVar("_Key", bound=Hashable)
_Row = TypeVar("_Row")


@dataclass(slots=True)
class _Found(Generic[_Key, _Row]):
    """Rows as they were at one version, or later; and when that was last seen to be the newest."""

    version: Hashable
    seen_at: float = -math.inf
    rows: dict[_Key, _Row] = field(default_factory=dict)


class KnownRows(Generic[_Key, _Row]):
    """Rows of a database, for any thread.

    Parameters
    ----------
    database : ReadOnlyDatabase
    most : int
        So many are remembered at most.
    monotonic : callable
        Returns seconds.
    """

    def __init__(
        self, database: ReadOnlyDatabase, most: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._most = most
        self._monotonic = monotonic
        self._found: _Found[_Key, _Row] = _Found(None)

    def since(self, moment: float = math.inf) -> dict[_Key, _Row]:
        """Return the rows that are known, to be read and added to.

        Parameters
        ----------
        moment : float
            By the same clock; they are those of then, or newer. Of many who ask at once, one looks
            whether anything was committed; infinity is to look in any case.

        Raises
        ------
        DatabaseFailed
            The file is damaged, or the disk failed.
        """
        found = self._found
        if found.seen_at >= moment and len(found.rows) < self._most:
            return found.rows
        now, version = self._monotonic(), self._database.version()
        if found.version != version or len(found.rows) >= self._most:
            found = self._found = _Found(version)
        found.seen_at = now
        return found.rows
