"""How fast instances may be sent: so many images and so many megabits in a second, no more."""

import threading
import time
from collections.abc import Callable
from typing import Final

BURST_S: Final = 0.25
"""What was not used in this long may be made up for, seconds."""
_SLEEP_S: Final = 0.5


class Allowance:
    """A quantity that may be used up at a rate; a bucket of tokens, kept as one moment in time.

    Parameters
    ----------
    rate_per_s : float
        0 means without limit.
    now : float
        Monotonic seconds.
    """

    def __init__(self, rate_per_s: float, now: float) -> None:
        self._rate_per_s = rate_per_s
        self._free_at = now

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._rate_per_s > 0

    def take(self, amount: float, now: float) -> float:
        """Use an amount; return how many seconds to wait before it may be used.

        Notes
        -----
        In any stretch of time no more begins than the rate times that time and `BURST_S`, and one
        amount.
        """
        if not self.is_limited:
            return 0.0
        begin = max(self._free_at, now - BURST_S)
        self._free_at = begin + amount / self._rate_per_s
        return max(0.0, begin - now)


class RateCap:
    """The limits of one destination, for all associations with it together.

    Parameters
    ----------
    images_per_s : float
        0 means without limit.
    mbit_per_s : float
        Millions of bits; 0 means without limit.
    on_wait : callable
        Called now and then while it waits.
    monotonic, sleep : callable
    """

    def __init__(
        self,
        images_per_s: float,
        mbit_per_s: float,
        on_wait: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._images = Allowance(images_per_s, monotonic())
        self._bytes = Allowance(mbit_per_s * 1e6 / 8, monotonic())
        self._on_wait = on_wait
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()

    @property
    def caps_bytes(self) -> bool:
        """Whether bytes are limited."""
        return self._bytes.is_limited

    def wait_for_image(self) -> None:
        """Return when one more instance may be sent."""
        self._wait(self._images, 1)

    def wait_for_bytes(self, size: int) -> float:
        """Return when so many bytes may be sent, and how many seconds that took."""
        return self._wait(self._bytes, size)

    def _wait(self, allowance: Allowance, amount: float) -> float:
        if not allowance.is_limited:
            return 0.0
        with self._lock:
            begin = self._monotonic()
            wait_s = allowance.take(amount, begin)
        while (left_s := begin + wait_s - self._monotonic()) > 0:
            self._sleep(min(left_s, _SLEEP_S))
            self._on_wait()
        return wait_s
