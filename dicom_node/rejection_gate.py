"""Whether the old instances of a reissue may be rejected, and if not, why not yet.

Nothing is hidden at a PACS before what replaces it is proven and was found there under the identity
it was sent with. In doubt nothing is rejected, and people read the reason.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

import sqlalchemy as sa

from dicom_node.held_reasons import TWO_CONTENTS
from dicom_node.identity_decisions import difference_of
from dicom_node.kept_identity import Kept
from dicom_node.ledger import State
from dicom_node.ledger_proofs import LONG_AGO
from dicom_node.ledger_tables import deliveries, rejected_instances
from dicom_node.reissue import Reissue

NOT_ASSIGNED: Final = "some images of the study have no new UIDs yet"
NOTHING_THERE: Final = "no image is known that the PACS has under its old UID"
NEEDS_A_PERSON: Final = (
    "a new image is held or refused, and a person must look: until it is proven nothing is "
    "rejected. If it cannot be, the administrator of the PACS can reject by hand the old images "
    "whose new ones are proven: lifeboat sync report --study UID --format csv names both"
)
NOT_PROVEN: Final = "not all the new ones are proven yet"
NOT_LOOKED_AT: Final = "the PACS was not asked yet under which identity it keeps the new ones"
DIFFERS: Final = "the PACS keeps the new ones under another identity too: a person must look"
UNLISTED: Final = "the PACS vouches for the new ones but does not list their study"
UNREAD: Final = "the identity of the study here cannot be read, so none could be compared"
UNANSWERED: Final = "the PACS answered queries before, and now not the one for the new ones"
SEEN: Final = (Kept.SAME, Kept.ACCEPTED)


class _Standing(NamedTuple):
    """What some deliveries of the study have in common."""

    has_new_uids: bool
    is_to_reject: bool
    state: str
    is_of_two_contents: bool
    is_looked_at: bool
    identity_state: str

    @property
    def is_held_between_two(self) -> bool:
        return self.state == State.HELD and self.is_of_two_contents


def why_not_yet(connection: sa.Connection, reissue: Reissue) -> str:
    """Return why the old instances of a reissue may not be rejected now, '' when they may.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the ledger.
    reissue : Reissue

    Returns
    -------
    str
        For people, without naming anyone.
    """
    found = _standings(connection, reissue)
    if any(not one.has_new_uids and not one.is_held_between_two for one in found):
        return NOT_ASSIGNED
    replaced = [one for one in found if one.is_to_reject]
    states = {one.state for one in replaced}
    if not replaced:
        return NOTHING_THERE
    if states & {State.HELD, State.ATTENTION}:
        return NEEDS_A_PERSON
    if states != {State.PROVEN}:
        return NOT_PROVEN
    if not all(one.is_looked_at for one in replaced):
        return NOT_LOOKED_AT
    return _unseen(connection, reissue, {one.identity_state for one in replaced})


def _unseen(connection: sa.Connection, reissue: Reissue, states: Collection[str]) -> str:
    """Say why it is not known that the PACS has the new study under the right identity."""
    if "differs" in states:
        return DIFFERS
    if all(state in SEEN for state in states):
        return ""
    kept = difference_of(connection, reissue.destination, reissue.study_instance_uid)
    if kept is not None and kept.state == Kept.UNANSWERED:
        # where it never answers any, its proof is all that can be had
        return UNANSWERED if _ever_answered(connection, reissue.destination) else ""
    return UNREAD if kept is not None and kept.state == Kept.UNREAD else UNLISTED


def _ever_answered(connection: sa.Connection, destination: str) -> bool:
    """Tell whether a PACS ever said under which identity it keeps anything."""
    statement = sa.select(deliveries.c.delivery_id).where(
        deliveries.c.destination == destination, deliveries.c.identity_state != ""
    )
    return connection.scalar(statement.limit(1)) is not None


def _standings(connection: sa.Connection, reissue: Reissue) -> list[_Standing]:
    is_of_it = sa.and_(
        rejected_instances.c.delivery_id == deliveries.c.delivery_id,
        rejected_instances.c.reissue_id == reissue.reissue_id,
    )
    statement = (
        sa.select(
            deliveries.c.sent_sop_instance_uid != "",
            rejected_instances.c.delivery_id.is_not(None),
            deliveries.c.state,
            deliveries.c.last_error == TWO_CONTENTS,
            deliveries.c.verified_at > LONG_AGO,
            deliveries.c.identity_state,
        )
        .select_from(deliveries.outerjoin(rejected_instances, is_of_it))
        .where(
            deliveries.c.destination == reissue.destination,
            deliveries.c.study_instance_uid == reissue.study_instance_uid,
        )
        .distinct()
    )
    return [_Standing(*row) for row in connection.execute(statement)]
