"""Keep what was decoded, up to a number of bytes, and decode each thing once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class ByteBoundedCache(Generic[_Key, _Value]):
    """A least-recently-used cache bounded by bytes, safe to share between threads.

    Parameters
    ----------
    max_bytes : int
        What all values together may take; a single larger value is handed out but not kept.
    size_of : callable
        Bytes of a value, for example ``len`` for bytes or ``lambda frame: frame.nbytes``.

    Examples
    --------
    >>> cache = ByteBoundedCache(1024, len)
    >>> cache.get_or_compute("a", lambda: b"frame")
    b'frame'
    """

    def __init__(self, max_bytes: int, size_of: Callable[[_Value], int]) -> None:
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, _Value] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[_Key, Future[_Value]] = {}

    @property
    def size_bytes(self) -> int:
        """Bytes of all values kept."""
        with self._lock:
            return self._bytes

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def __contains__(self, key: _Key) -> bool:
        with self._lock:
            return key in self._kept

    def get_or_compute(self, key: _Key, compute: Callable[[], _Value]) -> _Value:
        """Return the value of a key, computing it when it is not kept.

        Callers that ask for the same key at the same time share one computation, and its error.
        An error is not kept: the next caller tries again. `compute` must not ask for its own key.

        Parameters
        ----------
        key : hashable
            Name of the value.
        compute : callable
            Makes the value; runs in the first caller's thread, outside the lock.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            waiting = self._under_way.get(key)
            if waiting is None:
                promise: Future[_Value] = Future()
                self._under_way[key] = promise
        if waiting is not None:
            return waiting.result()
        return self._compute(key, compute, promise)

    def discard(self, key: _Key) -> None:
        """Forget one value, if it is kept."""
        with self._lock:
            if key in self._kept:
                self._bytes -= self._size_of(self._kept.pop(key))

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _compute(self, key: _Key, compute: Callable[[], _Value], promise: Future[_Value]) -> _Value:
        try:
            value = compute()
        except BaseException as error:  # whoever waits must hear of it, whatever it is
            with self._lock:
                del self._under_way[key]
            promise.set_exception(error)
            raise
        with self._lock:
            del self._under_way[key]
            self._keep(key, value)
        promise.set_result(value)
        return value

    def _keep(self, key: _Key, value: _Value) -> None:
        size = self._size_of(value)
        if size > self._max_bytes:
            return
        self._kept[key] = value
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= self._size_of(dropped)
