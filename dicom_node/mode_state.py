"""The mode of the node for everyone to read: what the probes found, and what a person ordered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from dicom_node.clock import Clock, utc_now
from dicom_node.durable_file import read_json, replace_json
from dicom_node.mode_order import ModeOrders, Order
from dicom_node.outage_mode import Mode, with_order
from dicom_node.verdict import Condition

FILE: Final = "mode.json"
NODE: Final = "node"
"""Who changed the mode when nobody ordered it."""


@dataclass(frozen=True, slots=True)
class PacsState:
    """What the node knows of one PACS; texts are '' before its first probe.

    `unproven` names what it has yet to prove after it was down.
    """

    name: str
    mode: Mode = Mode.NORMAL
    condition: str = ""
    layer: str = ""
    words: str = ""
    unproven: str = ""


@dataclass(frozen=True, slots=True)
class ModeState:
    """The mode, since when, why and by whom; `until` is when an ordered one ends by itself.

    `found` is what the probes alone would say. `order_at` names the order that was last put on
    record as a change, '' when none is in force.
    """

    mode: Mode = Mode.NORMAL
    since: str = ""
    reason: str = ""
    by: str = NODE
    until: str = ""
    found: Mode = Mode.NORMAL
    order_at: str = ""
    pacs: Mapping[str, PacsState] = field(default_factory=dict)


def read_mode(data: Path, clock: Clock = utc_now) -> ModeState:
    """Return the mode as it is now.

    Parameters
    ----------
    data : Path
        The data folder.
    clock : Clock

    Returns
    -------
    ModeState
        An order counts at once, even while the delivering process is down.
    """
    recorded = read_recorded(data)
    mode, order = in_force(recorded.found, ModeOrders(data, clock).current())
    if mode is recorded.mode and (order.at if order else "") == recorded.order_at:
        return recorded
    if order is None:
        return replace(recorded, mode=mode, reason="", by=NODE, until="", order_at="")
    return ordered(recorded, order)


def in_force(found: Mode, order: Order | None) -> tuple[Mode, Order | None]:
    """Return the mode that is shown, and the order that makes it so.

    Parameters
    ----------
    found : Mode
        By the probes.
    order : Order or None
        What a person ordered.
    """
    mode = with_order(found, Mode(order.mode) if order else None)
    return mode, order if order and order.mode == mode else None


def ordered(recorded: ModeState, order: Order) -> ModeState:
    """Return the state that follows an order."""
    return replace(
        recorded,
        mode=Mode(order.mode),
        since=order.at,
        reason=order.reason,
        by=order.by,
        until=order.until,
        order_at=order.at,
    )


def read_recorded(data: Path) -> ModeState:
    """Return what the delivering process last wrote down; NORMAL when there is nothing to read."""
    content = read_json(data / FILE)
    if not isinstance(content, dict):
        return ModeState()
    try:
        pacs = {name: _pacs_state(one) for name, one in content.pop("pacs").items()}
        modes = {name: Mode(content.pop(name)) for name in ("mode", "found")}
        return ModeState(**modes, **content, pacs=pacs)
    except (TypeError, ValueError, KeyError, AttributeError):
        return ModeState()


def write_recorded(data: Path, state: ModeState) -> None:
    """Write the mode down; raises OSError when the disk refuses."""
    replace_json(data / FILE, asdict(state))


def _pacs_state(content: dict[str, Any]) -> PacsState:
    if content["condition"]:
        Condition(content["condition"])
    return PacsState(**{**content, "mode": Mode(content["mode"])})
