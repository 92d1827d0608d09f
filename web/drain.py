"""What the page says of how delivery goes: pictures, pace, pauses, and what needs a person."""

from datetime import datetime, timedelta
from typing import Any, Final

from markupsafe import Markup

from dicom_node.clock import stamp
from dicom_node.closing import Closing
from dicom_node.drain import Pace, drain_of, pace_of
from dicom_node.held_reasons import GOES_WHEN_ORDERED
from dicom_node.ledger import DestinationState, RefusedStudy, State
from dicom_node.outages import ModeBand, Outage, mode_bands, outages
from dicom_node.sync_order import SyncOrder, SyncOrders
from web import words
from web.context import WebContext
from web.drain_picture import drain_picture

KEPT_S: Final = 5
"""A picture of a million instances takes a few tenths of a second, so it is not made more often."""
SHORTEST: Final = timedelta(minutes=10)
USUAL: Final = timedelta(hours=24)
MOST_BANDS: Final = 1000
MOST_REFUSED: Final = 200
_WHAT_TO_DO: Final = (
    ("same SOP Instance UID", "One UID, two contents: the PACS gets neither. Compare them."),
    ("does not accept this SOP class", "Ask its vendor to accept this kind, then try again."),
    ("damaged or cannot be read", "Send the study from the scanner once more, then try again."),
    ("does not list it", "Ask the PACS people why it vanished, then try again."),
    ("would not commit", "Ask the PACS people why, then try again."),
    ("see Reconcile", "Undo the correction, or mend the study in the PACS; then try again."),
    ("the correction", "Compare its images under Reconcile, then try again."),
    ("refused it", "Ask the PACS people what that status means, then try again."),
)


def bands_of(context: WebContext) -> list[ModeBand]:
    """Return the modes of the node, the oldest first."""
    return mode_bands(context.ledger.mode_changes(limit=MOST_BANDS))


def drain_answer(
    context: WebContext, place: DestinationState, bands: list[ModeBand]
) -> dict[str, Any]:
    """Return how delivery to one destination goes.

    Parameters
    ----------
    context : WebContext
        Reads the ledger.
    place : DestinationState
    bands : list of ModeBand

    Returns
    -------
    dict
        `picture` is SVG; `pace` says how fast and how long still.
    """
    now = context.clock()
    pause = SyncOrders(context.settings.node.data).pause(place.name)
    key = ("drain", place.name, int(now.timestamp() // KEPT_S), len(bands))
    since = _since(place, bands, now)
    picture = context.kept(key, lambda: _picture(context, place, bands, since).encode())
    left = place.counts[State.QUEUED] + place.counts[State.SENDING]
    return {
        "picture": Markup(picture.decode()),  # its texts were escaped when it was drawn
        "picture_from": words.moment(stamp(since))[:-3],
        "picture_to": words.moment(stamp(now))[:-3],
        "pace": pace_words(
            pace_of(context.ledger, place.name, now, left), left, place.is_reachable, pause
        ),
        "is_paused": pause is not None,
        "pause": pause_words(pause),
    }


def _picture(
    context: WebContext, place: DestinationState, bands: list[ModeBand], since: datetime
) -> str:
    drain = drain_of(context.ledger, place.name, since, context.clock())
    return drain_picture(drain, bands, place.name)


def _since(place: DestinationState, bands: list[ModeBand], now: datetime) -> datetime:
    """Return where the picture begins: with the last outage or what waits longest, or yesterday."""
    marks = [outage.began_at for outage in outages(bands)[-1:]]
    marks += [place.oldest_unproven_at] if place.oldest_unproven_at else []
    if not marks:
        return now - USUAL
    began = min(map(datetime.fromisoformat, marks))
    return min(began - (now - began) * 0.02, now - SHORTEST)


def pace_words(pace: Pace, left: int, is_reachable: bool | None, pause: SyncOrder | None) -> str:
    """Return how fast it is sent and how long the rest takes, and no more than is known.

    Parameters
    ----------
    pace : Pace
    left : int
        Instances still to be sent.
    is_reachable : bool or None
    pause : SyncOrder or None

    Returns
    -------
    str
    """
    if not left:
        return "Nothing waits to be sent."
    if pause is not None:
        return f"{words.counted(left, 'image')} to send once it is started again."
    if is_reachable is False:
        return f"{words.counted(left, 'image')} to send once it answers."
    if pace.left_s is None or pace.fastest_s is None or pace.slowest_s is None:
        return f"{words.counted(left, 'image')} to send; too early to tell how long it takes."
    between = f"{words.elapsed(pace.fastest_s)} to {words.elapsed(pace.slowest_s)}"
    return (
        f"{words.counted(left, 'image')} to send at {pace.rate:.1f} a second: about "
        f"{words.elapsed(pace.left_s)}, at the pace of the last minutes between {between}."
    )


def pause_words(pause: SyncOrder | None) -> str:
    """Return who paused it, when and why; "" when nobody did."""
    if pause is None:
        return ""
    return f"Paused since {words.moment(pause.at)} by {pause.by}: {pause.reason}"


def refused_row(context: WebContext, one: RefusedStudy) -> dict[str, Any]:
    """Return one study that needs a person, why, and what to do.

    Parameters
    ----------
    context : WebContext
        Knows the study's own values.
    one : RefusedStudy

    Returns
    -------
    dict
    """
    study = context.index.study(one.study_instance_uid)
    to_do = (what for part, what in _WHAT_TO_DO if part in one.reason)
    return {
        "key": f"{one.study_instance_uid} {one.destination} {one.state} {one.reason}",
        "study_instance_uid": one.study_instance_uid,
        "destination": one.destination,
        "name": words.person_name(study.patient_name) if study else words.NOT_KNOWN,
        "images": words.counted(one.number, "image"),
        "reason": one.reason[:1].upper() + one.reason[1:] or "No reason is on record",
        "to_do": next(to_do, "Look at the log of the PACS, then try again."),
        "can_retry": one.state == State.ATTENTION or one.reason in GOES_WHEN_ORDERED,
    }


def outage_row(outage: Outage, closing: Closing | None) -> dict[str, Any]:
    """Return one outage, and who signed that it is over."""
    signed = f"Signed by {closing.signed_by}, {words.moment(closing.signed_at)}" if closing else ""
    return {
        "key": outage.began_at,
        "number": outage.number,
        "kind": outage.kind.capitalize(),
        "began": words.moment(outage.began_at),
        "ended": words.moment(outage.ended_at) or "lasts",
        "signed": signed,
        "can_sign": bool(outage.ended_at),
    }
