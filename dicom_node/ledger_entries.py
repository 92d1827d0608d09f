"""Entries of the ledger that several transactions share."""

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dicom_node.ledger import State
from dicom_node.ledger_tables import (
    about,
    commitment_items,
    commitments,
    deliveries,
    destinations,
    events,
    identity_difference,
)
from dicom_node.setting_tables import PacsSettings


def set_mark(connection: sa.Connection, key: str, value: str) -> None:
    """Remember a position."""
    connection.execute(
        insert(about)
        .values(key=key, value=value)
        .on_conflict_do_update(index_elements=["key"], set_={"value": value})
    )


def add_event(
    connection: sa.Connection, kind: str, destination: str, detail: str, now: str
) -> None:
    """Enter something that happened."""
    connection.execute(
        sa.insert(events).values(at=now, kind=kind, destination=destination, detail=detail)
    )


def was_away(connection: sa.Connection, destination: str) -> bool:
    """Tell whether a destination could not be reached when that was noted last."""
    noted = (
        sa.select(events.c.kind)
        .where(events.c.destination == destination, events.c.kind.in_(("reachable", "unreachable")))
        .order_by(events.c.event_id.desc())
        .limit(1)
    )
    return connection.scalar(noted) == "unreachable"


def enter_destination(connection: sa.Connection, pacs: PacsSettings) -> None:
    """Enter a configured destination; behind another address, everything is owed anew."""
    place = {"ae_title": pacs.ae_title, "host": pacs.host, "port": pacs.port}
    before = connection.execute(
        sa.select(destinations.c.ae_title, destinations.c.host, destinations.c.port).where(
            destinations.c.name == pacs.name
        )
    ).one_or_none()
    connection.execute(
        insert(destinations)
        .values(name=pacs.name, **place)
        .on_conflict_do_update(index_elements=["name"], set_={**place, "is_reachable": None})
    )
    if before is not None and before._asdict() != place:
        # what the one before still answers says nothing of this one
        asked = sa.select(commitments.c.transaction_uid).where(
            commitments.c.destination == pacs.name
        )
        connection.execute(
            sa.delete(commitment_items).where(commitment_items.c.transaction_uid.in_(asked))
        )
        connection.execute(
            sa.delete(identity_difference).where(identity_difference.c.destination == pacs.name)
        )
        connection.execute(
            sa.update(deliveries)
            .where(
                deliveries.c.destination == pacs.name,
                deliveries.c.state.in_((State.STORED, State.PROVEN)),
            )
            .values(
                state=State.QUEUED,
                attempts=0,
                transaction_uid="",
                proven_at="",
                proof="",
                verified_at="",
                identity_state="",
                first_failed_at="",
                next_attempt_at="",
                last_error="the PACS was changed in the settings: asking the new one",
            )
        )
