"""Hours of the day in which nothing is sent to a PACS."""

import re
from collections.abc import Sequence
from datetime import datetime, time, tzinfo
from typing import Final

from dicom_node.errors import BadSettings

_RANGE: Final = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)-([01]?\d|2[0-4]):([0-5]\d)")
_DAY_MINUTES: Final = 24 * 60


class QuietHours:
    """Times of the day, on the clock on the wall.

    Parameters
    ----------
    ranges : sequence of str
        Each `HH:MM-HH:MM`; one that ends before it begins goes over midnight. The end is outside.
    zone : tzinfo, optional
        Whose wall; the machine's own when left out.

    Raises
    ------
    BadSettings
        One of them is no range of hours.

    Examples
    --------
    >>> from datetime import UTC
    >>> QuietHours(["22:00-06:00"], UTC).include(datetime(2026, 1, 2, 23, 15, tzinfo=UTC))
    True
    """

    def __init__(self, ranges: Sequence[str], zone: tzinfo | None = None) -> None:
        self._ranges = [_minutes(words) for words in ranges]
        self._zone = zone

    def include(self, moment: datetime) -> bool:
        """Tell whether a moment lies in one of them.

        Parameters
        ----------
        moment : datetime
            With its zone.
        """
        return any(_is_in(_minute(moment.astimezone(self._zone).time()), *r) for r in self._ranges)


def _minutes(words: str) -> tuple[int, int]:
    found = _RANGE.fullmatch(words.strip())
    if found is None:
        raise BadSettings(f"pacs.quiet_hours: write hours as 07:00-18:30, not {words!r}")
    hour, minute, end_hour, end_minute = map(int, found.groups())
    begin, end = 60 * hour + minute, 60 * end_hour + end_minute
    if begin == end or max(begin, end) > _DAY_MINUTES:
        raise BadSettings(f"pacs.quiet_hours: {words!r} is no part of a day")
    return begin, end


def _minute(wall: time) -> int:
    return 60 * wall.hour + wall.minute


def _is_in(minute: int, begin: int, end: int) -> bool:
    return begin <= minute < end if begin < end else minute >= begin or minute < end
