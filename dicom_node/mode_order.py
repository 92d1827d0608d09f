"""What a person says the mode is: an outage, a drill, or what the probes find. On record."""

import logging
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.durable_file import append_json_line, read_json, replace_json
from dicom_node.errors import BadSettings, StorageFailed
from dicom_node.outage_mode import Mode
from dicom_node.unknown_switch import AUDIT_FILE

_log = logging.getLogger(__name__)

FILE: Final = "mode-order.json"
TRIAL_FILE: Final = "trial-allowed.json"
TRIAL_S: Final = 600.0
"""How long a test image may be given to a PACS after a person allowed it, seconds."""
AUTO: Final = "auto"
DEFAULT_DRILL_S: Final = 4 * 3600.0
LONGEST_DRILL_S: Final = 24 * 3600.0
"""No longer: a drill that is forgotten must end by itself."""
LONGEST_OUTAGE_S: Final = 366 * 86400.0
LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Order:
    """Somebody's word, from `at` until `until`, ISO 8601 in UTC; '' is until it is taken back.

    `mode` is `outage`, `drill` or `auto`: as the probes find it.
    """

    mode: str
    at: str
    until: str
    by: str
    reason: str


class ModeOrders:
    """The orders of one data folder; any process may give one, all see it at once.

    Parameters
    ----------
    data : Path
        The data folder.
    clock : Clock
    """

    def __init__(self, data: Path, clock: Clock = utc_now) -> None:
        self._path = data / FILE
        self._audit = data / AUDIT_FILE
        self._clock = clock

    def last(self) -> Order | None:
        """Return the last order, in force or not."""
        return _order(read_json(self._path))

    def current(self) -> Order | None:
        """Return the order in force, None when the probes decide."""
        order = self.last()
        if order is None or order.mode == AUTO:
            return None
        now = self._clock()
        has_ended = order.until and not (
            datetime.fromisoformat(order.at) <= now < datetime.fromisoformat(order.until)
        )
        return None if has_ended else order

    def give(self, mode: Mode, *, by: str, reason: str, duration_s: float = 0.0) -> Order:
        """Order a mode; on record before it takes effect.

        Parameters
        ----------
        mode : Mode
            `OUTAGE` or `DRILL`.
        by : str
            The login name of who decided it.
        reason : str
            Their words, shown on every page.
        duration_s : float
            How long, seconds; 0 is until it is taken back, or `DEFAULT_DRILL_S` for a drill.

        Returns
        -------
        Order

        Raises
        ------
        BadSettings
            The mode cannot be ordered, no reason is given, or the duration makes no sense.
        StorageFailed
            It cannot be put on record, so it stays as it is.
        """
        if mode not in (Mode.OUTAGE, Mode.DRILL):
            raise BadSettings("only an outage or a drill can be ordered")
        if not reason.strip():
            raise BadSettings("say why with --reason: everyone will ask")
        if mode is Mode.DRILL:
            duration_s = duration_s or DEFAULT_DRILL_S
        longest_s = LONGEST_DRILL_S if mode is Mode.DRILL else LONGEST_OUTAGE_S
        if not 0 <= duration_s <= longest_s:
            raise BadSettings(f"choose a time of at most {longest_s / 3600:.0f} hours")
        now = self._clock()
        until = stamp(now + timedelta(seconds=duration_s)) if duration_s else ""
        order = Order(mode.value, stamp(now), until, by, reason[:LONGEST_REASON])
        self._record("mode_ordered", order)
        return order

    def withdraw(self, *, by: str, reason: str) -> None:
        """Let the probes decide.

        Raises
        ------
        StorageFailed
            It cannot be put on record, so it stays as it is.
        """
        at = stamp(self._clock())
        self._record("mode_order_withdrawn", Order(AUTO, at, "", by, reason[:LONGEST_REASON]))

    def allow_trial(self, *, by: str, reason: str) -> None:
        """Let a PACS that is recovering be given a test image now, whatever the settings say.

        Raises
        ------
        StorageFailed
            It cannot be put on record, so it is not allowed.
        """
        now = self._clock()
        until = stamp(now + timedelta(seconds=TRIAL_S))
        word = Order("trial", stamp(now), until, by, reason[:LONGEST_REASON])
        self._record("trial_allowed", word, self._path.with_name(TRIAL_FILE))

    def is_trial_allowed(self) -> bool:
        """Tell whether a person allowed a test image in the last minutes."""
        content = read_json(self._path.with_name(TRIAL_FILE))
        try:
            at, until = (datetime.fromisoformat(content[name]) for name in ("at", "until"))
            return at <= self._clock() < until
        except (TypeError, ValueError, KeyError):
            return False

    def _record(self, event: str, order: Order, path: Path | None = None) -> None:
        try:
            append_json_line(self._audit, {"event": event, **asdict(order)})
            replace_json(path or self._path, asdict(order))
        except OSError as exc:
            raise StorageFailed(f"the order cannot be written to {self._path.parent}") from exc


def _order(content: object) -> Order | None:
    if not isinstance(content, dict) or not content:
        return None
    try:
        order = Order(**{name: str(value) for name, value in content.items()})
        for moment in filter(None, (order.at, order.until)):
            if datetime.fromisoformat(moment).tzinfo is None:
                raise ValueError(moment)
        if not order.at or order.mode not in (AUTO, Mode.OUTAGE, Mode.DRILL):
            raise ValueError(order.mode)
    except (TypeError, ValueError):
        _log.error("mode_order_damaged")  # the probes decide: it can be given again
        return None
    return order
