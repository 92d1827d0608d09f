"""Does beforehand what the first visitor of a study would otherwise wait for."""

import logging
import threading
from typing import Final

from dicom_node.errors import NodeError
from dicom_node.index import StudyQuery
from viewer.errors import ViewerError
from web.context import WebContext
from web.opened_study import opened_study

LOOK_EVERY_S: Final = 2.0
"""How often the index is asked for what arrived; and for so long nothing more may have."""

_log = logging.getLogger(__name__)


class WarmUp:
    """A thread that reads the newest study, and each that arrives, as its page would.

    Statements are built, modules loaded and the file's pages read then, the list of series is made
    and the frame decoded that is seen first.

    Parameters
    ----------
    context : WebContext
        Of the process that has just started.
    look_every_s : float
        As the constant above.
    """

    def __init__(self, context: WebContext, look_every_s: float = LOOK_EVERY_S) -> None:
        self._context = context
        self._look_every_s = look_every_s
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warm-up", daemon=True)

    def start(self) -> None:
        """Begin with the newest study; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the study that it reads now."""
        self._is_closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        last_seen = last_read = self._read_newest()
        while not self._is_closed.wait(self._look_every_s):
            newest = self._newest_instance_id()
            if newest == last_seen and newest != last_read:  # nothing more came since
                self._read_last_received(newest)
                last_read = newest
            last_seen = newest

    def _newest_instance_id(self) -> int:
        try:
            return self._context.index.newest_instance_id()
        except NodeError:
            return 0

    def _read_newest(self) -> int:
        newest = self._newest_instance_id()
        try:
            for study in self._context.index.search_studies(StudyQuery(limit=1)):
                opened_study(self._context, study.study_instance_uid)
        except (NodeError, ViewerError) as error:
            _log.info("warm_up_ended", extra={"error_code": error.code})
        return newest

    def _read_last_received(self, instance_id: int) -> None:
        try:
            for instance in self._context.index.instances_after(instance_id - 1, limit=1):
                opened_study(self._context, instance.study_instance_uid)
        except (NodeError, ViewerError) as error:
            _log.info("warm_up_ended", extra={"error_code": error.code})
