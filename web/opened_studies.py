"""Remembers which studies people open: what somebody looked at today must not go from the disk."""

import logging
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa
import sqlalchemy.exc
from sqlalchemy.dialects.sqlite import insert

from dicom_node.clock import stamp
from dicom_node.desk_file import open_desk
from dicom_node.eviction import desk_tables, study_opened

_log = logging.getLogger(__name__)

EVERY: Final = timedelta(minutes=1)
"""A study is entered once in this time, however many pages show it."""
PATIENCE_S: Final = 0.5
"""How long a page waits for a desk that is in use, seconds; then the opening is not entered."""
_MOST_REMEMBERED: Final = 10_000


class OpenedStudies:
    """Enters what is opened; a desk that cannot be written keeps nobody from looking.

    Parameters
    ----------
    data : Path
        The data folder.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._engine: sa.Engine | None = None
        self._entered: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def note(self, study_instance_uid: str, now: datetime) -> None:
        """Enter that a person opens a study.

        Parameters
        ----------
        study_instance_uid : str
            Of a study this node holds.
        now : datetime
            Aware.
        """
        with self._lock:
            before = self._entered.get(study_instance_uid)
            if before is not None and before <= now < before + EVERY:
                return
            if len(self._entered) >= _MOST_REMEMBERED:
                self._entered.clear()
            self._entered[study_instance_uid] = now
            try:
                self._enter(study_instance_uid, stamp(now))
            except (sa.exc.SQLAlchemyError, OSError):
                del self._entered[study_instance_uid]
                _log.exception("study_opened_not_entered")

    def close(self) -> None:
        """Close the file."""
        if self._engine is not None:
            self._engine.dispose()

    def _enter(self, study_instance_uid: str, at: str) -> None:
        if self._engine is None:
            self._engine = open_desk(self._data, desk_tables, PATIENCE_S)
        entry = insert(study_opened).values(study_instance_uid=study_instance_uid, opened_at=at)
        with self._engine.begin() as connection:
            connection.execute(
                entry.on_conflict_do_update(
                    index_elements=["study_instance_uid"], set_={"opened_at": at}
                )
            )
