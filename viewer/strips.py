"""A large picture is made in strips of rows, by as many threads as there are idle processors."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final, TypeVar

from viewer.processors import allow, allowed_processors, kept_apart

STRIP_PIXELS: Final = 2**19
"""About as many pixels has a strip; a picture of fewer is one, which threads would only delay."""
ROW_MULTIPLE: Final = 16
"""Strips but the last have a multiple of so many rows, as the blocks of a JPEG need it."""

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def strips_of(rows: int, columns: int, strip_pixels: int = STRIP_PIXELS) -> list[slice]:
    """Return the strips of a picture, which depend on its size alone.

    Examples
    --------
    >>> strips_of(3000, 2500, 4_000_000)
    [slice(0, 1504, None), slice(1504, 3000, None)]
    """
    count = max(1, round(rows * columns / strip_pixels))
    if count == 1:
        return [slice(0, rows)]
    height = -(-rows // (count * ROW_MULTIPLE)) * ROW_MULTIPLE
    return [slice(top, min(top + height, rows)) for top in range(0, rows, max(1, height))]


class StripThreads:
    """Threads that help whoever has a large picture to make.

    Callers work themselves. They get helpers for processors that no other caller with a large
    picture and no helper works on, so that many callers at once work as if there were none.

    Parameters
    ----------
    processors : int
        How many may be kept busy; with 1, nobody is ever helped.
    """

    def __init__(self, processors: int) -> None:
        self.processors = processors
        self._busy = 0
        self._lock = threading.Lock()
        self._allowed = allowed_processors()
        self._helper_ids: list[int] = []
        # none is started yet
        self._pool = ThreadPoolExecutor(max(1, processors - 1), "strips", self._enter_helper)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def each(self, work: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
        """Do the same to each part, and return the results in the parts' order.

        Parameters
        ----------
        work : callable
            Takes a part; safe to be called by several threads.
        parts : sequence
            Of a picture.

        Raises
        ------
        BaseException
            What `work` raised; when the caller hears of it, no helper works any more.
        """
        if len(parts) == 1:  # a small picture, which would wait longer than it works
            return [work(parts[0])]
        results: dict[int, _Result] = {}
        left = deque(enumerate(parts))
        with self._helpers(len(parts) - 1) as count:
            helping = [self._pool.submit(_work, work, left, results) for _ in range(count)]
            try:
                _work(work, left, results)
            finally:
                _stop(helping, left)
        for helper in helping:
            helper.result()
        return [results[place] for place in range(len(parts))]

    def _enter_helper(self) -> None:
        allow(0, self._allowed)  # it has got those of who needed it first, which may be one
        self._helper_ids.append(threading.get_native_id())

    @contextmanager
    def _helpers(self, wanted: int) -> Iterator[int]:
        with self._lock:
            idle = self.processors - self._busy - 1
            count = max(0, min(wanted, idle))
            self._busy += 1 + count
        try:
            with kept_apart(self._helper_ids if count else ()):
                yield count
        finally:
            with self._lock:
                self._busy -= 1 + count


def _work(
    work: Callable[[_Part], _Result], left: deque[tuple[int, _Part]], results: dict[int, _Result]
) -> None:
    while True:
        try:
            place, part = left.popleft()
        except IndexError:
            return
        results[place] = work(part)


def _stop(helping: Sequence[Future[None]], left: deque[tuple[int, _Part]]) -> None:
    """Wait for the helpers; they find nothing more to do, even where the caller has failed."""
    left.clear()
    wait(helping)


ALONE: Final = StripThreads(1)
"""Nobody helps."""
