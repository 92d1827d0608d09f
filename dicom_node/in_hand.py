"""Which instances are being sent at this moment, where the death of the sender does not hide it."""

import threading
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from typing import Final

_NONE: Final = -1


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
        for number in range(len(places)):
            places[number] = _NONE

    def delivery_ids(self) -> list[int]:
        """Return what was begun and not ended."""
        return [one for one in self._places if one != _NONE]

    @contextmanager
    def holding(self, delivery_id: int) -> Iterator[None]:
        """Have one in hand for as long as the block lasts."""
        with self._lock:
            place = self._free_place()
            self._places[place] = delivery_id
        try:
            yield
        finally:
            self._places[place] = _NONE

    def _free_place(self) -> int:
        places = range(len(self._places))
        return next(number for number in places if self._places[number] == _NONE)
