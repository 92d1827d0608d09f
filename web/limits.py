"""How much one web process does at the same time, whatever its clients do."""

import ctypes
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from queue import SimpleQueue
from typing import Any, Final

LARGEST_BODY_BYTES: Final = 1024 * 1024
"""Largest body of a request; more is refused."""

KEPT_FOR_REUSE_BYTES: Final = 64 * 1024 * 1024
"""So much freed memory a process keeps for its next pictures, in each of its two arenas."""
_LARGEST_KEPT_BLOCK_BYTES: Final = 32 * 1024 * 1024
_ARENAS: Final = 2
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

_OF_A_FRAME: Final = re.compile(r"/(?:frames|rendered|thumbnail)(?:/|$)")
_Environ = dict[str, Any]
_Start = Callable[..., Any]
WsgiApp = Callable[[_Environ, _Start], Iterable[bytes]]


class BoundedWork:
    """Lets many clients be slow, but only a few requests be worked on at once.

    A client that sends its body byte by byte occupies a thread, which is cheap, and none of the
    places where requests are worked on. What needs the pixels of a frame, and so may wait for a
    decoder, has places of its own: pages and health are answered however many frames are waited
    for.

    Parameters
    ----------
    app : callable
        The WSGI application.
    places : int
        Requests worked on at the same time, of either kind.
    at_work : AtWork
        Which of those that need a frame go on.
    """

    def __init__(self, app: WsgiApp, places: int, at_work: "AtWork") -> None:
        self._app = app
        self._places = _places(places)
        self._frame_places = _places(places)
        self._at_work = at_work

    def __call__(self, environ: _Environ, start_response: _Start) -> Iterable[bytes]:
        """Read the request's body, wait for a place, answer.

        Parameters
        ----------
        environ : dict
            The request (PEP 3333).
        start_response : callable
            Takes status and headers.

        Returns
        -------
        iterable of bytes
        """
        if environ["REQUEST_METHOD"] == "POST" and not is_too_large(environ):
            body = environ["wsgi.input"].read(LARGEST_BODY_BYTES + 1)
            environ["wsgi.input"] = BytesIO(body)
        asked_at = time.monotonic()
        needs_frame = _OF_A_FRAME.search(environ.get("PATH_INFO", "")) is not None
        if not needs_frame:
            return self._answered(self._places, environ, start_response)
        with self._at_work.entered(asked_at):  # first: the other way round many would wait twice
            return self._answered(self._frame_places, environ, start_response)

    def _answered(
        self, places: SimpleQueue[int], environ: _Environ, start_response: _Start
    ) -> Iterable[bytes]:
        place = places.get()
        try:
            return self._app(environ, start_response)
        finally:
            places.put(place)


class AtWork:
    """Lets few threads work on frames at once, and does not count those that wait for a decoder.

    Eight threads of Python that draw small frames hand over its lock so often that they draw a
    fifth fewer than two. Of each it is known when its request came, before it waited here.

    Parameters
    ----------
    count : int
        Threads.
    """

    def __init__(self, count: int) -> None:
        self._places = _places(count)
        self._held = threading.local()

    @contextmanager
    def entered(self, asked_at: float = math.inf) -> Iterator[None]:
        """Wait for a place, and have it for as long as this takes or until `leave`.

        Parameters
        ----------
        asked_at : float
            When the request came, by the monotonic clock in seconds.
        """
        self._held.place = self._places.get()
        self._held.asked_at = asked_at
        try:
            yield
        finally:
            self._held.asked_at = math.inf
            self.leave()

    @property
    def asked_at(self) -> float:
        """When the request came that this thread works on, infinity when that is not known."""
        return float(getattr(self._held, "asked_at", math.inf))

    def leave(self) -> None:
        """Let another thread go on, because this one is about to wait, if it has a place.

        It has none afterwards: who has waited for something must never wait for a place that is
        held by whoever waits for him.
        """
        place = getattr(self._held, "place", None)
        if place is not None:
            self._held.place = None
            self._places.put(place)


def _places(count: int) -> SimpleQueue[int]:
    """Return places to be taken and put back: a tenth of the work of a semaphore."""
    places: SimpleQueue[int] = SimpleQueue()
    for place in range(count):
        places.put(place)
    return places


def is_too_large(environ: _Environ) -> bool:
    """Return whether a request announces a body that will be refused unread.

    Parameters
    ----------
    environ : dict
        The request (PEP 3333).

    Returns
    -------
    bool
    """
    length = str(environ.get("CONTENT_LENGTH") or "0")
    return length.isdecimal() and int(length) > LARGEST_BODY_BYTES


def keep_freed_memory() -> None:
    """Let this process use the memory of one picture for the next.

    The C library gives large blocks back to the system as soon as they are freed. Getting them
    again, page by page, takes a third of the time that a large picture takes. Where there is no
    such library, nothing changes.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    set_option(_M_ARENA_MAX, _ARENAS)
    set_option(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BLOCK_BYTES)
    set_option(_M_TRIM_THRESHOLD, KEPT_FOR_REUSE_BYTES)
