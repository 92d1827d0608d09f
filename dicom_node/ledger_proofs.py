"""What the ledger knows of a PACS beyond single steps: whether it stores, and what to verify."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dicom_node.identity_decisions import difference_of, settled, written
from dicom_node.kept_identity import NOT_SEEN, Finding, Kept
from dicom_node.ledger import Delivery, State
from dicom_node.ledger_tables import deliveries, identity_difference
from dicom_node.ledger_writer import Ledger

LONG_AGO = "1970-01-01T00:00:00.000+00:00"
LOST_WORDS = "the PACS vouched for it but lists it no longer"


class LedgerProofs:
    """One destination in the ledger.

    Parameters
    ----------
    ledger : Ledger
    destination : str
    """

    def __init__(self, ledger: Ledger, destination: str) -> None:
        self._ledger = ledger
        self._engine = ledger.engine
        self._destination = destination
        self._is_here = deliveries.c.destination == destination

    def has_stored_since(self, moment: str) -> bool:
        """Tell whether it stored any instance after a moment, ISO 8601 in UTC."""
        statement = (
            sa.select(deliveries.c.delivery_id)
            .where(self._is_here, deliveries.c.stored_at > moment)
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.scalar(statement) is not None

    def next_unverified(self, avoided: Collection[str] = ()) -> str | None:
        """Return a study that was proven and not verified since, once all of it was sent."""
        other = deliveries.alias()
        is_coming = (
            sa.select(other.c.delivery_id)
            .where(
                other.c.study_instance_uid == deliveries.c.study_instance_uid,
                other.c.destination == self._destination,
                other.c.state.in_((State.QUEUED, State.SENDING, State.STORED)),
                other.c.first_failed_at == "",
            )
            .exists()
        )
        is_new = deliveries.c.verified_at == ""
        return self._first_study(is_new, ~is_coming, _is_none_of(avoided))

    def next_verified_before(self, moment: str, avoided: Collection[str] = ()) -> str | None:
        """Return the study that was verified longest ago, before a moment."""
        is_old = sa.and_(deliveries.c.verified_at > "", deliveries.c.verified_at < moment)
        return self._first_study(is_old, _is_none_of(avoided))

    def _first_study(self, *conditions: sa.ColumnElement[bool]) -> str | None:
        statement = (
            sa.select(deliveries.c.study_instance_uid)
            .where(self._is_here, deliveries.c.state == State.PROVEN, *conditions)
            .order_by(deliveries.c.verified_at)
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.scalar(statement)

    def proven(self, study_instance_uid: str) -> list[Delivery]:
        """Return what it vouched for of a study."""
        statement = (
            sa.select(deliveries)
            .where(
                self._is_here,
                deliveries.c.study_instance_uid == study_instance_uid,
                deliveries.c.state == State.PROVEN,
            )
            .order_by(deliveries.c.series_instance_uid, deliveries.c.delivery_id)
        )
        with self._engine.connect() as connection:
            return [Delivery(**row) for row in connection.execute(statement).mappings()]

    def record_finding(
        self, study_instance_uid: str, finding: Finding, now: str
    ) -> tuple[Finding, bool]:
        """Enter how a PACS keeps a study, in one step with what people decided about that.

        Parameters
        ----------
        study_instance_uid : str
        finding : Finding
        now : str
            ISO 8601 in UTC.

        Returns
        -------
        Finding and bool
            `ACCEPTED` where a person accepted just this; and whether it is news.

        Notes
        -----
        A question without an answer takes back nothing that was found: a difference stays in need
        of a person, and what was accepted is not verified then.
        """
        with self._engine.begin() as connection:
            found = settled(connection, self._destination, study_instance_uid, finding)
            before = difference_of(connection, self._destination, study_instance_uid)
            stays = before is not None and found.kept in NOT_SEEN and before.state not in NOT_SEEN
            is_open = stays and before is not None and before.state != Kept.ACCEPTED
            connection.execute(
                sa.update(deliveries)
                .where(
                    self._is_here,
                    deliveries.c.study_instance_uid == study_instance_uid,
                    deliveries.c.state == State.PROVEN,
                )
                .values(verified_at=now, identity_state="differs" if is_open else found.state)
            )
            return found, not stays and self._replace(connection, study_instance_uid, found, now)

    def _replace(
        self, connection: sa.Connection, study_instance_uid: str, finding: Finding, now: str
    ) -> bool:
        """Enter a difference in place of the one before; return whether that is news."""
        table = identity_difference
        is_it = sa.and_(
            table.c.destination == self._destination,
            table.c.study_instance_uid == study_instance_uid,
        )
        words = written(finding)
        before = connection.execute(
            sa.select(table.c.state, table.c.differences).where(is_it)
        ).one_or_none()
        after = None if finding.kept is Kept.SAME else (finding.kept.value, words)
        if before == after:
            return False
        connection.execute(sa.delete(table).where(is_it))
        if after is not None:
            connection.execute(
                insert(table).values(
                    destination=self._destination,
                    study_instance_uid=study_instance_uid,
                    found_at=now,
                    state=finding.kept.value,
                    differences=words,
                )
            )
        return True

    def postpone(
        self, study_instance_uid: str, state: State, now: str, until: str, latest: str, words: str
    ) -> None:
        """Let what is due of a study wait, after it could not be asked about.

        Parameters
        ----------
        study_instance_uid : str
        state : State
            Of what is meant. What is `queued` has failed by this, and comes after what has not.
        now, until, latest : str
            ISO 8601 in UTC; see `Ledger.due`.
        words : str
            Why.
        """
        waits = deliveries.c.next_attempt_at
        values: dict[str, Any] = {"next_attempt_at": until, "last_error": words}
        if state is State.QUEUED:
            before = sa.func.nullif(deliveries.c.first_failed_at, "")
            values["first_failed_at"] = sa.func.coalesce(before, now)
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(
                    self._is_here,
                    deliveries.c.study_instance_uid == study_instance_uid,
                    deliveries.c.state == state,
                    sa.or_(waits <= now, waits > latest),
                )
                .values(values)
            )

    def doubt(self, delivery_ids: Sequence[int]) -> None:
        """Take back the proof of instances: it is asked for again, and they are sent if need be."""
        self._ledger.update(
            delivery_ids,
            expected=State.PROVEN,
            state=State.STORED,
            attempts=0,
            first_failed_at="",
            transaction_uid="",
            proven_at="",
            proof="",
            verified_at="",
            identity_state="",
            next_attempt_at="",
            last_error=LOST_WORDS,
        )


def _is_none_of(avoided: Collection[str]) -> sa.ColumnElement[bool]:
    return deliveries.c.study_instance_uid.not_in(list(avoided))


def look_again(connection: sa.Connection, destination: str, study_instance_uid: str = "") -> int:
    """Let what was verified be verified as if that was long ago; return how many instances.

    What was never looked at stays so.

    Parameters
    ----------
    connection : sqlalchemy.Connection
    destination : str
    study_instance_uid : str
        '' for all studies.
    """
    is_meant = sa.and_(
        deliveries.c.destination == destination,
        deliveries.c.state == State.PROVEN,
        deliveries.c.verified_at != "",
    )
    if study_instance_uid:
        is_meant = sa.and_(is_meant, deliveries.c.study_instance_uid == study_instance_uid)
    statement = sa.update(deliveries).where(is_meant).values(verified_at=LONG_AGO)
    return connection.execute(statement).rowcount
