"""The return to one PACS as a picture: what waits, what is on its way, what is proven, over time.

An SVG made here, so that it needs no script; its colours are in the style sheet.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final

from dicom_node.drain import Drain
from dicom_node.outages import ModeBand
from web import words

WIDTH: Final = 960
HEIGHT: Final = 216
_TOP: Final = 26
_BOTTOM: Final = 214
_LEFT: Final = 4
_RIGHT: Final = 956
_NAMED_WIDTH: Final = 76
"""A band of the mode is named when its name fits."""


def drain_picture(drain: Drain, bands: Sequence[ModeBand], name: str) -> str:
    """Draw how delivery went: proven below, then sent and not yet proven, then waiting.

    Parameters
    ----------
    drain : Drain
    bands : sequence of ModeBand
        The modes of the node, the oldest first.
    name : str
        Of the PACS, for whoever cannot see it.

    Returns
    -------
    str
        SVG; every text in it is escaped.
    """
    top = max(1, *drain.owed)
    owed, sent, proven = (
        _heights(line, top)
        for line in (drain.owed, _at_least(drain.sent, drain.proven), drain.proven)
    )
    ground = [_BOTTOM] * len(owed)
    first, last = drain.moments[0], drain.moments[-1]
    now = f"{name}: {drain.proven[-1]} of {drain.owed[-1]} proven at {words.moment(last)}"
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(now)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="drain" {box}>'
        f"{_bands(bands, first, last)}"
        f'<path class="waiting" d="{_area(owed, sent)}"/>'
        f'<path class="sent" d="{_area(sent, proven)}"/>'
        f'<path class="proven" d="{_area(proven, ground)}"/>'
        f'<path class="owed" d="{_line(owed)}"/>'
        f'<path class="axis" d="M{_LEFT} {_BOTTOM}H{_RIGHT}"/>'
        "</svg>"
    )


def _at_least(line: Sequence[int], other: Sequence[int]) -> list[int]:
    """Return a line that lies nowhere below another: a PACS may hold what we never sent."""
    return [max(pair) for pair in zip(line, other, strict=True)]


def _heights(line: Sequence[int], top: int) -> list[float]:
    return [round(_BOTTOM - (_BOTTOM - _TOP) * number / top, 1) for number in line]


def _across(at: int, count: int) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * at / max(1, count - 1), 1)


def _line(heights: Sequence[float]) -> str:
    places = [f"{_across(at, len(heights))} {y}" for at, y in enumerate(heights)]
    return "M" + "L".join(places)


def _area(upper: Sequence[float], lower: Sequence[float]) -> str:
    count = len(upper)
    back = [f"{_across(at, count)} {lower[at]}" for at in reversed(range(count))]
    return f"{_line(upper)}L{'L'.join(back)}Z"


def _bands(bands: Sequence[ModeBand], since: str, until: str) -> str:
    begin, span = _seconds(since), max(1.0, _seconds(until) - _seconds(since))
    drawn = []
    for band in bands:
        left = max(0.0, (_seconds(band.began_at) - begin) / span)
        right = min(1.0, (_seconds(band.ended_at or until) - begin) / span)
        if band.mode != "normal" and right > left:
            drawn.append(_band(band, left, right))
    return "".join(drawn)


def _band(band: ModeBand, left: float, right: float) -> str:
    x = _LEFT + (_RIGHT - _LEFT) * left
    width = max(2.0, (_RIGHT - _LEFT) * (right - left))
    mode = escape(band.mode.capitalize())
    until = words.moment(band.ended_at) or "now"
    title = f"<title>{mode}: {words.moment(band.began_at)} until {until}</title>"
    name = f'<text x="{x + 4:.1f}" y="14">{mode}</text>' if width >= _NAMED_WIDTH else ""
    return (
        f'<g class="band" data-mode="{escape(band.mode)}">{title}'
        f'<rect class="strip" x="{x:.1f}" y="0" width="{width:.1f}" height="18"/>'
        f'<rect class="veil" x="{x:.1f}" y="18" width="{width:.1f}" height="{_BOTTOM - 18}"/>'
        f"{name}</g>"
    )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
