"""Which instances are being sent at this moment, where the death of the sender does not hide it."""

import threading
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import contextmanager
from functools import partial
from typing import Final

NOTHING: Final = -1


class InHand:
    """A place for each association: the delivery it has in hand.

    In memory two processes share, what a child writes is there after it was killed; to say the
    same through a pipe would wake the parent for each instance.

    Parameters
    ----------
    places : mutable sequence of int
        As many as there are associations.
    """

    def __init__(self, places: MutableSequence[int]) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._free = list(range(len(places)))
        for number in self._free:
            places[number] = NOTHING

    def delivery_ids(self) -> list[int]:
        """Return what was begun and not ended."""
        return [one for one in self._places if one != NOTHING]

    @contextmanager
    def place(self) -> Iterator[Callable[[int], None]]:
        """Have a place for as long as the block lasts; yields what puts a delivery there.

        `NOTHING` is put there when it was sent.
        """
        with self._lock:
            place = self._free.pop()
        try:
            yield partial(self._places.__setitem__, place)
        finally:
            self._places[place] = NOTHING
            with self._lock:
                self._free.append(place)
