"""What became of every instance: received = proven + waiting + needs a person, shown and checked.

The report claims no more than the ledger can show, and names no patient.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import reduce
from typing import Any, Final

import sqlalchemy as sa

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.database import ReadOnlyDatabase, Rows
from dicom_node.identity_decisions import IdentityDecision
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index_tables import COMPLETE, commitment_reports, instances, studies
from dicom_node.index_tables import about as index_about
from dicom_node.kept_identity import Kept
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import MODE_KIND, LedgerEvent, State, recorded_mode
from dicom_node.ledger_tables import (
    LAST_TABLE,
    about,
    deliveries,
    events,
    identity_decisions,
    identity_difference,
    reissues,
)
from dicom_node.named_images import NamedImages, named_images
from dicom_node.outages import ModeBand, Outage, choose_outage, mode_bands, outages
from dicom_node.quarantine import FOLDER as QUARANTINE
from dicom_node.quarantine import count_quarantine
from dicom_node.reissue import IN_FORCE, Reissue, ReissueState
from dicom_node.settings import Settings

NO_LIST: Final = "no list from a scanner"
_NEEDS_NOBODY: Final = (Kept.ACCEPTED, Kept.UNLISTED, Kept.UNANSWERED, Kept.UNREAD)
"""States of a difference of identity that keep no outage open."""


class Standing(StrEnum):
    """Where an instance stands, in the three words of the report."""

    PROVEN = "proven"
    WAITING = "waiting"
    PERSON = "needs a person"


@dataclass(slots=True)
class Tally:
    """How many instances stand where."""

    proven: int = 0
    waiting: int = 0
    needs_a_person: int = 0

    @property
    def received(self) -> int:
        """All of them."""
        return self.proven + self.waiting + self.needs_a_person

    @property
    def open(self) -> int:
        """Those that are not proven."""
        return self.waiting + self.needs_a_person

    def count(self, standing: Standing) -> None:
        """Count one more."""
        self.proven += standing is Standing.PROVEN
        self.waiting += standing is Standing.WAITING
        self.needs_a_person += standing is Standing.PERSON

    def add(self, other: "Tally") -> None:
        """Count all of another tally."""
        self.proven += other.proven
        self.waiting += other.waiting
        self.needs_a_person += other.needs_a_person


@dataclass(frozen=True, slots=True)
class InstanceLine:
    """One instance: as received, and its delivery to each destination by name.

    `received` is None for one the ledger knows and the index does not.
    """

    sop_instance_uid: str
    digest: str
    received: Mapping[str, Any] | None
    deliveries: Mapping[str, Mapping[str, Any]]
    standing: Standing

    @property
    def known_since(self) -> str:
        """When it was received, or first owed to a destination, ISO 8601 in UTC; '' is unknown."""
        received_at = self.received["received_at"] if self.received else ""
        return reduce(_earlier, (one["queued_at"] for one in self.deliveries.values()), received_at)


@dataclass(slots=True)
class StudyLines:
    """One study: its instances, counted for all destinations together and for each.

    `unsent_since` is when the oldest instance that some destination still lacks was received, ''
    when there is none; `is_identity_verified` is not True when a PACS that proved an instance was
    not asked, or could not say, under which identity it keeps it; `identities_accepted` counts
    the PACS that may keep it under another identity, and `decisions` say who decided so and who
    took it back; `reissues` are those to any PACS; `missing` is None without a list from a scanner.
    """

    study_instance_uid: str
    study_date: str
    accession_number: str
    modalities: str
    lines: list[InstanceLine] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    at: dict[str, Tally] = field(default_factory=dict)
    unsent_since: str = ""
    first_received_at: str = ""
    last_received_at: str = ""
    last_proven_at: str = ""
    identity_differences: int = 0
    is_identity_verified: bool = True
    identities_accepted: int = 0
    decisions: list[IdentityDecision] = field(default_factory=list)
    reissues: list[Reissue] = field(default_factory=list)
    reissues_open: int = 0
    corrected: int = 0
    named: NamedImages | None = None
    missing: int | None = None


@dataclass(slots=True)
class Totals:
    """All studies of a report together; `faults` say where the count does not come out.

    `accepted` are the studies that a PACS may keep under another identity; `reissues_open` counts
    the reissues to a configured PACS of which the old instances are not rejected yet.
    """

    studies: int = 0
    tally: Tally = field(default_factory=Tally)
    at: dict[str, Tally] = field(default_factory=dict)
    unsent_since: str = ""
    identity_differences: int = 0
    identities_accepted: int = 0
    reissues: int = 0
    reissues_open: int = 0
    studies_not_verified: int = 0
    studies_without_list: int = 0
    missing: int = 0
    faults: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)

    @property
    def is_closable(self) -> bool:
        """Whether nothing is open: then a person may sign that the outage is over."""
        is_open = self.tally.open or self.faults or self.identity_differences or self.missing
        return not (is_open or self.reissues_open)

    def add(self, study: StudyLines) -> None:
        """Count a study."""
        self.studies += 1
        self.tally.add(study.tally)
        for name, tally in study.at.items():
            self.at.setdefault(name, Tally()).add(tally)
        self.unsent_since = _earlier(self.unsent_since, study.unsent_since)
        self.identity_differences += study.identity_differences
        self.identities_accepted += study.identities_accepted
        self.accepted += [study.study_instance_uid] if study.identities_accepted else []
        self.reissues += len(study.reissues)
        self.reissues_open += study.reissues_open
        self.studies_not_verified += not study.is_identity_verified
        self.studies_without_list += study.missing is None
        self.missing += study.missing or 0


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is on: one study, one outage (its number or `last`), or everything."""

    study_instance_uid: str = ""
    outage: str = ""


class Report:
    """A report on one moment; see `open_report`.

    `destinations` are those that every instance is owed to; `totals` counts what `studies` has
    handed out so far; `index_fault` says why the index is no evidence of what was received.
    """

    def __init__(
        self, settings: Settings, ledger: Rows, index: Rows, scope: Scope, written_at: str
    ) -> None:
        self.node_name = settings.node.name
        self.destinations = [pacs.name for pacs in settings.pacs if pacs.required]
        self._configured = {pacs.name for pacs in settings.pacs}
        self.written_at, self.study_instance_uid = written_at, scope.study_instance_uid
        self.quarantined = count_quarantine(settings.node.data / QUARANTINE)
        self._ledger, self._index = ledger, index
        self.index_fault = _index_fault(ledger(_GENERATION_READ), index(_ABOUT_INDEX))
        self.bands: list[ModeBand] = mode_bands(
            recorded_mode(LedgerEvent(**row)) for row in ledger(_MODE_CHANGES)
        )
        self.outage: Outage | None = None
        if scope.outage:
            self.outage = choose_outage(outages(self.bands), scope.outage)
            self.bands = list(self.outage.bands)
        self.totals = Totals(at={name: Tally() for name in self.destinations})

    def studies(self) -> Iterator[StudyLines]:
        """Return the studies, the one received first at the front; each is read when asked for."""
        self.totals = Totals(at={name: Tally() for name in self.destinations})
        for facts in self._study_facts():
            study = self._study(facts)
            if study.lines and self._is_meant(study):
                self.totals.add(study)
                yield study
        self._check()

    def _is_meant(self, study: StudyLines) -> bool:
        """Tell whether some of it was open in the outage: then what came later counts as well."""
        return self.outage is None or any(line.known_since <= self._until for line in study.lines)

    @property
    def _until(self) -> str:
        return self.outage.ended_at if self.outage and self.outage.ended_at else self.written_at

    def _counts(self, line: InstanceLine) -> bool:
        """Tell whether a line was not proven at some time since the outage began."""
        if self.outage is None or line.standing is not Standing.PROVEN:
            return True
        proven = [line.deliveries[name]["proven_at"] for name in self.destinations]
        return bool(max([line.known_since, *proven]) >= self.outage.began_at)

    def _study_facts(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = list(self._index(_STUDIES))
        known = {row["study_instance_uid"] for row in found}
        for row in self._ledger(_STUDIES_OF_LEDGER):
            if row["study_instance_uid"] not in known:
                found.append(_UNKNOWN_STUDY | row)
        if self.study_instance_uid:
            return [one for one in found if one["study_instance_uid"] == self.study_instance_uid]
        return found

    def _study(self, facts: Mapping[str, Any]) -> StudyLines:
        uid = facts["study_instance_uid"]
        study = StudyLines(
            uid,
            facts["study_date"],
            facts["accession_number"],
            (facts["modalities_in_study"] or "").replace(",", " "),
            at={name: Tally() for name in self.destinations},
        )
        states = [row["state"] for row in self._ledger(_DIFFERENCES, {"study": uid})]
        study.identity_differences = sum(state not in _NEEDS_NOBODY for state in states)
        study.identities_accepted = states.count(Kept.ACCEPTED)
        study.decisions = [
            IdentityDecision(**row) for row in self._ledger(_DECISIONS, {"study": uid})
        ]
        study.reissues = [Reissue(**row) for row in self._ledger(_REISSUES, {"study": uid})]
        open_at = [one.destination for one in study.reissues if one.state == ReissueState.SENDING]
        study.reissues_open = len(self._configured.intersection(open_at))
        for line in filter(self._counts, self._lines(uid)):
            self._enter(study, line)
        study.named = named_images(uid)
        if study.named is not None:
            here = {line.sop_instance_uid for line in study.lines}
            study.missing = len(study.named.sop_instance_uids - here)
        return study

    def _lines(self, study_instance_uid: str) -> Iterator[InstanceLine]:
        owed: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
        for row in self._ledger(_DELIVERIES, {"study": study_instance_uid}):
            key = (row["sop_instance_uid"], row["digest"])
            owed.setdefault(key, {})[row["destination"]] = row
        seen = set()
        for row in self._index(_INSTANCES, {"study": study_instance_uid}):
            key = (row["sop_instance_uid"], row["digest"])
            if key in seen:
                continue  # the same bytes twice are one instance
            seen.add(key)
            yield self._line(key, row, owed.pop(key, {}))
        for key, of_key in owed.items():
            yield self._line(key, None, of_key)

    def _line(
        self,
        key: tuple[str, str],
        received: Mapping[str, Any] | None,
        owed: Mapping[str, Mapping[str, Any]],
    ) -> InstanceLine:
        found = [standing_at(owed.get(name)) for name in self.destinations]
        return InstanceLine(*key, received, owed, overall(found, received))

    def _enter(self, study: StudyLines, line: InstanceLine) -> None:
        study.lines.append(line)
        study.tally.count(line.standing)
        is_unsent = False
        for name in self.destinations:
            item = line.deliveries.get(name)
            study.at[name].count(standing_at(item))
            is_unsent |= not (item and item["stored_at"])
            if item and item["state"] == State.PROVEN and not item["identity_state"]:
                study.is_identity_verified = False
        received_at = line.received["received_at"] if line.received else ""
        if is_unsent or not self.destinations:
            study.unsent_since = _earlier(study.unsent_since, received_at)
        study.first_received_at = _earlier(study.first_received_at, received_at)
        study.last_received_at = max(study.last_received_at, received_at)
        of_study = line.deliveries.values()
        study.last_proven_at = max([study.last_proven_at, *(one["proven_at"] for one in of_study)])
        study.corrected += any(one["correction_id"] for one in of_study)

    def _check(self) -> None:
        """Count another way, and say so when it does not come out."""
        received = self.totals.tally.received
        for name, tally in self.totals.at.items():
            if tally.received != received:
                self.totals.faults.append(f"{name}: {tally.received} of {received} accounted for")
        if self.outage:
            self._check_open()
        if self.outage or self.study_instance_uid:
            return
        ledger = {row["destination"]: row["n"] for row in self._ledger(_PROVEN_IN_LEDGER)}
        for name, tally in self.totals.at.items():
            if tally.proven != ledger.get(name, 0):
                words = f"the ledger has {ledger.get(name, 0)} proven, the report {tally.proven}"
                self.totals.faults.append(f"{name}: {words}")

    def _check_open(self) -> None:
        """Say so where the ledger knows more that was open in the outage than the report does."""
        rows = self._ledger(_OPEN_IN_LEDGER, {"until": self._until})
        ledger = {row["destination"]: row["n"] for row in rows}
        for name, tally in self.totals.at.items():
            if tally.open < ledger.get(name, 0):
                words = f"the ledger has {ledger[name]} open, the report {tally.open}"
                self.totals.faults.append(f"{name}: {words}")


@contextmanager
def open_report(settings: Settings, scope: Scope, clock: Clock = utc_now) -> Iterator[Report]:
    """Open a report on this moment; what arrives while it is read is not in it.

    Parameters
    ----------
    settings : Settings
    scope : Scope
    clock : Clock

    Yields
    ------
    Report

    Raises
    ------
    BadSettings
        There is no such outage.
    DatabaseFailed
        The ledger or the index is damaged, or the disk failed.
    """
    data = settings.node.data
    ledger = ReadOnlyDatabase(data / LEDGER_FILE, last_table=LAST_TABLE)
    index = ReadOnlyDatabase(data / INDEX_FILE, last_table=commitment_reports.name)
    try:
        # the ledger first: what it knows of, the index then holds
        with ledger.snapshot() as of_ledger, index.snapshot() as of_index:
            yield Report(settings, of_ledger, of_index, scope, stamp(clock()))
    finally:
        ledger.close()
        index.close()


def standing_at(item: Mapping[str, Any] | None) -> Standing:
    """Return where an instance stands at one destination.

    Parameters
    ----------
    item : mapping or None
        Its delivery; None when it is not queued yet.

    Returns
    -------
    Standing
    """
    if item is None:
        return Standing.WAITING
    if item["state"] in (State.HELD, State.ATTENTION) or item["identity_state"] == "differs":
        return Standing.PERSON
    return Standing.PROVEN if item["state"] == State.PROVEN else Standing.WAITING


def overall(found: Sequence[Standing], received: Mapping[str, Any] | None) -> Standing:
    """Return where an instance stands, given where it stands at each destination.

    Parameters
    ----------
    found : sequence of Standing
        One for each required destination.
    received : mapping or None
        Its row in the index, if there is one.

    Returns
    -------
    Standing
        Proven only when it is proven everywhere; never proven without a destination.
    """
    if found and all(one is Standing.PROVEN for one in found):
        return Standing.PROVEN
    is_damaged = received is not None and bool(received["damaged_at"])
    if Standing.PERSON in found or is_damaged:
        return Standing.PERSON
    return Standing.WAITING


def _index_fault(read: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> str:
    """Return why the index is no evidence: gone, not whole, or not the one delivery has read."""
    about_index = {row["key"]: row["value"] for row in found}
    if not about_index:
        return "the index is missing: what was received cannot be counted"
    if COMPLETE not in about_index:
        return "the index is being rebuilt"
    same = [about_index["generation"]] == [row["value"] for row in read]
    return "" if same else "delivery has not read the index anew"


def _earlier(one: str, other: str) -> str:
    return min(filter(None, (one, other)), default="")


_STUDIES: Final = sa.select(
    studies.c.study_instance_uid,
    studies.c.study_date,
    studies.c.accession_number,
    studies.c.modalities_in_study,
    studies.c.first_received_at,
    studies.c.last_received_at,
).order_by(studies.c.first_received_at, studies.c.study_instance_uid)
_UNKNOWN_STUDY: Final = {
    "study_date": "",
    "accession_number": "",
    "modalities_in_study": "",
    "first_received_at": "",
    "last_received_at": "",
}
_STUDIES_OF_LEDGER: Final = sa.select(deliveries.c.study_instance_uid).distinct()
_INSTANCES: Final = (
    sa.select(
        instances.c.series_instance_uid,
        instances.c.sop_instance_uid,
        instances.c.sop_class_uid,
        instances.c.transfer_syntax_uid,
        instances.c.size_bytes,
        instances.c.digest,
        instances.c.received_at,
        instances.c.calling_ae_title,
        instances.c.damaged_at,
    )
    .where(instances.c.study_instance_uid == sa.bindparam("study"))
    .order_by(instances.c.series_instance_uid, instances.c.instance_id)
)
_DELIVERIES: Final = sa.select(deliveries).where(
    deliveries.c.study_instance_uid == sa.bindparam("study")
)
_DIFFERENCES: Final = sa.select(identity_difference.c.state).where(
    identity_difference.c.study_instance_uid == sa.bindparam("study")
)
_DECISIONS: Final = (
    sa.select(identity_decisions)
    .where(identity_decisions.c.study_instance_uid == sa.bindparam("study"))
    .order_by(identity_decisions.c.decision_id)
)
_REISSUES: Final = sa.select(reissues).where(
    reissues.c.study_instance_uid == sa.bindparam("study"), reissues.c.state.in_(IN_FORCE)
)
_PROVEN_IN_LEDGER: Final = (
    sa.select(deliveries.c.destination, sa.func.count().label("n"))
    .where(deliveries.c.state == State.PROVEN, deliveries.c.identity_state != "differs")
    .group_by(deliveries.c.destination)
)
_OPEN_IN_LEDGER: Final = (
    sa.select(deliveries.c.destination, sa.func.count().label("n"))
    .where(
        sa.or_(deliveries.c.state != State.PROVEN, deliveries.c.identity_state == "differs"),
        deliveries.c.queued_at <= sa.bindparam("until"),
    )
    .group_by(deliveries.c.destination)
)
_ABOUT_INDEX: Final = sa.select(index_about)
_GENERATION_READ: Final = sa.select(about.c.value).where(about.c.key == "generation")
_MODE_CHANGES: Final = (
    sa.select(events)
    .where(events.c.kind.startswith(MODE_KIND, autoescape=True))
    .order_by(events.c.event_id)
)
