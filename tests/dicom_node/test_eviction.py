"""The gate before deleting: no sequence of events lets an unproven instance pass."""

import atexit
import contextlib
import os
import shutil
import tempfile
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dicom_node.accepting import Accepting
from dicom_node.clock import stamp
from dicom_node.errors import BadSettings
from dicom_node.eviction import DeliveryFacts, InstanceFacts, judge_instances, reason_to_stay
from dicom_node.identity import Difference, Identity, Kind
from dicom_node.kept_identity import Finding, Kept
from dicom_node.ledger import Attempt, LedgerReader, State
from dicom_node.ledger_commitments import LedgerCommitments
from dicom_node.ledger_proofs import LedgerProofs
from dicom_node.order_keeper import OrderKeeper
from dicom_node.study_answer import StudyAnswer
from dicom_node.sync_order import OrderKind, SyncOrders
from tests.dicom_node.report_data import BEGAN, Books, at

EXAMPLES = 200 if os.environ.get("LIFEBOAT_FAULTS") == "full" else 8
LATER = BEGAN + timedelta(days=40)
PROVEN = DeliveryFacts("proven", at(9), "same")
GOOD = {
    "received_at": at(0),
    "is_conflict": False,
    "is_damaged": False,
    "is_doubtful": False,
    "is_being_reissued": False,
    "opened_at": None,
    "deliveries": {"east": PROVEN, "west": PROVEN},
}
BOTH = ("east", "west")


def test_what_is_proven_everywhere_old_and_unquestioned_may_go():
    assert reason_to_stay(InstanceFacts(**GOOD), BOTH, LATER, 30) == ""


@pytest.mark.parametrize(
    "change",
    [
        {"received_at": stamp(LATER - timedelta(days=29))},
        {"received_at": stamp(LATER + timedelta(days=999))},
        {"received_at": ""},
        {"received_at": "2020-01-01T00:00:00"},
        {"is_conflict": True},
        {"is_damaged": True},
        {"is_doubtful": True},
        {"is_being_reissued": True},
        {"correction_id": "c1"},
        {"opened_at": stamp(LATER - timedelta(hours=23))},
        {"opened_at": "yesterday"},
        {"deliveries": {}},
        {"deliveries": {"east": PROVEN}},
        {"deliveries": {"east": PROVEN, "west": DeliveryFacts("stored", "", "")}},
        {"deliveries": {"east": PROVEN, "west": DeliveryFacts("proven", "", "")}},
        {"deliveries": {"east": PROVEN, "west": DeliveryFacts("proven", at(9), "differs")}},
        {"deliveries": {"east": PROVEN, "west": DeliveryFacts("proven", at(9), "same", "c0")}},
        {"deliveries": {"east": PROVEN, "west": DeliveryFacts("proven", at(9), "")}},
        {"deliveries": {"east": PROVEN, "west": DeliveryFacts("stored", at(9), "accepted")}},
    ],
)
def test_each_doubt_by_itself_makes_it_stay(change):
    assert reason_to_stay(InstanceFacts(**(GOOD | change)), BOTH, LATER, 30)


def test_another_identity_that_a_person_accepted_holds_nothing():
    deliveries = {"east": PROVEN, "west": DeliveryFacts("proven", at(9), "accepted")}
    facts = InstanceFacts(**(GOOD | {"deliveries": deliveries}))
    assert reason_to_stay(facts, BOTH, LATER, 30) == ""


def test_without_a_required_pacs_everything_stays():
    assert reason_to_stay(InstanceFacts(**GOOD), (), LATER, 30)


_TEXT = st.sampled_from(["", at(0), at(9e6), "nonsense", *State])
_IDENTITY = st.sampled_from(["same", "accepted", "differs", ""])
_DELIVERY = st.builds(DeliveryFacts, st.sampled_from([*State, ""]), _TEXT, _IDENTITY, _TEXT)
_INSTANCE = st.builds(
    InstanceFacts,
    _TEXT,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | _TEXT,
    st.dictionaries(st.sampled_from(["east", "west", "other"]), _DELIVERY),
    _TEXT,
)


@given(_INSTANCE, st.sets(st.sampled_from(BOTH)))
def test_whatever_is_known_only_proof_everywhere_opens_the_gate(facts, required):
    if reason_to_stay(facts, required, LATER, 30) == "":
        assert required
        assert all(facts.deliveries[name].state == State.PROVEN for name in required)
        assert all(facts.deliveries[name].proven_at for name in required)
        states = {facts.deliveries[name].identity_state for name in required}
        assert states <= {"same", "accepted"}
        assert not any((facts.is_conflict, facts.is_damaged, facts.is_doubtful))
        assert not facts.is_being_reissued


_NAME = Difference("patient_name", "DOE", "ROE", Kind.DIFFERENT)
_ROE = StudyAnswer(Identity(patient_id="7", patient_name="ROE"), frozenset({"patient_name"}))
_FINDINGS = [
    Finding(Kept.SAME),
    Finding(Kept.SAME),
    Finding(Kept.THERE_BEFORE, (_NAME,), (_ROE,)),
    Finding(Kept.SPLIT, (_NAME,), (_ROE,)),
    Finding(Kept.SPLIT, (_NAME,)),
    Finding(Kept.UNANSWERED),
]
_ONE = st.integers(0, 2)
_PLACE = st.sampled_from(BOTH)


@cache
def new_books() -> Path:
    """Return a folder with the databases of a new node: making them takes longer than a copy."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    Books(folder / "data", *BOTH).close()
    return folder / "data"


class Deliveries(RuleBasedStateMachine):
    """Everything that can happen to deliveries, beside what each PACS really said."""

    @initialize(delivered_to=st.sampled_from([(), BOTH[:1], BOTH, BOTH]))
    def begin(self, delivered_to):
        self.folder = tempfile.TemporaryDirectory()
        shutil.copytree(new_books(), Path(self.folder.name) / "data")
        self.books = Books(Path(self.folder.name) / "data", *BOTH)
        self.books.ledger._engine.raw_connection().execute("PRAGMA synchronous=OFF")
        self.said: dict[str, set[int]] = {name: set() for name in BOTH}
        self.asked: list[tuple[str, str, int]] = []
        self.ports = dict.fromkeys(BOTH, 104)
        self.books.receive("1.2", range(3))
        self.data = self.books.settings.node.data
        self.orders = SyncOrders(self.data)
        self.reader = LedgerReader(self.data / "ledger.sqlite")
        self.keeps: dict[str, Finding] = {}
        self.accepted: dict[str, set[Finding]] = {name: set() for name in BOTH}
        for place in delivered_to:
            self.deliver(place)

    def teardown(self):
        if hasattr(self, "books"):
            self.reader.close()
            self.books.close()
            self.folder.cleanup()

    def deliver(self, place):
        """Go all the way at one place: without it hardly any example comes to an open gate."""
        self.owe(place, "queued")
        for one in range(3):
            self.send(one, place, State.STORED)
            self.ask(one, place)
        for uid, of, one in list(self.asked):
            if of == place:
                LedgerCommitments(self.books.ledger).record_committed(uid, f"1.2.1.{one}", at(9))
                self.said[place].add(one)
        self.verify(place, Finding(Kept.SAME))

    def number(self, one: int, place: str) -> int:
        return 1 + one + 3 * BOTH.index(place)

    @rule(place=_PLACE, state=st.sampled_from(["queued", "held"]))
    def owe(self, place, state):
        with self.books.ledger.change() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM deliveries").scalar()
        if not count:
            for name in BOTH:
                self.books.owe("1.2", range(3), "queued" if name != place else state, name)

    @rule(one=_ONE, place=_PLACE, outcome=st.sampled_from([*State]))
    def send(self, one, place, outcome):
        taken = self.books.ledger.take([self.number(one, place)], at(5))
        if taken and outcome is not State.PROVEN:
            stored_at = at(6) if outcome is State.STORED else None
            attempt = Attempt(*taken, outcome, "", 0, "", stored_at)
            self.books.ledger.record_attempts([attempt])

    @rule(one=_ONE, place=_PLACE)
    def ask(self, one, place):
        batch = self.books.ledger.unproven(place, at(100), at(1e6), 100)
        batch = [item for item in batch if item.delivery_id == self.number(one, place)]
        if batch:
            uid = f"2.{len(self.asked)}"
            LedgerCommitments(self.books.ledger).record_commitment_request(uid, place, batch, at(7))
            self.asked.append((uid, place, one))

    @rule(data=st.data(), now=st.sampled_from([at(8), at(9)]))
    def answer(self, data, now):
        if self.asked:
            uid, place, one = data.draw(st.sampled_from(self.asked))
            LedgerCommitments(self.books.ledger).record_committed(uid, f"1.2.1.{one}", now)
            if uid in self.answerable(place):
                self.said[place].add(one)

    def answerable(self, place) -> set[str]:
        return {uid for uid, of, _ in self.asked if of == place}

    @rule(place=_PLACE, finding=st.sampled_from(_FINDINGS))
    def verify(self, place, finding):
        LedgerProofs(self.books.ledger, place).record_finding("1.2", finding, at(10))
        self.keeps[place] = finding

    @rule(place=_PLACE)
    def accept(self, place):
        accepting = Accepting(self.data, self.reader)
        for one in accepting.open("1.2", place):
            accept = partial(accepting.accept, one, one.code, "same-person", by="x", reason="y")
            if not one.answers:
                with pytest.raises(BadSettings, match="was not kept"):
                    accept(retyped_patient_id=one.id_to_type)
                continue
            accept(retyped_patient_id=one.id_to_type)
            OrderKeeper(self.orders, self.books.ledger, BOTH).step()
            self.accepted[place].add(self.keeps[place])

    @rule(place=_PLACE)
    def undo(self, place):
        accepting = Accepting(self.data, self.reader)
        for one in accepting.accepted("1.2"):
            if one.destination == place:
                accepting.undo(one, by="x", reason="y")
                OrderKeeper(self.orders, self.books.ledger, BOTH).step()
                self.accepted[place].clear()

    @rule(one=_ONE)
    def hold(self, one):
        self.books.ledger.hold([f"1.2.1.{one}"], "the same SOP Instance UID exists")

    @rule()
    def restart(self):
        self.books.ledger.requeue_unknown()

    @rule()
    def retry(self):
        self.orders.give(OrderKind.RETRY, by="x", reason="y")
        OrderKeeper(self.orders, self.books.ledger, BOTH).step()

    @rule(place=_PLACE)
    def move(self, place):
        """Another archive stands at the place: what the old one said counts no more."""
        from dataclasses import replace

        self.ports[place] += 1
        pacs = [replace(one, port=self.ports[one.name]) for one in self.books.settings.pacs]
        self.books.ledger.record_destinations(pacs)
        self.said[place].clear()
        self.accepted[place].clear()
        self.asked = [one for one in self.asked if one[1] != place]

    @invariant()
    def nothing_unproven_passes(self):
        if not hasattr(self, "books"):
            return
        for judged in judge_instances(self.books.settings, lambda: LATER):
            if not judged.reason:
                one = int(judged.sop_instance_uid.rpartition(".")[2])
                assert all(one in self.said[place] for place in BOTH)
                assert all(map(self.is_ours_or_accepted, BOTH))

    def is_ours_or_accepted(self, place) -> bool:
        return self.keeps[place].kept is Kept.SAME or self.keeps[place] in self.accepted[place]


Deliveries.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=16)
TestDeliveries = pytest.mark.timeout(3600 if EXAMPLES > 8 else 300)(Deliveries.TestCase)


def test_the_gate_reads_opened_studies_conflicts_and_corrections(tmp_path):
    import sqlalchemy as sa

    from dicom_node.desk_file import open_desk
    from dicom_node.eviction import desk_tables, study_opened

    books = Books(tmp_path / "data", "pacs")
    for study in ("1.1", "1.2", "1.3", "1.4"):
        books.receive(study, [0], digest=f"{0:064x}")
        books.prove(study, [0], identity_state="same")
    books.receive("1.5", [0], digest=f"{0:064x}")
    books.prove("1.5", [0])
    books.receive("1.4", [0], path="other", digest="f", is_conflict=True)
    desk = open_desk(books.settings.node.data, desk_tables)
    with desk.begin() as connection:
        opened_at = stamp(LATER - timedelta(hours=1))
        connection.execute(
            sa.insert(study_opened).values(study_instance_uid="1.2", opened_at=opened_at)
        )
        connection.exec_driver_sql(
            "CREATE TABLE corrections (study_instance_uid, correction_id, state)"
        )
        connection.exec_driver_sql("INSERT INTO corrections VALUES ('1.3', 'c1', 'active')")
    desk.dispose()

    found = {}
    for judged in judge_instances(books.settings, lambda: LATER):
        found.setdefault(judged.study_instance_uid, []).append(judged.reason)
    books.close()

    assert found == {
        "1.1": [""],
        "1.2": ["its study was opened today"],
        "1.3": ["pacs: its correction was not sent"],
        "1.4": ["another instance has the same UID", "pacs: not queued yet"],
        "1.5": ["pacs: its identity was not verified"],
    }


def test_the_desk_can_be_written_while_instances_are_judged(tmp_path):
    import sqlite3

    from dicom_node.desk_file import open_desk
    from dicom_node.eviction import desk_tables

    books = Books(tmp_path / "data", "pacs")
    books.receive("1.1", range(2))
    desk = books.settings.node.data / "desk.sqlite"
    open_desk(books.settings.node.data, desk_tables).dispose()
    judged = judge_instances(books.settings, lambda: LATER)
    next(judged)
    with contextlib.closing(sqlite3.connect(desk, timeout=0)) as connection, connection:
        connection.execute("INSERT INTO study_opened VALUES ('1.1', '')")
    judged.close()
    books.close()
