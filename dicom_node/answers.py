"""Answers of a peer reach whoever waits for them."""

import queue
import threading
from typing import Any

from pynetdicom.events import Event


class AnswerQueue(queue.Queue[Any]):
    """Messages of an association that its own thread leaves alone while a caller waits for one.

    The library's thread looks at the queue once more after it was told to pause. On a busy machine
    it can so take the answer that a caller waits for, who then hears nothing until his time is up.

    Parameters
    ----------
    is_running : threading.Event
        The association's sign to its thread; not set while a caller sends and waits.
    """

    def __init__(self, is_running: threading.Event) -> None:
        super().__init__()
        self._is_running = is_running

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the next message; the association's thread, which never waits, gets none now."""
        if not block and not self._is_running.is_set():
            raise queue.Empty
        return super().get(block, timeout)


def keep_answers(event: Event) -> None:
    """Give an association that asks a queue of this kind; bind it to `evt.EVT_CONN_OPEN`."""
    association = event.assoc
    association.dimse.msg_queue = AnswerQueue(association._reactor_checkpoint)
