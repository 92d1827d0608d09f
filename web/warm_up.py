"""Does beforehand what the first visitor of a study would otherwise wait for."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

from jinja2 import Environment

from dicom_node.errors import NodeError
from dicom_node.study_query import StudyQuery
from viewer.errors import ViewerError
from web.board import Board
from web.context import WebContext
from web.first_picture import first_picture
from web.opened_study import Opening, listed_study

LOOK_EVERY_S: Final = 2.0
"""How often the index is asked for what arrived; a study is read when it has not grown since."""
STUDIES_AT_START: Final = 30
"""Studies that are read when the process has started, the newest first: the top of the board."""
READS_BETWEEN: Final = 3
"""How many of them are read between two looks at what arrived: the processor is for those who wait.
"""
_TRIES: Final = 10

_log = logging.getLogger(__name__)


class WarmUp:
    """A thread that reads the newest studies, and each that has arrived, as its page would.

    Templates are compiled, statements built, modules loaded and the file's pages read then, the
    list of series is made, and the picture that is seen first, which may have to be decoded. What
    was decoded stays on disk, so that the next start has less to do.

    Parameters
    ----------
    context : WebContext
        Of the process that has just started.
    pages : jinja2.Environment
        Holds the templates of the pages, which are compiled first.
    board : Board
        Says of each study what its page says.
    look_every_s : float
        As the constant above.
    """

    def __init__(
        self,
        context: WebContext,
        pages: Environment,
        board: Board,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._context = context
        self._board = board
        self._pages = pages
        self._look_every_s = look_every_s
        self._seen = 0
        self._growing: set[str] = set()
        self._unread: deque[str] = deque()
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
        for name in self._pages.list_templates(extensions=("html",)):
            self._pages.get_template(name)
        self._try(self._list_newest)
        self._try(self._read_next)
        for turn in count(1):
            if self._is_closed.wait(self._look_every_s / (READS_BETWEEN + 1)):
                return
            self._try(self._read_next if turn % (READS_BETWEEN + 1) else self._look)

    def _try(self, work: Callable[[], None]) -> None:
        """Let nothing that goes wrong be more than a line in the log: nobody waits for this."""
        try:
            work()
        except (NodeError, ViewerError) as error:
            _log.info("warm_up_ended", extra={"error_code": error.code})
        except Exception:  # noqa: BLE001 - the edge of the thread: the next study is read all the same
            _log.exception("warm_up_failed")

    def _list_newest(self) -> None:
        index = self._context.index
        self._seen = index.newest_instance_id()
        newest = index.search_studies(StudyQuery(limit=STUDIES_AT_START))
        self._unread.extend(study.study_instance_uid for study in newest)

    def _read_next(self) -> None:
        if self._unread:
            self._read(self._unread.popleft())

    def _look(self) -> None:
        """Read the studies that have grown, but no more since the last look."""
        index = self._context.index
        newest = index.newest_instance_id()
        grown = index.studies_after(self._seen) if newest > self._seen else set()
        whole = self._growing - grown
        self._seen, self._growing = newest, grown
        for study_instance_uid in whole:
            if self._is_closed.is_set():
                return
            self._try(partial(self._read, study_instance_uid))

    def _read(self, study_instance_uid: str) -> None:
        study = self._context.index.study(study_instance_uid)
        if study is None:
            return
        self._board.answers([study])
        opening = listed_study(self._context, study_instance_uid).opening
        if opening is not None:
            self._decode(opening)
            with self._context.frames.unfollowed():
                first_picture(self._context, opening)

    def _decode(self, opening: Opening) -> None:
        for _ in range(_TRIES):
            if self._context.frames.prepare(opening.record, opening.frame_number):
                return
            if self._is_closed.is_set():
                return
