"""Waiting after failures: longer each time up to a limit, spread so that peers do not meet."""

from collections.abc import Callable

from dicom_node.setting_tables import SyncSettings


class Pause:
    """The wait after failures in a row.

    Parameters
    ----------
    sync : SyncSettings
    monotonic : callable
        Seconds; a wall clock that is set changes no wait.
    jitter : callable
        Returns a number in [0, 1).
    """

    def __init__(
        self, sync: SyncSettings, monotonic: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        self._sync = sync
        self._monotonic = monotonic
        self._jitter = jitter
        self._failures = 0
        self._until: float | None = None

    def begin(self) -> None:
        """Wait, after one more failure."""
        wait_s = retry_delay_s(self._failures, self._sync, self._jitter())
        self._failures += 1
        self._until = self._monotonic() + wait_s

    def end(self) -> None:
        """Wait no longer; the next failure is the first again."""
        self._failures, self._until = 0, None

    def is_on(self) -> bool:
        """Tell whether the wait goes on."""
        return self._until is not None and self._monotonic() < self._until


def object_wait_s(attempts: int, sync: SyncSettings, jitter: float) -> float:
    """Return how long one instance waits after a try that was its own fault.

    Parameters
    ----------
    attempts : int
        Such tries before this one.
    sync : SyncSettings
    jitter : float
        In [0, 1); spreads the result by 20 % either way.

    Returns
    -------
    float
        Seconds.
    """
    waits = sync.object_waits_s
    base = waits[min(attempts, len(waits) - 1)] if waits else sync.retry_max_s
    return base * (0.8 + 0.4 * jitter)


def longest_wait_s(sync: SyncSettings) -> float:
    """Return a time no wait ever takes, seconds."""
    return 2 * max(sync.retry_max_s, *sync.object_waits_s, 0.0)


def retry_delay_s(failures: int, sync: SyncSettings, jitter: float) -> float:
    """Return how long to wait after a number of failures in a row.

    Parameters
    ----------
    failures : int
        Before this one; 0 for the first.
    sync : SyncSettings
    jitter : float
        In [0, 1); spreads the result by 20 % either way.

    Returns
    -------
    float
        Seconds, at least `retry_min_s` less the spread.
    """
    base = min(sync.retry_max_s, sync.retry_min_s * 2.0 ** min(failures, 32))
    return base * (0.8 + 0.4 * jitter)
