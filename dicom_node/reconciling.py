"""When a correction may be confirmed or taken back, and the way out when it may not."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from dicom_node.correction import Correction, check_who_and_why
from dicom_node.correction_desk import CorrectionDesk, deciding
from dicom_node.errors import BadCorrection, CorrectionRefused
from dicom_node.identity import Identity
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import Delivery, State
from dicom_node.ledger_version import is_current

WAY_OUT: Final = (
    "An archive keeps the identity an image had when it first came, and a changed patient ID "
    "would split the study. Ask the administrator of the PACS to correct it there, or reissue it: "
    "it is sent under new UIDs, and once these are proven the PACS is told to reject the old ones. "
    "Where it was corrected there, Try again on the page Return to PACS sends what is held here "
    "for a correction."
)
REISSUED: Final = (
    "Not undone: this study is being reissued with this correction. Undo the reissue first, with "
    "lifeboat sync reissue --undo."
)
_ARRIVED: Final = (State.SENDING, State.STORED, State.PROVEN)

DeliveriesOf = Callable[[str], Iterable[Delivery]]
"""Returns the deliveries of a study, by its UID."""


def places_it_may_be(deliveries: Iterable[Delivery], correction_id: str = "") -> dict[str, int]:
    """Count at each destination the images that it has, or perhaps has.

    Parameters
    ----------
    deliveries : iterable of Delivery
        Of one study.
    correction_id : str
        Count only what was sent with this correction; '' counts everything.

    Returns
    -------
    dict
        By destination; those that certainly have nothing are left out.
    """
    return dict(
        Counter(
            item.destination
            for item in deliveries
            if may_be_there(item) and correction_id in ("", item.correction_id)
        )
    )


def may_be_there(item: Delivery) -> bool:
    """Tell whether an instance ever arrived, or was sent and nobody knows what became of it.

    What a PACS said it stored counts even where it lists it no more, and where the settings name
    another address since: that may be the same archive.
    """
    is_unknown = bool(item.sent_at) and item.last_status is None
    return item.state in _ARRIVED or bool(item.stored_at) or is_unknown


def places_words(places: dict[str, int]) -> str:
    """Return "3 images at main, 1 image at archive"."""
    return ", ".join(
        f"{count} image{'' if count == 1 else 's'} at {name}" for name, count in places.items()
    )


def confirm(
    data: Path,
    drafts: Sequence[Correction],
    deliveries_of: DeliveriesOf,
    *,
    by: str,
    reason: str,
    retyped_patient_id: str,
    now: datetime,
    is_reissued: bool = False,
) -> None:
    """Put previewed corrections in force, unless that would do harm.

    Parameters
    ----------
    data : Path
        The data folder.
    drafts : sequence of Correction
        One, or all of a merge.
    deliveries_of : callable
    by, reason : str
        Who decides and why.
    retyped_patient_id : str
        Typed once more by who decides, where the images become those of another patient.
    now : datetime
    is_reissued : bool
        What was sent already is no objection: it is sent once more under new UIDs.

    Raises
    ------
    BadCorrection
        Who, why, or the patient ID is missing or wrong.
    CorrectionRefused
        Images were sent already, somebody decided meanwhile, or the ledger is not readable now.
    """
    by, reason = check_who_and_why(by, reason)
    for draft in drafts:
        check_retyped(draft, retyped_patient_id)
    with deciding(data), CorrectionDesk(data) as desk:
        check_ledger(data)
        for draft in drafts:
            places = places_it_may_be(deliveries_of(draft.study_instance_uid))
            if places and not is_reissued:
                raise CorrectionRefused(
                    f"Not corrected: already sent, {places_words(places)}. {WAY_OUT}"
                )
        desk.activate([one.correction_id for one in drafts], by=by, reason=reason, now=now)


def check_ledger(data: Path) -> None:
    """Refuse to decide while the ledger cannot say what was sent; without one, nothing was.

    Raises
    ------
    CorrectionRefused
    """
    path = data / LEDGER_FILE
    if path.exists() and not is_current(path):
        raise CorrectionRefused("The delivery is being updated; try again in a minute.")


def check_retyped(draft: Correction, retyped: str) -> None:
    """Refuse a change of the patient that was not typed once more.

    Raises
    ------
    BadCorrection
    """
    if not draft.is_of_the_patient:
        return
    wanted = {draft.of(one).patient_id.strip() for one in draft.identities}
    if wanted != {retyped.strip()}:
        raise BadCorrection(
            "Type the patient ID these images are to have, exactly as it is shown. "
            "It must be the same for all of them."
        )


def take_back(
    data: Path,
    active: Sequence[Correction],
    deliveries_of: DeliveriesOf,
    *,
    by: str,
    reason: str,
    now: datetime,
) -> None:
    """Undo corrections that nothing was sent with.

    Parameters
    ----------
    data : Path
        The data folder.
    active : sequence of Correction
        One, or all of a merge.
    deliveries_of : callable
    by, reason : str
        Who decides and why.
    now : datetime

    Raises
    ------
    BadCorrection
        Who or why is missing.
    CorrectionRefused
        Images were sent with it, somebody decided meanwhile, or the ledger is not readable now.
    """
    by, reason = check_who_and_why(by, reason)
    with deciding(data), CorrectionDesk(data) as desk:
        check_ledger(data)
        for one in active:
            if any(item.sent_sop_instance_uid for item in deliveries_of(one.study_instance_uid)):
                raise CorrectionRefused(REISSUED)
            sent = places_it_may_be(deliveries_of(one.study_instance_uid), one.correction_id)
            if sent:
                raise CorrectionRefused(
                    f"Not undone: sent with this correction, {places_words(sent)}. {WAY_OUT}"
                )
        desk.undo([one.correction_id for one in active], by=by, reason=reason, now=now)


def distinct(identities: Iterable[Identity]) -> tuple[Identity, ...]:
    """Return each identity once, in the order they come."""
    return tuple(dict.fromkeys(identities))
