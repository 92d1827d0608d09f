"""What every page says of the PACS: the mode of the node in words, and what to do."""

from dataclasses import asdict
from typing import Any, Final

from dicom_node.ledger import RecordedMode
from dicom_node.mode_state import NODE, ModeState, read_mode
from dicom_node.outage_mode import Mode
from web import words
from web.context import WebContext

MODES: Final = {
    Mode.NORMAL: "Normal",
    Mode.SUSPECT: "Suspect",
    Mode.OUTAGE: "Outage",
    Mode.RECOVERING: "Recovering",
    Mode.DRILL: "Drill",
}
"""Each mode in a word."""
_WHAT: Final = {
    Mode.SUSPECT: "The PACS may be down",
    Mode.OUTAGE: "PACS outage",
    Mode.RECOVERING: "The PACS answers again",
    Mode.DRILL: "Drill",
}
_TO_DO: Final = {
    Mode.SUSPECT: "Go on sending; look for new images here too.",
    Mode.OUTAGE: (
        "Send images to this node and look at them here. They go to the PACS when it is back."
    ),
    Mode.RECOVERING: "It has not yet proven that it keeps images: look here too until it has.",
    Mode.DRILL: "Work as if the PACS were down. It is up, and images go to it.",
}


def mode_answer(context: WebContext) -> dict[str, Any]:
    """Return the mode of the node, as values and as words.

    Parameters
    ----------
    context : WebContext
        Settings and clock.

    Returns
    -------
    dict
        `words` is "" while there is nothing to say.
    """
    state = read_mode(context.settings.node.data, context.clock)
    return {
        "mode": state.mode.value,
        "since": state.since,
        "until": state.until,
        "by": state.by,
        "reason": state.reason,
        "words": mode_words(state),
    }


def mode_words(state: ModeState) -> str:
    """Return what is the case since when, why, and what to do; "" when all is normal.

    Parameters
    ----------
    state : ModeState
        The mode.

    Returns
    -------
    str
    """
    if state.mode is Mode.NORMAL:
        return ""
    since = f" since {words.moment(state.since)}" if state.since else ""
    until = f" until {words.moment(state.until)}" if state.until else ""
    by = f", by {state.by}" if state.by != NODE else ""
    is_worth_telling = state.reason and (state.mode is not Mode.RECOVERING or by)
    reason = f" ({state.reason.rstrip('.')})" if is_worth_telling else ""
    return f"{_WHAT[state.mode]}{since}{until}{by}{reason}. {_TO_DO[state.mode]}"


def mode_change_row(change: RecordedMode) -> dict[str, Any]:
    """Return one change of the mode.

    Parameters
    ----------
    change : RecordedMode
        The change.

    Returns
    -------
    dict
    """
    known = change.mode in set(Mode)
    return asdict(change) | {
        "key": str(change.event_id),
        "when": words.moment(change.at),
        "words": MODES[Mode(change.mode)] if known else change.mode,
        "who": "Lifeboat" if change.by == NODE else change.by,
    }
