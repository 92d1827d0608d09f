"""The switch of the worst day: accept scanners nobody listed, for some hours, on record."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.durable_file import append_json_line, read_json, replace_json
from dicom_node.errors import BadSettings, StorageFailed

_log = logging.getLogger(__name__)

FILE: Final = "accept-unknown.json"
AUDIT_FILE: Final = "audit.jsonl"
DEFAULT_S: Final = 4 * 3600.0
LONGEST_S: Final = 24 * 3600.0
"""No longer: a switch that is forgotten must close by itself."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Opening:
    """Unknown callers are accepted from `at` until `until`.

    Both are ISO 8601 in UTC. While the machine runs on, `boot_id` and `uptime_until_s` decide, so
    that no step of the wall clock shortens or stretches it; after a restart the wall clock does.
    """

    at: str
    until: str
    by: str
    reason: str
    boot_id: str
    uptime_until_s: float


class UnknownSwitch:
    """The switch of one data folder; any process may turn it, all see it at once.

    Parameters
    ----------
    data : Path
        The data folder.
    clock : Clock
    uptime : callable
        Seconds since the machine started, suspended ones too.
    boot_id : str, optional
        Of this start of the machine.
    """

    def __init__(
        self,
        data: Path,
        clock: Clock = utc_now,
        uptime: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        boot_id: str | None = None,
    ) -> None:
        self._path = data / FILE
        self._audit = data / AUDIT_FILE
        self._clock = clock
        self._uptime = uptime
        self._boot_id = _read_boot_id() if boot_id is None else boot_id

    def is_open(self) -> bool:
        """Tell whether unknown callers are accepted now."""
        return self.opening() is not None

    def opening(self) -> Opening | None:
        """Return since when, until when and why it is open; None when it is closed."""
        opening = _opening(read_json(self._path))
        return opening if opening is not None and self._is_running(opening) else None

    def open(self, duration_s: float, *, by: str, reason: str) -> Opening:
        """Accept unknown callers for a while; on record before it takes effect.

        Parameters
        ----------
        duration_s : float
            Seconds, at most `LONGEST_S`.
        by : str
            The login name of who decided it.
        reason : str
            Their words.

        Returns
        -------
        Opening

        Raises
        ------
        BadSettings
            The duration makes no sense.
        StorageFailed
            It cannot be put on record, so it stays as it is.
        """
        if not 0 < duration_s <= LONGEST_S:
            raise BadSettings(f"choose a time of at most {LONGEST_S / 3600:.0f} hours")
        now = self._clock()
        opening = Opening(
            at=stamp(now),
            until=stamp(now + timedelta(seconds=duration_s)),
            by=by,
            reason=reason,
            boot_id=self._boot_id,
            uptime_until_s=self._uptime() + duration_s,
        )
        self._record({"event": "accept_unknown_opened", **asdict(opening)}, asdict(opening))
        return opening

    def close(self, *, by: str, reason: str) -> None:
        """Accept unknown callers no longer.

        Raises
        ------
        StorageFailed
            It cannot be put on record, so it stays as it is.
        """
        at = stamp(self._clock())
        self._record({"event": "accept_unknown_closed", "at": at, "by": by, "reason": reason}, {})

    def _record(self, event: dict[str, object], state: dict[str, object]) -> None:
        try:
            append_json_line(self._audit, event)
            replace_json(self._path, state)
        except OSError as exc:
            raise StorageFailed(f"the switch cannot be written to {self._path.parent}") from exc

    def _is_running(self, opening: Opening) -> bool:
        if opening.boot_id == self._boot_id:
            return self._uptime() < opening.uptime_until_s
        now = self._clock()
        return datetime.fromisoformat(opening.at) <= now < datetime.fromisoformat(opening.until)


def parse_duration(text: str) -> float:
    """Read a time span.

    Parameters
    ----------
    text : str
        A number followed by s, m or h; hours when there is no letter.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    BadSettings
        It is none.

    Examples
    --------
    >>> parse_duration("90m"), parse_duration("4")
    (5400.0, 14400.0)
    """
    units = {"s": 1, "m": 60, "h": 3600}
    unit = text[-1:].lower() if text[-1:].isalpha() else "h"
    try:
        return float(text.rstrip("smhSMH")) * units[unit]
    except (ValueError, KeyError) as exc:
        raise BadSettings(f"'{text}' is no time span; write it as 4h, 90m or 600s") from exc


def _opening(content: object) -> Opening | None:
    if not isinstance(content, dict) or not content:
        return None
    try:
        opening = Opening(**content)
        datetime.fromisoformat(opening.until)
    except (TypeError, ValueError):
        _log.error("switch_damaged")  # closed: it can be turned again
        return None
    return opening


def _read_boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""  # then every process is of the same start; the uptime still only grows
