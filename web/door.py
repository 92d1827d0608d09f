"""What the IT page says of the DICOM port: who may send, until when, and who was turned away."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from dicom_node.certificate import certificate_state
from dicom_node.refusals import Refusal, read_refusals
from dicom_node.settings import Settings
from dicom_node.unknown_switch import UnknownSwitch
from web import words
from web.context import WebContext

MOST_REFUSALS: Final = 100
_REASONS: Final = {
    "unknown-caller": "Not on the list of modalities",
    "bad-calling-ae-title": "Its AE title is blank or broken",
    "wrong-called-ae-title": "It calls another AE title than ours",
    "wrong-protocol-version": "Another version of the protocol",
    "too-many-associations": "Too many associations at once",
    "silent": "Connected and said nothing",
    "not-dicom": "Did not speak DICOM",
    "crowded-out": "Too many silent connections at once",
    "tls-failed": "TLS was not agreed",
}
_CHIPS: Final = {"ok": "proven", "warning": "waiting", "failed": "attention"}


def door_answer(context: WebContext) -> dict[str, Any]:
    """Return the state of the door and the latest refusals.

    Parameters
    ----------
    context : WebContext
        Settings and clock.

    Returns
    -------
    dict
        `door` and `refusals`, rows with a `key`.
    """
    settings, now = context.settings, context.clock()
    refusals = read_refusals(settings.node.data)[:MOST_REFUSALS]
    switch = UnknownSwitch(settings.node.data, context.clock)
    return {
        "door": [callers_row(settings, switch), *certificate_rows(settings, now)],
        "refusals": [refusal_row(refusal) for refusal in refusals],
    }


def callers_row(settings: Settings, switch: UnknownSwitch) -> dict[str, str]:
    """Return who may send now.

    Parameters
    ----------
    settings : Settings
        Name the modalities.
    switch : UnknownSwitch
        Lets others in for a while.

    Returns
    -------
    dict
    """
    opening = switch.opening()
    if not settings.modalities:
        state, text = "waiting", "No modality is listed, so everyone may send."
    elif opening:
        reason = f": {opening.reason}" if opening.reason else "."
        text = f"Unknown scanners too, until {words.moment(opening.until)}, by {opening.by}{reason}"
        state = "attention"
    else:
        state, text = "proven", f"{len(settings.modalities)} listed. Whoever is not is refused."
    return {"key": "callers", "title": "Who may send", "state": state, "words": text}


def certificate_rows(settings: Settings, now: datetime) -> list[dict[str, str]]:
    """Return how our certificate stands; nothing when there is no TLS port.

    Parameters
    ----------
    settings : Settings
        Name its files.
    now : datetime
        The time now, UTC.

    Returns
    -------
    list of dict
    """
    state = certificate_state(settings.tls, now)
    if state is None:
        return []
    text = f"{state.words[:1].upper()}{state.words[1:]}."
    return [{"key": "tls", "title": "TLS", "state": _CHIPS[state.outcome], "words": text}]


def refusal_row(refusal: Refusal) -> dict[str, Any]:
    """Return one caller that was turned away.

    Parameters
    ----------
    refusal : Refusal
        The counts.

    Returns
    -------
    dict
    """
    right = refusal.reason.removeprefix("no-right-to-")
    lacks = f"It has no right to {right}" if right != refusal.reason else refusal.reason
    return asdict(refusal) | {
        "key": f"{refusal.calling_ae_title} {refusal.address} {refusal.reason}",
        "caller": refusal.calling_ae_title or words.NOT_KNOWN,
        "why": _REASONS.get(refusal.reason, lacks),
        "first": words.moment(refusal.first_at),
        "last": words.moment(refusal.last_at),
    }
