"""How many associations with one PACS at once: one, and more while all goes well."""

from typing import Final

GOOD_FOR_ONE_MORE: Final = 10
"""Instances stored without trouble, for each association, before there is one more."""
FIRST_REST_S: Final = 30.0
LONGEST_REST_S: Final = 600.0
"""How long after trouble there is no more than what works, seconds; doubled while it comes back."""


class SlowStart:
    """The number of associations that are wanted now.

    Parameters
    ----------
    limit : int
        Never more than this.
    """

    def __init__(self, limit: int) -> None:
        self._limit = max(1, limit)
        self._good = 0
        self._rest_s = FIRST_REST_S
        self._rests_until: float | None = None
        self.wanted = 1

    def went_well(self, now: float) -> None:
        """Count one instance that was stored.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        """
        if self._rests_until is not None and now < self._rests_until:
            return
        self._good += 1
        if self._good >= GOOD_FOR_ONE_MORE * self.wanted and self.wanted < self._limit:
            self._good = 0
            self.wanted += 1
        elif self._good >= GOOD_FOR_ONE_MORE * self._limit * 10:
            self._rest_s = FIRST_REST_S

    def had_trouble(self, now: float, works: int = 1) -> None:
        """Want no more than what works, for a while.

        Parameters
        ----------
        now : float
            Monotonic seconds.
        works : int
            Associations that went on without trouble.
        """
        self.wanted = max(1, min(works, self.wanted))
        self._good = 0
        self._rests_until = now + self._rest_s
        self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
