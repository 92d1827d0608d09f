"""Wall-clock time as the node writes it down."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time, aware, in UTC. An argument everywhere, so that tests need not wait."""


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC with milliseconds.

    Examples
    --------
    >>> stamp(datetime(2026, 1, 2, 3, 4, 5, 678000, UTC))
    '2026-01-02T03:04:05.678+00:00'
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
